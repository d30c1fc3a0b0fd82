package link

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/failover"
)

func TestRefuses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, got := listen(t, loopback)
	if Refuses(ctx, loopback, l.Addr()) {
		t.Error("a supervisor that asks for greetings refuses")
	}
	if err := <-got.refused; err != ErrNoGreeting {
		t.Errorf("it hears of that: %v", err)
	}

	// One that is ending: connections are made, until the kernel closes them.
	ending, err := net.ListenTCP("tcp", &net.TCPAddr{IP: loopback.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	defer ending.Close()
	at := ending.Addr().(*net.TCPAddr).AddrPort()
	refuses := make(chan bool, 1)
	go func() { refuses <- Refuses(ctx, loopback, at) }()
	for range 3 { // it comes again
		conn, err := ending.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	ending.Close()
	if !<-refuses {
		t.Error("a supervisor that has ended does not refuse")
	}
}

// TestRefusesInTime: one that neither asks nor ends, as a stopped process, is unknown
// when the time is over, and so is an address that nothing answers from.
func TestRefusesInTime(t *testing.T) {
	stopped, err := net.ListenTCP("tcp", &net.TCPAddr{IP: loopback.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	for _, at := range []netip.AddrPort{
		stopped.Addr().(*net.TCPAddr).AddrPort(), netip.MustParseAddrPort("192.0.2.1:8306"),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if Refuses(ctx, loopback, at) {
			t.Errorf("%v refuses", at)
		}
		cancel()
	}
}

// TestClosed: who has ended a session can be told.
func TestClosed(t *testing.T) { synctest.Test(t, closed) }

func closed(t *testing.T) {
	a, b, errA, errB := sessions(testConfig(failover.UnitPrimary), testConfig(failover.UnitSecondary))
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a.Closed() || b.Closed() {
		t.Error("a session that stands is closed")
	}
	a.Close()
	<-b.Done()
	if a.Closed() || !b.Closed() {
		t.Errorf("closed here: %v (%v), and there: %v (%v)", a.Closed(), a.Err(), b.Closed(), b.Err())
	}
	b.Close()
}
