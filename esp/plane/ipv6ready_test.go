package plane_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/esp/plane"
)

// TestIPv6Ready plays the one test of the IPv6 Ready specification for IKEv2 that needs
// ICMP messages and real sockets; ike/iketest has the others.
func TestIPv6Ready(t *testing.T) {
	t.Run("IKEv2.SGW.R.1.1.3.1", unreachable)
}

// unreachable: ICMP messages end and change nothing, whatever they say about packets of
// ours: IKE goes on in both directions, and so do the child SAs (RFC 7296 section 2.4: a
// peer must not be taken for dead because of what nobody has authenticated).
func unreachable(t *testing.T) {
	p := pair
	p.AddrA, p.AddrB = "[2001:db8::1]:4500", "[2001:db8::2]:4500"
	var heard [2]chan string
	i := 0
	a, b := lab(t, p, func(c *plane.Config) {
		messages := make(chan string, 64)
		c.IKE = func(_, _ netip.AddrPort, payload []byte) { messages <- string(payload) }
		heard[i] = messages
		i++
	})
	at := [2]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
	exchange := func(what string) {
		t.Helper()
		for _, port := range []uint16{500, 4500} {
			for i, g := range []*real{a, b} {
				text := fmt.Sprintf("%s, port %d", what, port)
				if err := g.SendIKE(netip.AddrPortFrom(at[i], port), netip.AddrPortFrom(at[1-i], port),
					[]byte(text)); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				select {
				case got := <-heard[1-i]:
					if got != text {
						t.Fatalf("got %q, want %q", got, text)
					}
				case <-time.After(patience):
					t.Fatalf("%s: IKE is not heard at %v", text, at[1-i])
				}
			}
		}
	}
	exchange("at first")
	ca, _ := p.Children()
	packet := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(ca.Out.SPI)), 1)
	told := 0
	for kind, codes := range map[uint8]uint8{1: 7, 3: 2, 4: 3} { // unreachable, time exceeded, parameter problem
		for code := range codes {
			for _, port := range []uint16{500, 4500} {
				b.do(func() error { return sendICMP(at, kind, code, port, packet) })
				told++
			}
		}
	}
	until(t, "the ICMP messages", func() bool { return a.icmp() >= told })
	exchange("afterwards")
	echo(t, a, b, "[2001:db8:2::1]:7")
	echo(t, b, a, "[2001:db8:1::1]:7")
}

// sendICMP sends an ICMPv6 message from at[1] to at[0], about a UDP datagram that went the
// other way, from and to this port, with this content.
func sendICMP(at [2]netip.Addr, kind, code uint8, port uint16, content []byte) error {
	m := make([]byte, 8+40+8, 8+40+8+len(content))
	m[0], m[1] = kind, code
	ip, udp := m[8:], m[48:]
	ip[0], ip[6], ip[7] = 0x60, 17, 64
	binary.BigEndian.PutUint16(ip[4:], uint16(8+len(content)))
	copy(ip[8:], at[0].AsSlice())
	copy(ip[24:], at[1].AsSlice())
	binary.BigEndian.PutUint16(udp, port)
	binary.BigEndian.PutUint16(udp[2:], port)
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(content)))
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, append(m, content...), 0, &unix.SockaddrInet6{Addr: at[0].As16()})
}

var icmpErrors = regexp.MustCompile(`(?m)^Icmp6In(?:DestUnreachs|TimeExcds|ParmProblems)\s+(\d+)$`)

// icmp returns how many ICMPv6 errors the kernel has received in the namespace.
func (s *space) icmp() (n int) {
	s.do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp6")
		for _, m := range icmpErrors.FindAllSubmatch(text, -1) {
			count, _ := strconv.Atoi(string(m[1]))
			n += count
		}
		return err
	})
	return n
}
