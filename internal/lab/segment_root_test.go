//go:build e2e

package lab

import (
	"net"
	"testing"
	"time"
)

// TestSegment parts, filters and unplugs what is connected to an Ethernet.
func TestSegment(t *testing.T) {
	l := New(t)
	s := l.Segment("lan")
	hosts := map[string]*Namespace{}
	for i, name := range []string{"a", "b", "c"} {
		hosts[name] = l.Namespace(name)
		s.Connect(name, hosts[name], "eth0")
		hosts[name].Address("eth0", []string{"192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"}[i])
	}
	reaches := func(from, to string, want bool) {
		t.Helper()
		r := hosts[from].Ping(Ping{To: to, Interval: 10 * time.Millisecond, Timeout: 200 * time.Millisecond})
		if got := r.Received > 0; got != want {
			t.Errorf("%s reaches %s: got %v, want %v", from, to, got, want)
		}
	}
	reaches("a", "192.0.2.2", true)
	s.Part("a", "b")
	reaches("a", "192.0.2.2", false)
	reaches("a", "192.0.2.3", true)
	s.Join("a", "b")
	reaches("a", "192.0.2.2", true)
	s.Unplug("b")
	reaches("a", "192.0.2.2", false)
	s.Plug("b")
	reaches("a", "192.0.2.2", true)
	f := s.Drop("c", "ip protocol icmp")
	if f.Dropped() {
		t.Error("the filter has dropped something before there was anything")
	}
	reaches("a", "192.0.2.3", false)
	if !f.Dropped() {
		t.Error("the filter has dropped nothing")
	}
	f.Heal()
	reaches("a", "192.0.2.3", true)
}

// TestNAT looks from where a client's datagrams come, before and after its
// router has forgotten its bindings.
func TestNAT(t *testing.T) {
	l := New(t)
	client, router, server := l.Namespace("client"), l.Namespace("router"), l.Namespace("server")
	l.Veth(client, "out", router, "home")
	l.Veth(router, "out", server, "in")
	client.Address("out", "172.16.0.2/24")
	client.Route("0.0.0.0/0", "172.16.0.1")
	router.Address("home", "172.16.0.1/24")
	router.Address("out", "192.0.2.9/24")
	server.Address("in", "192.0.2.1/24")
	nat := router.NAT("out", "192.0.2.9")

	var from, at net.PacketConn
	err := server.Do(func() (err error) { at, err = net.ListenPacket("udp", "192.0.2.1:4500"); return err })
	if err == nil {
		err = client.Do(func() (err error) { from, err = net.ListenPacket("udp", ":4500"); return err })
	}
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	defer from.Close()
	seen := func() string {
		t.Helper()
		at.SetReadDeadline(time.Now().Add(Patience))
		if _, err := from.WriteTo([]byte("x"), at.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		_, addr, err := at.ReadFrom(make([]byte, 16))
		if err != nil {
			t.Fatal(err)
		}
		return addr.String()
	}
	first := seen()
	if again := seen(); again != first {
		t.Errorf("second datagram: from %s, want %s as the first", again, first)
	}
	nat.Rebind()
	if after := seen(); after == first {
		t.Errorf("after a rebinding: still from %s", after)
	}
	client.MustPing(Ping{To: "192.0.2.1", Interval: 10 * time.Millisecond})
}

// TestFlow tells one direction from the other.
func TestFlow(t *testing.T) {
	l, a, b := pair(t)
	there := l.StartFlow(Flow{From: a, To: b, Target: "192.0.2.2"})
	back := l.StartFlow(Flow{From: b, To: a, Target: "192.0.2.1"})
	both := func(n int) {
		t.Helper()
		l.Eventually("the flows", Patience, func() error {
			if there.Received() < n || back.Received() < n {
				return net.ErrClosed
			}
			return nil
		})
	}
	both(5)
	f := b.Drop("eth0", "udp sport != 0")
	sent := func() int {
		there.mu.Lock()
		defer there.mu.Unlock()
		return len(there.sent)
	}
	n, begin := back.Received(), sent()
	l.Eventually("the other direction", Patience, func() error {
		if back.Received() < n+20 || sent() < begin+20 {
			return net.ErrClosed
		}
		return nil
	})
	f.Heal()
	both(there.Received() + 5)
	lost, whole := there.Stop(), back.Stop()
	if lost.Lost() < 15 || lost.Outage < 150*time.Millisecond {
		t.Errorf("direction that was cut: got %v, want an outage of about 200 ms", lost)
	}
	if whole.Lost() > 0 || whole.Twice > 0 {
		t.Errorf("the other direction: got %v, want nothing lost", whole)
	}
}
