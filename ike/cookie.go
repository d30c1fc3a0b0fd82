package ike

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// cookieLife is how long a cookie secret makes cookies; it accepts them for as
// long again. A client answers within one round trip.
const cookieLife = time.Minute

// cookieJar makes and checks the cookies of RFC 7296 section 2.6 without
// keeping anything about the peer:
//
//	version (1) | HMAC-SHA-256(secret of version, Ni | IPi | port | SPIi)
//
// each with its length before it where that may differ, so that no two initiators
// have the same input. The secret changes, and with it the version.
type cookieJar struct {
	version  byte
	secrets  [2][32]byte // by version modulo 2
	changeAt time.Time
}

// initProof is what an IKE_SA_INIT request shows about its sender before anything
// of it is parsed.
type initProof struct {
	spi           uint64
	remote        netip.AddrPort
	nonce, cookie []byte // parts of the message; no cookie: nil
}

// scanInit finds the proof in a request with the header h. It reports false where
// the message is malformed, or has not one nonce.
func scanInit(h *wire.Header, d *exchange.Datagram) (p initProof, ok bool) {
	p = initProof{spi: h.SPIi, remote: d.Remote}
	nonces := 0
	whole := wire.Scan(d.Payload, func(t wire.PayloadType, body []byte) bool {
		switch t {
		case wire.TypeNonce:
			p.nonce = body
			nonces++
		case wire.TypeNotify:
			if n, err := wire.ParseNotify(body); err == nil && n.Type == wire.Cookie && p.cookie == nil {
				p.cookie = n.Data
			}
		}
		return true
	})
	return p, whole && nonces == 1 && len(p.nonce) >= wire.MinNonce && len(p.nonce) <= wire.MaxNonce
}

// cookie returns the cookie for p.
func (j *cookieJar) cookie(h host, now time.Time, p *initProof) []byte {
	j.rotate(h, now)
	return j.make(j.version, p)
}

// valid reports whether p has a cookie that was made for it.
func (j *cookieJar) valid(h host, now time.Time, p *initProof) bool {
	if len(p.cookie) != 1+sha256.Size {
		return false
	}
	j.rotate(h, now)
	v := p.cookie[0]
	return (v == j.version || v == j.version-1) && hmac.Equal(p.cookie, j.make(v, p))
}

// rotate draws a new secret when it is time. Both are drawn at first, so that
// an old one is never accepted longer than that.
func (j *cookieJar) rotate(h host, now time.Time) {
	switch {
	case j.changeAt.IsZero() || now.Sub(j.changeAt) >= cookieLife:
		copy(j.secrets[j.version%2][:], h.random(32))
	case now.Before(j.changeAt):
		return
	}
	j.version++
	copy(j.secrets[j.version%2][:], h.random(32))
	j.changeAt = now.Add(cookieLife)
}

func (j *cookieJar) make(version byte, p *initProof) []byte {
	addr := p.remote.Addr().Unmap().AsSlice()
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+wire.MaxNonce+1+16+2+8), uint16(len(p.nonce)))
	b = append(b, p.nonce...)
	b = append(append(b, byte(len(addr))), addr...)
	b = binary.BigEndian.AppendUint16(b, p.remote.Port())
	b = binary.BigEndian.AppendUint64(b, p.spi)
	mac := hmac.New(sha256.New, j.secrets[version%2][:])
	mac.Write(b)
	return mac.Sum([]byte{version})
}
