//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// flood is a stranger who sends one kind of packet as fast as he was told to.
type flood struct {
	stop context.CancelFunc
	wait sync.WaitGroup
	sent int
}

// startFlood sends what next returns, perSecond times a second, from several
// ports of the namespace to one of the gateway. What comes back is given to
// answer, which may be nil; what it returns is sent from the same port.
func startFlood(t *testing.T, ns *lab.Namespace, port, perSecond int, next func() []byte,
	answer func(b []byte) []byte) *flood {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &flood{stop: cancel}
	var conns []net.Conn
	for range 8 {
		var c net.Conn
		err := ns.Do(func() (err error) {
			c, err = net.Dial("udp4", net.JoinHostPort(lab.OutsideGateway, strconv.Itoa(port)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		f.wait.Go(func() {
			b := make([]byte, 2048)
			for ctx.Err() == nil {
				n, err := c.Read(b)
				if err != nil {
					continue // closed, or nobody listens
				}
				if answer == nil {
					continue
				}
				if again := answer(b[:n]); again != nil {
					c.Write(again)
				}
			}
		})
	}
	f.wait.Go(func() {
		defer func() {
			for _, c := range conns {
				c.Close()
			}
		}()
		const pulse = 5 * time.Millisecond
		tick := time.NewTicker(pulse)
		defer tick.Stop()
		begin := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				for due := int(now.Sub(begin).Seconds() * float64(perSecond)); f.sent < due; f.sent++ {
					conns[f.sent%len(conns)].Write(next()) // what the kernel refuses is lost, as on any wire
				}
			}
		}
	})
	return f
}

// startSearch sends to every address of the inside network, ten times a second,
// so that the gateway asks for the neighbours.
func startSearch(t *testing.T, ns *lab.Namespace, from string) *flood {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &flood{stop: cancel}
	var c net.PacketConn
	err := ns.Do(func() (err error) {
		c, err = net.ListenPacket("udp4", net.JoinHostPort(from, "0"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.wait.Go(func() {
		defer c.Close()
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				for i := 100; i < 250; i++ {
					c.WriteTo([]byte("anybody?"), &net.UDPAddr{IP: net.IPv4(10, 10, 0, byte(i)), Port: 9})
					f.sent++
				}
			}
		}
	})
	return f
}

// Stop ends the flood and returns how much was sent.
func (f *flood) Stop() int {
	f.stop()
	f.wait.Wait()
	return f.sent
}

// IKEv2 payloads of the requests below (RFC 7296 section 3.2).
const (
	payloadSA     = 33
	payloadKE     = 34
	payloadNonce  = 40
	payloadNotify = 41
	notifyCookie  = 16390
)

// initRequest is an IKE_SA_INIT request with a new SPI and the proposal
// AES-256-GCM, PRF-HMAC-SHA-384, X25519. cookie may be empty.
func initRequest(spi, cookie []byte) []byte {
	transform := func(last byte, kind byte, id uint16, attribute ...byte) []byte {
		b := []byte{last, 0, 0, byte(8 + len(attribute)), kind, 0, byte(id >> 8), byte(id)}
		return append(b, attribute...)
	}
	proposal := []byte{0, 0, 0, 0, 1, 1, 0, 3}
	proposal = append(proposal, transform(3, 1, 20, 0x80, 14, 1, 0)...)
	proposal = append(proposal, transform(3, 2, 6)...)
	proposal = append(proposal, transform(0, 4, 31)...)
	binary.BigEndian.PutUint16(proposal[2:], uint16(len(proposal)))
	payload := func(next byte, body ...byte) []byte {
		b := []byte{next, 0, 0, 0}
		binary.BigEndian.PutUint16(b[2:], uint16(4+len(body)))
		return append(b, body...)
	}
	random := make([]byte, 64)
	rand.Read(random)
	copy(random, spi) // the same request again with a cookie
	copy(random[32:], spi)
	var body []byte
	first := byte(payloadSA)
	if len(cookie) > 0 {
		first = payloadNotify
		body = payload(payloadSA, append([]byte{0, 0, notifyCookie >> 8, notifyCookie & 0xff}, cookie...)...)
	}
	for i := range 24 { // what is random above must be the same in both
		random[8+i], random[40+i] = spi[i%8], spi[i%8]
	}
	body = append(body, payload(payloadKE, proposal...)...)
	body = append(body, payload(payloadNonce, append([]byte{0, 31, 0, 0}, random[:32]...)...)...)
	body = append(body, payload(0, random[32:]...)...)
	header := make([]byte, 28)
	copy(header, spi)
	header[16], header[17], header[18], header[19] = first, 0x20, 34, 0x08
	binary.BigEndian.PutUint32(header[24:], uint32(28+len(body)))
	return append(header, body...)
}

// newInit is an IKE_SA_INIT request of somebody new.
func newInit() []byte {
	spi := make([]byte, 8)
	rand.Read(spi)
	return initRequest(spi, nil)
}

// withCookie is the request again, with the cookie that was asked for; nil where
// none was.
func withCookie(response []byte) []byte {
	if len(response) < 36 || response[16] != payloadNotify || binary.BigEndian.Uint16(response[34:]) != notifyCookie {
		return nil
	}
	end := 28 + int(binary.BigEndian.Uint16(response[30:]))
	if end > len(response) {
		return nil
	}
	return initRequest(response[:8], response[36:end])
}

// espGarbage returns a maker of packets for an SPI, or with 0 for another one each
// time, whose content nobody has sealed.
func espGarbage(spi uint32, size int) func() []byte {
	seq := uint32(1 << 20)
	return func() []byte {
		b := make([]byte, size)
		rand.Read(b[8:16])
		binary.BigEndian.PutUint32(b, spi)
		if spi == 0 {
			binary.BigEndian.PutUint32(b, 1<<31|seq)
		}
		binary.BigEndian.PutUint32(b[4:], seq)
		seq++
		return b
	}
}
