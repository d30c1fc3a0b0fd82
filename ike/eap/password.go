package eap

import (
	"crypto/md5"
	"crypto/subtle"
)

// gtc is EAP-GTC (RFC 3748 section 5.6): the client sends the password as it is.
type gtc struct{ server *Server }

// maxPassword is the length of the longest password that is looked at, in bytes.
const maxPassword = 256

// request implements method.
func (g *gtc) request(uint8) []byte { return []byte("Password: ") }

// next implements method.
func (g *gtc) next(_ uint8, data []byte) result {
	u := g.server.cfg.Lookup(g.server.identity)
	if len(data) == 0 || len(data) > maxPassword {
		return refuse("the client sends a password of %d bytes", len(data))
	}
	knows := u.Verify != nil
	if !knows || !u.Verify(data) || u.Name == "" {
		return result{reason: wrong(&u, g.server.identity, "GTC", knows)}
	}
	return result{user: u.Name}
}

// md5Challenge is EAP-MD5 (RFC 3748 section 5.4, RFC 1994 section 4.1). Who hears it can
// guess passwords, and it has no key.
type md5Challenge struct {
	server    *Server
	challenge []byte
}

// request implements method.
func (m *md5Challenge) request(uint8) []byte {
	m.challenge = m.server.random(md5.Size)
	b := append([]byte{md5.Size}, m.challenge...)
	return append(b, m.server.cfg.Name...)
}

// next implements method.
func (m *md5Challenge) next(identifier uint8, data []byte) result {
	u := m.server.cfg.Lookup(m.server.identity)
	if len(data) < 1+md5.Size || data[0] != md5.Size {
		return refuse("the client sends a malformed MD5 response")
	}
	knows := u.Password.Len() > 0
	h := md5.New()
	h.Write([]byte{identifier})
	h.Write(u.Password.Reveal())
	h.Write(m.challenge)
	right := subtle.ConstantTimeCompare(h.Sum(nil), data[1:1+md5.Size]) == 1
	if !right || !knows || u.Name == "" {
		return result{reason: wrong(&u, m.server.identity, "MD5", knows)}
	}
	return result{user: u.Name}
}
