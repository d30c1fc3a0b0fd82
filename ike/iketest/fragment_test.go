package iketest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// fragmenting is alone with a stranger that takes fragments.
func fragmenting(t *testing.T, tune func(*exchange.Config)) (*Lab, *Node, *Stranger) {
	t.Helper()
	l, g, s := alone(t, tune)
	s.Fragments = true
	return l, g, s
}

// authFragments returns the IKE_AUTH request of s in fragments of size bytes of text.
func authFragments(t *testing.T, s *Stranger, size int) [][]byte {
	t.Helper()
	if !s.Init() {
		t.Fatal("no answer to IKE_SA_INIT")
	}
	id, _ := identity.Parse("client@example")
	return s.FragmentAll(wire.IKEAuth, 1, size, s.AuthPayloads(id, "key of the client")...)
}

// answered sends fragments, and reports whether the last one is answered, and
// none before.
func answered(t *testing.T, s *Stranger, fragments [][]byte) bool {
	t.Helper()
	for i, b := range fragments {
		sent := s.Send(b)
		if i == len(fragments)-1 {
			return len(sent) == 1 && s.Open(sent[0]) != nil
		}
		if len(sent) != 0 {
			t.Errorf("fragment %d of %d is answered", i+1, len(fragments))
		}
	}
	return false
}

// TestFragmentsInAnyOrder: a message is served when its last fragment is here,
// whatever the order, and however many there are: libreswan's have 539 bytes,
// and a chain of certificates has many of them.
func TestFragmentsInAnyOrder(t *testing.T) {
	for name, order := range map[string]func([][]byte){
		"as sent": func([][]byte) {}, "backwards": slices.Reverse[[][]byte],
		"last one first": func(f [][]byte) { f[0], f[len(f)-1] = f[len(f)-1], f[0] },
	} {
		for _, size := range []int{1, 7, 60, 150, 1000} {
			_, g, s := fragmenting(t, nil)
			f := authFragments(t, s, size)
			order(f)
			if !answered(t, s, f) || len(g.Plane) != 1 {
				t.Errorf("%s, %d fragments of %d bytes: not connected: %v", name, len(f), size, g.Errors)
			}
		}
	}
}

// TestOddFragments: what comes beside the fragments of a message neither spoils it nor
// is served.
func TestOddFragments(t *testing.T) {
	none := func(*Stranger, [][]byte) [][]byte { return nil }
	tests := []struct {
		name string
		// odd returns what comes before the last fragment, when all others are here.
		odd  func(s *Stranger, f [][]byte) [][]byte
		want bool // the last fragment still makes the message complete
	}{
		{"nothing", none, true},
		{"all once more", func(_ *Stranger, f [][]byte) [][]byte { return f[:len(f)-1] }, true},
		{"number 0", func(s *Stranger, f [][]byte) [][]byte {
			return [][]byte{s.Fragment(wire.IKEAuth, 1, 0, 0, len(f), []byte("x"))}
		}, true},
		{"number beyond the total", func(s *Stranger, f [][]byte) [][]byte {
			return [][]byte{s.Fragment(wire.IKEAuth, 1, 0, len(f)+1, len(f), []byte("x"))}
		}, true},
		{"same number with other text", func(s *Stranger, f [][]byte) [][]byte {
			return [][]byte{s.Fragment(wire.IKEAuth, 1, wire.TypeNonce, 1, len(f), make([]byte, 60))}
		}, true},
		{"smaller total", func(s *Stranger, f [][]byte) [][]byte {
			return [][]byte{s.Fragment(wire.IKEAuth, 1, wire.TypeNonce, 1, len(f)-1, make([]byte, 60))}
		}, true},
		{"larger total begins anew", func(s *Stranger, f [][]byte) [][]byte {
			return [][]byte{s.Fragment(wire.IKEAuth, 1, wire.TypeNonce, 1, len(f)+1, make([]byte, 60))}
		}, false},
		{"too many", func(s *Stranger, f [][]byte) [][]byte {
			return [][]byte{s.Fragment(wire.IKEAuth, 1, 0, 2, wire.MaxFragments+1, []byte("x"))}
		}, true},
		{"another exchange", func(s *Stranger, f [][]byte) [][]byte {
			return [][]byte{s.Fragment(wire.Informational, 1, 0, len(f), len(f), []byte("x"))}
		}, true},
		{"another message", func(s *Stranger, f [][]byte) [][]byte {
			return [][]byte{s.Fragment(wire.IKEAuth, 2, 0, len(f), len(f), []byte("x"))}
		}, true},
		{"forged", func(_ *Stranger, f [][]byte) [][]byte {
			b := bytes.Clone(f[len(f)-1])
			b[len(b)-1] ^= 1
			return [][]byte{b}
		}, true},
		{"forged, with a larger total", func(_ *Stranger, f [][]byte) [][]byte {
			b := bytes.Clone(f[0])
			binary.BigEndian.PutUint16(b[34:], uint16(len(f)+1))
			return [][]byte{b}
		}, true},
		{"forged number", func(_ *Stranger, f [][]byte) [][]byte {
			b := bytes.Clone(f[0])
			binary.BigEndian.PutUint16(b[32:], uint16(len(f)))
			return [][]byte{b}
		}, true},
		{"of IKE_SA_INIT", func(s *Stranger, _ [][]byte) [][]byte {
			h := s.Header(wire.IKESAInit, 0)
			h.SPIr = 0
			return [][]byte{wire.AppendMessage(nil, h, wire.SKF{Number: 1, Total: 1, Body: make([]byte, 99)})}
		}, true},
		{"cut short", func(_ *Stranger, f [][]byte) [][]byte {
			b := bytes.Clone(f[len(f)-1][:40])
			binary.BigEndian.PutUint32(b[24:], 40)
			binary.BigEndian.PutUint16(b[30:], 12)
			return [][]byte{b}
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, g, s := fragmenting(t, nil)
			f := authFragments(t, s, 60)
			last := len(f) - 1
			answered(t, s, append(slices.Clone(f[:last]), nil))
			for _, b := range tt.odd(s, f) {
				if sent := s.Send(b); len(sent) != 0 {
					t.Errorf("is answered")
				}
			}
			if sent := s.Send(f[last]); (len(sent) == 1) != tt.want || (len(g.Plane) == 1) != tt.want {
				t.Errorf("the last fragment: %d answers, %v", len(sent), g.Errors)
			}
		})
	}
}

