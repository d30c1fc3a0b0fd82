package ike

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/warrenvpn/warren/ike/wire"
)

// cookieLife is how long a cookie secret makes cookies; it accepts them for as
// long again. A client answers within one round trip.
const cookieLife = time.Minute

// cookieJar makes and checks the cookies of RFC 7296 section 2.6 without
// keeping anything about the peer:
//
//	version (1) | HMAC-SHA-256(secret of version, Ni | IPi | SPIi)
//
// The secret changes, and with it the version.
type cookieJar struct {
	version  byte
	secrets  [2][32]byte // by version modulo 2
	changeAt time.Time
}

// cookie returns the cookie for the message m from d.Remote.
func (j *cookieJar) cookie(h host, now time.Time, d *Datagram, m *wire.Message) []byte {
	j.rotate(h, now)
	return j.make(j.version, d, m)
}

// valid reports whether m carries a cookie that was made for it.
func (j *cookieJar) valid(h host, now time.Time, d *Datagram, m *wire.Message) bool {
	n, ok := m.Payloads.Notify(wire.Cookie)
	if !ok || len(n.Data) == 0 {
		return false
	}
	j.rotate(h, now)
	v := n.Data[0]
	return (v == j.version || v == j.version-1) && hmac.Equal(n.Data, j.make(v, d, m))
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

func (j *cookieJar) make(version byte, d *Datagram, m *wire.Message) []byte {
	nonce, _ := wire.Find[wire.Nonce](m.Payloads)
	mac := hmac.New(sha256.New, j.secrets[version%2][:])
	mac.Write(nonce.Data)
	mac.Write(d.Remote.Addr().AsSlice())
	mac.Write(binary.BigEndian.AppendUint64(nil, m.SPIi))
	return mac.Sum([]byte{version})
}
