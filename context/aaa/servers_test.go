package aaa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/aaa/radius"
	"github.com/warrenvpn/warren/context/aaa/radius/radiustest"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/secret"
)

const serverKey = "a shared secret of 16 or more"

// radiusServer answers on a port of its own until the test ends; nil is silence.
func radiusServer(t *testing.T, answer func(request []byte) []byte) spec.AAAServer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, 5000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if a := answer(b[:n]); a != nil {
				_, _ = conn.WriteToUDPAddrPort(a, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return spec.AAAServer{Address: at.Addr(), Port: at.Port(), Timeout: 100 * time.Millisecond, Retries: 1}
}

// reply answers every request so.
func reply(a radiustest.Answer) func([]byte) []byte {
	return func(request []byte) []byte { return radiustest.Reply(request, serverKey, a) }
}

// eapMessage is attributes that carry an EAP packet.
func eapMessage(packet ...byte) []byte { return radiustest.Attribute(radius.TypeEAPMessage, packet) }

// serve returns the authority of a group of servers, at work until the test ends, and what
// it has told.
func serve(t *testing.T, change func(*ServersConfig), servers ...spec.AAAServer) (*Servers, chan radius.Event) {
	t.Helper()
	told := make(chan radius.Event, 100)
	cfg := &ServersConfig{
		Tenant: "blue", Group: spec.AAAServerGroup{Name: "ISE", Servers: servers},
		Connect: dialUDP, Tell: func(e radius.Event) { told <- e },
	}
	for range servers {
		cfg.Keys = append(cfg.Keys, secret.Copy([]byte(serverKey)))
	}
	if change != nil {
		change(cfg)
	}
	s := NewServers(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return s, told
}

func dialUDP(_ context.Context, server netip.AddrPort, sockets int) (out []net.Conn, err error) {
	for range sockets {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// request is a client that logs in as alice.
func request() *Request {
	return &Request{Group: "laptops", Identity: "alice", Message: []byte{2, 7, 0, 10, 1, 'a', 'l', 'i', 'c', 'e'},
		Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("192.0.2.2:4500")}
}

// next says something, and returns the answer.
func next(t *testing.T, c Conversation, message []byte) Answer {
	t.Helper()
	answers := make(chan Answer, 1)
	c.Next(time.Now(), message, func(a Answer) { answers <- a })
	select {
	case a := <-answers:
		return a
	case <-time.After(30 * time.Second):
		t.Fatal("no answer")
		return Answer{}
	}
}

// TestPassThrough: what the client and the server say to each other passes through, with
// State, and the end has MSK, name and attributes.
func TestPassThrough(t *testing.T) {
	var mu sync.Mutex
	var requests []radius.Packet
	recv, send := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	server := radiusServer(t, func(request []byte) []byte {
		p, err := radius.ParsePacket(request)
		if err != nil || !radiustest.Signed(request, serverKey) {
			return nil
		}
		mu.Lock()
		requests = append(requests, p)
		mu.Unlock()
		if _, again := p.Attributes.Find(radius.TypeState); !again {
			attributes := append(eapMessage(1, 8, 0, 5, 26), radiustest.Attribute(radius.TypeState, []byte("st"))...)
			return radiustest.Reply(request, serverKey,
				radiustest.Answer{Code: radius.AccessChallenge, Attributes: attributes})
		}
		attributes := append(eapMessage(3, 8, 0, 4), radiustest.Keys(request, serverKey, recv, send)...)
		attributes = append(attributes, radiustest.Attribute(radius.TypeUserName, []byte("Alice"))...)
		attributes = append(attributes, radiustest.Attribute(radius.TypeClass, []byte("OU=staff;"))...)
		attributes = append(attributes, radiustest.Attribute(radius.TypeFramedIPAddress, []byte{10, 9, 7, 7})...)
		return radiustest.Reply(request, serverKey,
			radiustest.Answer{Code: radius.AccessAccept, Attributes: attributes})
	})
	s, _ := serve(t, nil, server)
	r := request()
	c := s.Begin(r)
	if a := next(t, c, r.Message); a.Outcome != More || !bytes.Equal(a.Message, []byte{1, 8, 0, 5, 26}) {
		t.Fatalf("first: %+v", a)
	}
	second := append([]byte{2, 8, 0x01, 0x2c, 26}, bytes.Repeat([]byte{9}, 295)...)
	a := next(t, c, second)
	if a.Outcome != Accepted || a.User != "Alice" || !bytes.Equal(a.Message, []byte{3, 8, 0, 4}) ||
		!bytes.Equal(a.MSK.Reveal(), append(bytes.Clone(recv), send...)) {
		t.Fatalf("second: %+v", a)
	}
	if a.Attributes.GroupPolicy != "staff" || len(a.Attributes.Addresses) != 1 || len(a.Attributes.Class) != 1 {
		t.Errorf("attributes: %+v", a.Attributes)
	}
	if got, _ := requests[1].Attributes.Join(radius.TypeEAPMessage); !bytes.Equal(got, second) {
		t.Errorf("EAP message of %d octets, want %d", len(got), len(second))
	}
	for typ, want := range map[radius.Type]string{
		radius.TypeUserName: "alice", radius.TypeNASIPAddress: "\xc0\x00\x02\x01", radius.TypeNASIdentifier: "blue",
		radius.TypeNASPortType: "\x00\x00\x00\x05", radius.TypeServiceType: "\x00\x00\x00\x02",
		radius.TypeNASPortID: "laptops", radius.TypeCalledStationID: "192.0.2.1[4500]",
		radius.TypeCallingStationID: "192.0.2.2[4500]",
	} {
		if got, _ := requests[0].Attributes.Find(typ); string(got) != want {
			t.Errorf("attribute %d: %q, want %q", typ, got, want)
		}
	}
	if st := s.Status()[0]; st.Accepts != 1 || st.Challenges != 1 || st.Dead || st.Outstanding != 0 {
		t.Errorf("status %+v", st)
	}
}

// TestRejections: whoever is not let in gets an EAP Failure, and the operator the reason.
func TestRejections(t *testing.T) {
	failure := []byte{4, 7, 0, 4}
	text := radiustest.Attribute(radius.TypeReplyMessage, []byte("locked\nout"))
	closed := radiusServer(t, func([]byte) []byte { return nil })
	closed.Port = closedPort(t)
	for _, tt := range []struct {
		name   string
		server spec.AAAServer
		want   string // of the reason
	}{
		{"refused", radiusServer(t, reply(radiustest.Answer{Code: radius.AccessReject,
			Attributes: append(eapMessage(4, 7, 0, 4), text...)})), `refuses "alice": "locked\nout"`},
		{"conversation lost", radiusServer(t, reply(radiustest.Answer{Code: radius.AccessReject, Unsigned: true})),
			"has lost the conversation"},
		{"unsigned", radiusServer(t, reply(radiustest.Answer{Code: radius.AccessAccept, Unsigned: true,
			Attributes: eapMessage(3, 7, 0, 4)})), "no Message-Authenticator"},
		{"silent", radiusServer(t, func([]byte) []byte { return nil }), "does not answer"},
		{"closed", closed, "does not listen on its port"},
		{"another key", radiusServer(t, func(request []byte) []byte {
			return radiustest.Reply(request, "another key", radiustest.Answer{Code: radius.AccessAccept})
		}), "answers with another key"},
		{"Challenge without EAP", radiusServer(t, reply(radiustest.Answer{Code: radius.AccessChallenge})),
			"an Access-Challenge without an EAP request"},
		{"Accept with a Failure", radiusServer(t, reply(radiustest.Answer{Code: radius.AccessAccept,
			Attributes: eapMessage(4, 7, 0, 4)})), "whose EAP message is no Success"},
		{"Accept that cannot be read", radiusServer(t, reply(radiustest.Answer{Code: radius.AccessAccept,
			Attributes: append(eapMessage(3, 7, 0, 4),
				radiustest.Attribute(radius.TypeSessionTimeout, []byte{1})...)})),
			"Session-Timeout has a value of a wrong size"},
		{"another tunnel group", accepting(t, radiustest.Vendor(3076, 85, []byte("staff"))),
			`into tunnel group "staff" alone`},
		{"another protocol", accepting(t, radiustest.Vendor(3076, 11, []byte{0, 0, 0, 32})), "not by IKEv2"},
		{"no session", accepting(t, radiustest.Vendor(3076, 2, []byte{0, 0, 0, 0})), "no session at all"},
		{"a filter", accepting(t, radiustest.Attribute(radius.TypeFilterID, []byte("acl"))), `the filter "acl"`},
		{"networks left out", accepting(t, append(radiustest.Vendor(3076, 27, []byte("10.1.0.0/16")),
			radiustest.Vendor(3076, 55, []byte{0, 0, 0, 2})...)), "left out of the tunnel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := serve(t, nil, tt.server)
			r := request()
			a := next(t, s.Begin(r), r.Message)
			if a.Outcome != Rejected || !bytes.Equal(a.Message, failure) || !strings.Contains(a.Reason, tt.want) {
				t.Errorf("%+v, want %q", a, tt.want)
			}
		})
	}
}

// accepting is a server that lets everybody in with these attributes.
func accepting(t *testing.T, attributes []byte) spec.AAAServer {
	t.Helper()
	return radiusServer(t, reply(radiustest.Answer{Code: radius.AccessAccept,
		Attributes: append(eapMessage(3, 7, 0, 4), attributes...)}))
}

// TestUnapplied: what sessions do not get is told once, and keeps nobody out.
func TestUnapplied(t *testing.T) {
	prefix := append([]byte{0, 64, 0xfd}, make([]byte, 7)...)
	s, told := serve(t, nil, accepting(t, append(radiustest.Vendor(3076, 28, []byte("corp.example")),
		radiustest.Attribute(radius.TypeFramedIPv6Prefix, prefix)...)))
	r := request()
	for range 2 {
		a := next(t, s.Begin(r), r.Message)
		if a.Outcome != Accepted {
			t.Fatalf("%+v", a)
		}
		if got := a.Attributes.Addresses; len(got) != 1 || got[0] != netip.MustParseAddr("fd00::1") {
			t.Errorf("addresses %v", got)
		}
	}
	e := <-told
	if e.Kind != radius.Unapplied || !strings.Contains(e.Detail, "IPsec-Default-Domain") || len(told) != 0 {
		t.Errorf("told %+v and %d more", e, len(told))
	}
}

// closedPort returns a port that nobody listens on as long as the test runs: the socket there
// is connected to another one, so that it takes nothing else, and nobody else gets its port.
func closedPort(t *testing.T) uint16 {
	t.Helper()
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)},
		&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// TestUnfit: a name that no attribute holds is refused, and no request is sent.
func TestUnfit(t *testing.T) {
	s, _ := serve(t, nil, radiusServer(t, reply(radiustest.Answer{Code: radius.AccessAccept})))
	r := request()
	r.Identity = strings.Repeat("x", 254)
	if a := next(t, s.Begin(r), r.Message); a.Outcome != Rejected || !strings.Contains(a.Reason, "253 octets") {
		t.Errorf("%+v", a)
	}
}

// TestNextServer: a server that is silent or cannot be reached is followed by the next one.
func TestNextServer(t *testing.T) {
	good := radiusServer(t, reply(radiustest.Answer{Code: radius.AccessAccept, Attributes: eapMessage(3, 7, 0, 4)}))
	s, told := serve(t, func(cfg *ServersConfig) {
		cfg.Connect = func(ctx context.Context, server netip.AddrPort, sockets int) ([]net.Conn, error) {
			if server != good.Endpoint() {
				return nil, errors.New("no route")
			}
			return dialUDP(ctx, server, sockets)
		}
	}, radiusServer(t, func([]byte) []byte { return nil }), good)
	r := request()
	if a := next(t, s.Begin(r), r.Message); a.Outcome != Accepted || a.User != "alice" {
		t.Errorf("%+v", a)
	}
	if e := <-told; e.Kind != radius.NoWay {
		t.Errorf("told %v", e)
	}
}

// TestNewSockets: sockets that work no more are replaced.
func TestNewSockets(t *testing.T) {
	good := radiusServer(t, reply(radiustest.Answer{Code: radius.AccessAccept, Attributes: eapMessage(3, 7, 0, 4)}))
	var mu sync.Mutex
	var made []net.Conn
	s, _ := serve(t, func(cfg *ServersConfig) {
		cfg.Connect = func(ctx context.Context, server netip.AddrPort, sockets int) ([]net.Conn, error) {
			conns, err := dialUDP(ctx, server, sockets)
			mu.Lock()
			defer mu.Unlock()
			made = append(made, conns...)
			return conns, err
		}
	}, good)
	r := request()
	if a := next(t, s.Begin(r), r.Message); a.Outcome != Accepted {
		t.Fatalf("%+v", a)
	}
	mu.Lock()
	for _, c := range made {
		c.Close()
	}
	mu.Unlock()
	for range 100 { // the first may find the sockets that are closed
		if a := next(t, s.Begin(r), r.Message); a.Outcome == Accepted {
			return
		}
	}
	t.Error("nobody is let in any more")
}

// TestAbandon: whoever is gone is not answered, and the next one is.
func TestAbandon(t *testing.T) {
	s, _ := serve(t, nil, radiusServer(t, func([]byte) []byte { return nil }))
	r := request()
	c := s.Begin(r)
	c.Next(time.Now(), r.Message, func(a Answer) { t.Errorf("answered: %+v", a) })
	c.Abandon()
	c.Next(time.Now(), r.Message, func(a Answer) { t.Errorf("answered: %+v", a) })
	if a := next(t, s.Begin(r), r.Message); a.Outcome != Rejected {
		t.Errorf("%+v", a)
	}
}

// TestSlowServer: who waits for a slow server keeps nobody else waiting.
func TestSlowServer(t *testing.T) {
	server := radiusServer(t, func(request []byte) []byte {
		p, err := radius.ParsePacket(request)
		if err != nil {
			return nil
		}
		if name, _ := p.Attributes.Find(radius.TypeUserName); string(name) == "slow" {
			return nil
		}
		return radiustest.Reply(request, serverKey,
			radiustest.Answer{Code: radius.AccessAccept, Attributes: eapMessage(3, 7, 0, 4)})
	})
	server.Timeout = time.Minute
	s, _ := serve(t, nil, server)
	slow := request()
	slow.Identity = "slow"
	for range 50 {
		s.Begin(slow).Next(time.Now(), slow.Message, func(a Answer) { t.Errorf("answered: %+v", a) })
	}
	for i := range 50 {
		r := request()
		r.Identity = fmt.Sprint("user", i)
		if a := next(t, s.Begin(r), r.Message); a.Outcome != Accepted {
			t.Fatalf("%+v", a)
		}
	}
}