// TestWholeBesideFragments: a peer may have sent a message whole, too. The fragments
// of it that come late bring nothing but its answer, once, and are not taken for
// those of the next message.
func TestWholeBesideFragments(t *testing.T) {
	_, g, s := fragmenting(t, nil)
	f := authFragments(t, s, 60)
	answered(t, s, append(f[:len(f)-1:len(f)-1], nil))
	id, _ := identity.Parse("client@example")
	if s.Request(wire.IKEAuth, s.AuthPayloads(id, "key of the client")...) == nil || len(g.Plane) != 1 {
		t.Fatalf("the whole message is not served: %v", g.Errors)
	}
	for i, b := range f {
		if sent := s.Send(b); (len(sent) == 1) != (i == 0) {
			t.Errorf("late fragment %d brings %d messages", i+1, len(sent))
		}
	}
	if ps := s.Request(wire.Informational); ps == nil {
		t.Errorf("the next message is not served: %v", g.Errors)
	}
}

// TestRepeatedFragment: of a request that was answered, fragment 1 brings the whole
// answer once more, to where it came from, and the others bring nothing (RFC 7383
// section 2.6.1); so does a fragment that nobody could have sent.
func TestRepeatedFragment(t *testing.T) {
	l, g, s := fragmenting(t, func(c *exchange.Config) { c.FragmentSize = 180 })
	f := authFragments(t, s, 100)
	var answer [][]byte
	for _, b := range f {
		answer = s.Send(b)
	}
	if len(answer) < 2 || len(g.Plane) != 1 {
		t.Fatalf("%d fragments in answer, %v", len(answer), g.Errors)
	}
	var to netip.AddrPort
	l.Spy = func(_ *Node, d exchange.Datagram) { to = d.Remote }
	elsewhere := netip.MustParseAddrPort("203.0.113.7:5555")
	for _, from := range []netip.AddrPort{s.Addr, elsewhere} {
		s.Addr = from
		for i, b := range f {
			again := s.Send(b)
			if i > 0 && len(again) != 0 {
				t.Errorf("fragment %d is answered", i+1)
			}
			if i == 0 && (!slices.EqualFunc(again, answer, bytes.Equal) || to != from) {
				t.Errorf("fragment 1 from %v: %d datagrams, to %v", from, len(again), to)
			}
		}
	}
	forged := bytes.Clone(f[0])
	forged[len(forged)-1] ^= 1
	if sent := s.Send(forged); len(sent) != 0 {
		t.Error("a forged fragment 1 is answered")
	}
	g.Kill()
	if again := s.Send(f[0]); !slices.EqualFunc(again, answer, bytes.Equal) {
		t.Errorf("another worker: %d datagrams", len(again))
	}
}

