package failover

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

const testHold = 150 * time.Millisecond

// TestAlone: a node is alone when it has not heard its peer for as long as a starting one looks
// for it; one whose earlier life was alone is so until it hears the peer.
func TestAlone(t *testing.T) {
	l := newLab(t)
	check := func(when string, want bool) {
		t.Helper()
		if got := l.nodes[0].Alone(l.now); got != want {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
	}
	l.boot(0)
	l.run(DefaultWait - time.Millisecond)
	check("while it looks for the peer", false)
	l.run(2 * time.Millisecond)
	check("without a peer", true)
	l.boot(1)
	l.run(100 * time.Millisecond)
	check("with a peer", false)
	l.nodes[1] = nil
	l.run(DefaultHold + DefaultWait - 100*time.Millisecond)
	check("some time after the death of the peer", false)
	l.run(200 * time.Millisecond)
	check("long after it", true)
	l.cfg[0].Alone = true
	l.boot(0)
	check("as before", true)
	l.boot(1)
	l.run(100 * time.Millisecond)
	check("with a peer that has returned", false)
	l.cfg[1].Keys = []secret.Value{secret.Copy([]byte("the key of somebody else, of 32 octets"))}
	l.boot(0)
	l.boot(1)
	l.run(100 * time.Millisecond)
	check("where all that is heard is a stranger", true)
	l.cfg[1].Keys, l.cfg[1].Unit = l.cfg[0].Keys, l.cfg[0].Unit
	l.boot(0)
	l.boot(1)
	l.run(100 * time.Millisecond)
	check("where the other node says that it is this unit", false)
}

// TestTenure: a worker without a supervisor serves as long as its twin answers, and not
// longer; with another supervisor it serves on, and the twin hears of it for a while.
func TestTenure(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	orphan := func() *Tenure {
		n := NewTenure(testHold)
		n.Orphaned(start)
		return &n
	}
	t.Run("with a supervisor", func(t *testing.T) {
		n := NewTenure(0)
		if n.Lapsed(at(time.Hour)) || n.Due(at(time.Hour)) || !n.Deadline().IsZero() || !n.Until().IsZero() {
			t.Errorf("%+v", n)
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		n := orphan()
		n.Orphaned(at(testHold - 1)) // once more: nothing new
		if n.Lapsed(at(testHold-1)) || !n.Lapsed(at(testHold)) {
			t.Error("it does not end with the hold time")
		}
		n.Tended(at(testHold), at(testHold-1))
		if !n.Lapsed(at(testHold)) {
			t.Error("a late answer brings it back")
		}
	})
	t.Run("answered", func(t *testing.T) {
		n := orphan()
		sent := 0
		for d := time.Duration(0); d < 10*testHold; d += time.Millisecond {
			if n.Due(at(d)) {
				sent++
				n.Tended(at(d), at(d))
			}
			if n.Lapsed(at(d)) {
				t.Fatalf("lapsed after %v", d)
			}
			if next := n.Deadline(); next.IsZero() || !next.After(at(d)) {
				t.Fatalf("after %v the next deadline is %v", d, next)
			}
		}
		if sent != 30 {
			t.Errorf("%d messages in ten hold times", sent)
		}
		n.Tended(at(10*testHold), at(20*testHold)) // an answer from the future
		if !n.Lapsed(at(13 * testHold)) {
			t.Error("it outlives the lease")
		}
	})
	t.Run("alone", func(t *testing.T) {
		const lease = 10 * time.Second
		alone := func() *Tenure {
			n := NewTenure(testHold)
			n.OrphanedAlone(start, lease)
			n.Orphaned(at(time.Second)) // once more: nothing new
			return &n
		}
		n := alone()
		if !n.Alone() || n.Due(at(time.Second)) || !n.Deadline().Equal(at(lease)) || !n.Until().Equal(at(lease)) ||
			n.Lapsed(at(lease-1)) || !n.Lapsed(at(lease)) {
			t.Errorf("%+v", n)
		}
		n.Met(at(lease))
		if !n.Lapsed(at(lease)) {
			t.Error("a late session brings it back")
		}
		n = alone()
		n.Met(at(time.Second))
		if n.Alone() || !n.Due(at(time.Second)) || !n.Lapsed(at(time.Second+testHold)) {
			t.Errorf("with a twin: %+v", n)
		}
		n = alone()
		n.Confirmed(at(time.Second))
		if n.Alone() || n.Orphan() || n.Lapsed(at(time.Hour)) || !n.Deadline().IsZero() {
			t.Errorf("with another supervisor: %+v", n)
		}
	})
	t.Run("confirmed", func(t *testing.T) {
		n := orphan()
		n.Confirmed(at(testHold / 2))
		if n.Orphan() || n.Lapsed(at(time.Hour)) || !n.Due(at(testHold/2)) || !n.Due(at(9*testHold)) {
			t.Errorf("%+v", n)
		}
		if n.Due(at((patience+1)*testHold)) || !n.Deadline().IsZero() {
			t.Error("the twin is told for ever")
		}
	})
	t.Run("ended", func(t *testing.T) {
		n := orphan()
		n.Ended()
		if n.Orphan() || n.Due(at(time.Hour)) || !n.Deadline().IsZero() {
			t.Errorf("%+v", n)
		}
	})
}

// TestVigil: the standby serves only when the lease of its twin is over, or the twin has
// ended the session.
func TestVigil(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	v := NewVigil(0)
	if v.Serves(start) || !v.Until().IsZero() {
		t.Error("a twin that has said nothing serves")
	}
	if !v.Tend(start) || !v.Serves(start) {
		t.Error("it is not answered")
	}
	v.Yield()
	if v.Tend(start.Add(DefaultHold)) {
		t.Error("it is answered although it has to yield")
	}
	if over := lapseHolds * DefaultHold; !v.Serves(start.Add(over-1)) || v.Serves(start.Add(over)) {
		t.Error("the lease is over too early, or too late")
	}
	v.Ended()
	if v.Serves(start) || !v.Tend(start) {
		t.Error("the next session is not another one")
	}
	// What keeps two from serving at once: the active worker counts from when it sent what
	// was answered, the standby from when it answered.
	if leaseHolds >= lapseHolds {
		t.Error("the lease ends on the standby before it does on the active worker")
	}
}
