package link

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/failover"
)

func TestUDPHeartbeats(t *testing.T) {
	theirs, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	at := func(c net.PacketConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }
	u, err := OpenUDP(t.Context(), "", netip.AddrPortFrom(loopback, 0), at(theirs))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Send([]byte("to you")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, _, err := theirs.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "to you" {
		t.Errorf("received %q, %v", b[:n], err)
	}
	stranger, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.2:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	to := net.UDPAddrFromAddrPort(at(u.conn))
	for _, x := range []struct {
		from *net.UDPConn
		send []byte
	}{{stranger, []byte("from a stranger")}, {theirs, make([]byte, failover.MaxDatagram+1)},
		{theirs, []byte("to us")}} {
		if _, err := x.from.WriteTo(x.send, to); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := u.Receive(); err != nil || string(got) != "to us" {
		t.Errorf("received %q, %v", got, err)
	}
	u.Close()
	if _, err := u.Receive(); err == nil {
		t.Error("Receive after Close")
	}
}

// TestEthernetFrames cuts heartbeats of every size for several MTUs, and joins
// them in any order, with repeats.
func TestEthernetFrames(t *testing.T) {
	for _, mtu := range []int{576, 1280, 1500, 9000} {
		for _, size := range []int{1, 100, 1400, 1500, failover.MaxDatagram} {
			payload := bytes.Repeat([]byte{1, 2, 3, 4, 5}, size/5+1)[:size]
			frames := split(payload, 7, mtu)
			var e Ethernet
			for i := range frames {
				if len(frames[i]) > mtu {
					t.Fatalf("mtu %d: a frame of %d bytes", mtu, len(frames[i]))
				}
				padded := append(bytes.Clone(frames[len(frames)-1-i]), make([]byte, 46)...)
				got := e.join(padded)
				if last := i == len(frames)-1; (got != nil) != last || last && !bytes.Equal(got, payload) {
					t.Fatalf("mtu %d, %d bytes: after frame %d of %d: %d bytes", mtu, size, i+1, len(frames), len(got))
				}
				if i < len(frames)-1 && e.join(padded) != nil {
					t.Errorf("mtu %d, %d bytes: a repeat completed it", mtu, size)
				}
			}
			if len(e.assemblies) != 0 {
				t.Errorf("mtu %d, %d bytes: something is left", mtu, size)
			}
		}
	}
}

// TestHostileFrames: what no twin sends is dropped, and what is kept is bounded.
func TestHostileFrames(t *testing.T) {
	frame := func(id uint32, index, count byte, length uint16, body int) []byte {
		b := binary.BigEndian.AppendUint32([]byte(etherMagic), id)
		b = append(b, index, count)
		b = binary.BigEndian.AppendUint16(b, length)
		return append(b, make([]byte, body)...)
	}
	var e Ethernet
	for name, b := range map[string][]byte{
		"empty": {}, "short": frame(1, 0, 1, 0, 0)[:etherHead-1], "no count": frame(1, 0, 0, 4, 4),
		"index of the count": frame(1, 1, 1, 4, 4), "too many parts": frame(1, 0, byte(maxParts+1), 4, 4),
		"longer than it is": frame(1, 0, 1, 5, 4), "another magic": append([]byte("none"), frame(1, 0, 1, 4, 4)[4:]...),
	} {
		if got := e.join(b); got != nil || len(e.assemblies) > 0 {
			t.Errorf("%s: joined %d bytes, %d assemblies", name, len(got), len(e.assemblies))
		}
	}
	for id := range uint32(1000) {
		e.join(frame(id, 0, byte(maxParts), 4, 4))
		if len(e.assemblies) > maxAssemblies {
			t.Fatalf("%d assemblies are kept", len(e.assemblies))
		}
	}
}