// TestFragmentsNotAgreed: a peer that has not said that it takes fragments gets none,
// and those that it sends nevertheless are nothing.
func TestFragmentsNotAgreed(t *testing.T) {
	for name, tune := range map[string]func(*exchange.Config){
		"by the peer": nil, "by us": func(c *exchange.Config) { c.NoFragmentation = true },
	} {
		t.Run(name, func(t *testing.T) {
			_, g, s := alone(t, func(c *exchange.Config) {
				c.FragmentSize = 180
				if tune != nil {
					tune(c)
				}
			})
			s.Fragments = tune != nil
			f := authFragments(t, s, 60)
			if m, _ := wire.ParseMessage(s.response); len(m.Payloads.Notifies(wire.FragmentationSupported)) != 0 {
				t.Error("IKE_SA_INIT says that there is fragmentation")
			}
			answered(t, s, append(f, nil))
			if len(g.Plane) != 0 || !errors.Is(g.Errors[0], exchange.ErrMalformed) {
				t.Errorf("fragments are served: %v", g.Errors)
			}
			id, _ := identity.Parse("client@example")
			if s.Request(wire.IKEAuth, s.AuthPayloads(id, "key of the client")...) == nil {
				t.Errorf("the answer is not one message: %v", g.Errors)
			}
		})
	}
}

// TestEndlessMessage: a message longer than any may be costs an authenticated peer its
// SA.
func TestEndlessMessage(t *testing.T) {
	_, g, s := fragmenting(t, nil)
	if !s.Connect() {
		t.Fatal("not connected")
	}
	for n := range wire.MaxFragments {
		s.Send(s.Fragment(wire.Informational, 2, 0, n+1, wire.MaxFragments, make([]byte, 1200)))
	}
	if len(g.Plane) != 0 || len(g.Engine.Status()) != 0 {
		t.Errorf("the SA stands: %v", g.Errors)
	}
}

// TestHalfSentMessages: whatever strangers leave unfinished, the message of a peer whose
// fragments come one behind the other is served.
func TestHalfSentMessages(t *testing.T) {
	l, g, s := fragmenting(t, func(c *exchange.Config) { c.CookieThreshold, c.MaxHalfOpen = 1000, 1000 })
	f := authFragments(t, s, 60)
	for n := range 150 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 3, byte(n)}), 500)
		x := NewStranger(g, addr)
		x.Fragments = true
		if !x.Init() {
			t.Fatal("no answer to IKE_SA_INIT")
		}
		for k := range 40 {
			x.Send(x.Fragment(wire.IKEAuth, 1, 0, k+2, 45, make([]byte, 1300)))
		}
		if n == 149 {
			for _, b := range f {
				s.Send(b)
			}
		}
	}
	if len(g.Plane) != 1 {
		t.Errorf("not connected: %v", g.Errors[:min(len(g.Errors), 5)])
	}
	l.Run(time.Minute)
}

// FuzzFragments has the plaintext of an authentic message cut as the input says: in so
// many parts, sent in an order and with repeats of its own. Whatever comes of it is
// what comes of the same message whole.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 1, 0, 0, 0}, uint8(wire.Informational), uint8(wire.TypeDelete), uint8(3),
		[]byte{1, 0, 2, 2})
	f.Add(bytes.Repeat([]byte{41, 0, 0, 8, 0, 0, 64, 0}, 20), uint8(wire.CreateChildSA), uint8(wire.TypeNotify),
		uint8(200), []byte{9, 8})
	f.Fuzz(func(t *testing.T, text []byte, kind, first, total uint8, order []byte) {
		text, order = text[:min(len(text), 2000)], order[:min(len(order), 100)]
		parts := 1 + int(total)
		end := func(cut bool) string {
			l := New(43, Faults{})
			g := l.Add("gateway", GatewayAddr, GatewayConfig())
			g.Authorise = Grant
			s := NewStranger(g, strangerAddr)
			s.Fragments = true
			if !s.Connect() {
				t.Fatal("not connected")
			}
			number := func(n int) []byte {
				if !cut {
					return s.Fragment(wire.ExchangeType(kind), 2, wire.PayloadType(first), 1, 1, text)
				}
				return s.Fragment(wire.ExchangeType(kind), 2, wire.PayloadType(first), n+1, parts,
					text[n*len(text)/parts:(n+1)*len(text)/parts])
			}
			answers := 0
			if cut {
				for _, n := range order {
					answers += len(s.Send(number(int(n) % parts)))
				}
			}
			for n := range parts {
				if answers == 0 {
					answers += len(s.Send(number(n)))
				}
			}
			g.CheckSnapshot()
			for _, x := range l.Trouble {
				t.Error(x)
			}
			return fmt.Sprint(answers > 0, len(g.Plane), len(g.Engine.Status()))
		}
		if whole, cut := end(false), end(true); whole != cut {
			t.Errorf("whole: %s; in %d parts: %s", whole, parts, cut)
		}
	})
}
