//go:build e2e

package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is two namespaces with one link.
func pair(t *testing.T) (l *Lab, a, b *Namespace) {
	t.Helper()
	l = New(t)
	a, b = l.Namespace("a"), l.Namespace("b")
	l.Veth(a, "eth0", b, "eth0")
	a.Address("eth0", "192.0.2.1/24", "2001:db8::1/64")
	b.Address("eth0", "192.0.2.2/24", "2001:db8::2/64")
	return l, a, b
}

func TestPing(t *testing.T) {
	_, a, _ := pair(t)
	tests := []struct {
		name string
		ping Ping
		lost int
	}{
		{"IPv4", Ping{To: "192.0.2.2"}, 0},
		{"IPv6", Ping{To: "2001:db8::2", From: "2001:db8::1"}, 0},
		{"fragments", Ping{To: "192.0.2.2", Size: 8000}, 0},
		{"nobody there", Ping{To: "192.0.2.3", Timeout: 100 * time.Millisecond}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.ping.Interval = 10 * time.Millisecond
			got := a.Ping(tt.ping)
			if got.Sent != 3 || got.Lost() != tt.lost || got.Corrupt != 0 {
				t.Errorf("got %v, want 3 sent, %d lost", got, tt.lost)
			}
		})
	}
}

func TestOutage(t *testing.T) {
	l, a, b := pair(t)
	p := a.StartPing(Ping{To: "192.0.2.2", Interval: 10 * time.Millisecond, Timeout: 100 * time.Millisecond})
	reaches := func(what string, n int, count func() int) {
		t.Helper()
		l.Eventually(what, Patience, func() error {
			if got := count(); got < n {
				return fmt.Errorf("there are %d of %d", got, n)
			}
			return nil
		})
	}
	sent := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.sent)
	}
	reaches("answers", 3, p.Received)
	b.Down("eth0")
	n := p.Received()
	reaches("a request that is lost", sent()+1, sent)
	begin := time.Now()
	reaches("more of them", sent()+10, sent)
	down := time.Since(begin)
	b.Up("eth0")
	reaches("answers again", n+3, p.Received)
	r := p.Stop()
	if r.Lost() < 10 || r.Outage < down {
		t.Errorf("got %v, want an outage of %v or more, and 10 lost", r, down)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	l, a, _ := pair(t)
	p := a.Start(Command{Args: []string{"sleep", "1000"}})
	c := a.Capture("eth0")
	a.MustPing(Ping{To: "192.0.2.2", Interval: time.Millisecond})
	if got := len(c.Packets(func(p Packet) bool { return p.Protocol == "icmp" })); got < 6 {
		t.Errorf("captured %d echo packets, want at least 6", got)
	}
	if got := Leftovers(l.Prefix()); len(got) != 2 {
		t.Errorf("while the lab stands: got %v, want two namespaces", got)
	}
	l.Close()
	if p.Running() {
		t.Error("the process still runs")
	}
	if got := Leftovers(l.Prefix()); len(got) != 0 {
		t.Errorf("after Close: %v", got)
	}
	if _, err := os.Stat(l.Dir()); !os.IsNotExist(err) {
		t.Errorf("folder of the lab: got %v, want it to be gone", err)
	}
}

func TestIperf(t *testing.T) {
	_, a, b := pair(t)
	r := a.MustIperf(b, Iperf{To: "192.0.2.2", Seconds: 1})
	if r.BitsPerSecond < 1e6 {
		t.Errorf("got %v", r)
	}
	r = a.MustIperf(b, Iperf{To: "192.0.2.2", UDP: true, Rate: "10M", Length: 1000})
	if r.Bytes == 0 {
		t.Errorf("UDP: got %v", r)
	}
}

// TestStrongSwan proves the foreign peer alone, before ours is at its other
// end: two of them with keys of their own, an address, and a ping through.
func TestStrongSwan(t *testing.T) {
	_, a, b := pair(t)
	b.Address("lo", "10.10.0.53/32")
	gw := b.StrongSwan(StrongSwanConfig{Conns: []StrongSwanConn{{
		Name: "gw", Local: "192.0.2.2", LocalID: "gw.example", RemoteID: "*@example", LocalPSK: "gateway key",
		RemotePSK: "client key",
		LocalTS:   "10.10.0.0/24", Pool: "10.99.0.10-10.99.0.20",
	}}})
	client := a.StrongSwan(StrongSwanConfig{Conns: []StrongSwanConn{{
		Name: "hub", Remote: "192.0.2.2", LocalID: "alice@example", RemoteID: "gw.example", LocalPSK: "client key",
		RemotePSK: "gateway key",
		VIPs:      "0.0.0.0", RemoteTS: "10.10.0.0/24",
	}}})
	c := a.Capture("eth0")
	client.MustInitiate("hub")
	if got := client.VIPs(); len(got) != 1 || got[0] != "10.99.0.10" {
		t.Errorf("addresses given: got %v, want 10.99.0.10", got)
	}
	a.MustPing(Ping{To: "10.10.0.53"})
	if c.Inits(time.Time{}) != 1 {
		t.Errorf("got %d IKE_SA_INIT requests, want 1", c.Inits(time.Time{}))
	}
	if len(c.Packets(func(p Packet) bool { return p.Protocol == "esp-in-udp" })) < 6 ||
		len(c.Packets(func(p Packet) bool { return p.Protocol == "icmp" })) > 0 {
		t.Error("the ping was not inside ESP")
	}
	if err := client.Terminate("hub"); err != nil {
		t.Error(err)
	}
	if gw.Established() {
		t.Error("the gateway still has the SA")
	}

	client.Stop()
	second := a.StrongSwan(StrongSwanConfig{Conns: []StrongSwanConn{{
		Name: "hub", Remote: "192.0.2.2", LocalID: "alice@example", RemoteID: "gw.example", LocalPSK: "no key",
		RemotePSK: "gateway key",
		VIPs:      "0.0.0.0", RemoteTS: "10.10.0.0/24",
	}}})
	if err := second.Initiate("hub", 5*time.Second); err == nil ||
		!strings.Contains(second.Log(), "AUTHENTICATION_FAILED") {
		t.Errorf("with a wrong key: got %v, want AUTHENTICATION_FAILED", err)
	}
}
