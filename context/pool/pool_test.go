package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/spec"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func newSet(t *testing.T, ranges ...string) *Set {
	t.Helper()
	var specs []spec.Pool
	for i := 0; i < len(ranges); i += 3 {
		specs = append(specs, spec.Pool{Name: ranges[i], Start: addr(ranges[i+1]), End: addr(ranges[i+2])})
	}
	s, err := NewSet(specs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustLease(t *testing.T, s *Set, who string, names ...string) netip.Addr {
	t.Helper()
	a, err := s.Lease(names, IPv4, who, netip.Addr{})
	if err != nil {
		t.Fatalf("lease for %s: %v", who, err)
	}
	return a
}

func TestLeaseIsStablePerIdentity(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.3")
	a := mustLease(t, s, "alice", "p")
	mustLease(t, s, "bob", "p")
	s.Release(a)
	if got := mustLease(t, s, "carol", "p"); got == a {
		t.Errorf("carol got %v, which alice had, while another was free", got)
	}
	if got := mustLease(t, s, "alice", "p"); got != a {
		t.Errorf("alice got %v, had %v", got, a)
	}
}

func TestOldestFreedFirst(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.2")
	a, b := mustLease(t, s, "a", "p"), mustLease(t, s, "b", "p")
	s.Release(b)
	s.Release(a)
	if got := mustLease(t, s, "c", "p"); got != b {
		t.Errorf("c got %v, want %v, free for longer", got, b)
	}
	if got := mustLease(t, s, "b", "p"); got != a {
		t.Errorf("b got %v, want the last one %v", got, a)
	}
}

func TestLeaseErrorsAndOrder(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.1", "q", "10.0.1.1", "10.0.1.1", "six", "2001:db8::1", "2001:db8::ffff")
	if got := mustLease(t, s, "a", "p", "q"); got != addr("10.0.0.1") {
		t.Errorf("first pool: got %v", got)
	}
	if got := mustLease(t, s, "b", "p", "q"); got != addr("10.0.1.1") {
		t.Errorf("second pool: got %v", got)
	}
	if _, err := s.Lease([]string{"p", "q"}, IPv4, "c", netip.Addr{}); !errors.Is(err, ErrExhausted) {
		t.Errorf("exhausted: %v", err)
	}
	if _, err := s.Lease([]string{"six"}, IPv4, "c", netip.Addr{}); !errors.Is(err, ErrNoPool) {
		t.Errorf("other family: %v", err)
	}
	if got, err := s.Lease([]string{"six"}, IPv6, "c", addr("2001:db8::77")); err != nil || got != addr("2001:db8::77") {
		t.Errorf("wanted: %v, %v", got, err)
	}
	if err := s.Reserve(addr("10.0.0.1"), "a"); err != nil {
		t.Errorf("reserving again: %v", err)
	}
	if err := s.Reserve(addr("10.0.0.1"), "b"); !errors.Is(err, ErrTaken) {
		t.Errorf("reserving what another has: %v", err)
	}
	if err := s.Reserve(addr("192.0.2.1"), "a"); !errors.Is(err, ErrOutside) {
		t.Errorf("reserving outside: %v", err)
	}
	s.Release(addr("192.0.2.1"))
	want := []Usage{{"p", 1, 1}, {"q", 1, 1}, {"six", 1, 0xffff}}
	if diff := cmp.Diff(want, s.Usage()); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestNewSetRefusesBadRanges(t *testing.T) {
	for _, p := range []spec.Pool{{}, {Start: addr("10.0.0.2"), End: addr("10.0.0.1")}, {Start: addr("10.0.0.2"), End: addr("::1")}} {
		if _, err := NewSet([]spec.Pool{p}); err == nil {
			t.Errorf("%v was accepted", p)
		}
	}
}

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		start, end string
		want       uint64
	}{
		{"10.0.0.255", "10.0.1.0", 2},
		{"0.0.0.0", "255.255.255.255", 1 << 32},
		{"::", "::ffff:ffff:ffff:ffff", 1<<64 - 1},
		{"::", "1::", 1<<64 - 1},
	} {
		s := newSet(t, "p", tt.start, tt.end)
		if got := s.Usage()[0].Size; got != tt.want {
			t.Errorf("size of %s-%s = %d, want %d", tt.start, tt.end, got, tt.want)
		}
	}
}

// TestAgainstModel leases, releases and reserves at random: no address is ever
// leased twice, none lies outside, and exhaustion is told only when it is true.
func TestAgainstModel(t *testing.T) {
	const size = 20
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := newSet(t, "p", "10.0.0.0", "10.0.0.19")
		model := make(map[netip.Addr]string)
		for range 300 {
			who := fmt.Sprintf("u%d", r.IntN(40))
			some := addr(fmt.Sprintf("10.0.0.%d", r.IntN(size)))
			switch r.IntN(4) {
			case 0, 1:
				a, err := s.Lease([]string{"p"}, IPv4, who, some)
				if (err != nil) != (len(model) == size) {
					t.Fatalf("seed %d: %d of %d leased, error %v", seed, len(model), size, err)
				}
				if err == nil {
					if model[a] != "" {
						t.Fatalf("seed %d: %v leased twice", seed, a)
					}
					model[a] = who
				}
			case 2:
				s.Release(some)
				delete(model, some)
			case 3:
				err := s.Reserve(some, who)
				if taken := model[some] != "" && model[some] != who; (err != nil) != taken {
					t.Fatalf("seed %d: reserve %v for %s: %v", seed, some, who, err)
				}
				if err == nil {
					model[some] = who
				}
			}
		}
		if got := s.Usage()[0].Leased; got != len(model) {
			t.Fatalf("seed %d: %d leased, model has %d", seed, got, len(model))
		}
	}
}

func TestHabitCountsMoreThanOrder(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.1", "q", "10.0.1.1", "10.0.1.9")
	first := mustLease(t, s, "alice", "p", "q")
	second := mustLease(t, s, "bob", "p", "q")
	s.Release(first)
	s.Release(second)
	if got := mustLease(t, s, "bob", "p", "q"); got != second {
		t.Errorf("bob got %v, had %v", got, second)
	}
	if got := mustLease(t, s, "carol", "p", "q"); got != first {
		t.Errorf("carol got %v, want %v: the first pool has one that is free", got, first)
	}
}

func TestWantedIsNotTakenFromItsHolder(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.9")
	a := mustLease(t, s, "alice", "p")
	for _, state := range []string{"leased", "kept"} {
		got, err := s.Lease([]string{"p"}, IPv4, "mallory", a)
		if err != nil || got == a {
			t.Errorf("%s: mallory got %v, %v", state, got, err)
		}
		s.Release(a)
	}
	if got := mustLease(t, s, "alice", "p"); got != a {
		t.Errorf("alice got %v, had %v", got, a)
	}
}

func TestTwoSessionsOfOneIdentity(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.3")
	a, b := mustLease(t, s, "alice", "p"), mustLease(t, s, "alice", "p")
	s.Release(a)
	s.Release(b)
	if got := mustLease(t, s, "alice", "p"); got != b {
		t.Errorf("first session: got %v, want the last %v", got, b)
	}
	if got, err := s.Lease([]string{"p"}, IPv4, "bob", a); err != nil || got != a {
		t.Errorf("an address that is kept for nobody: %v, %v", got, err)
	}
}

func TestLargePool(t *testing.T) {
	s := newSet(t, "p", "10.0.0.0", "10.255.255.255")
	if err := s.Reserve(addr("10.0.0.1"), "reserved"); err != nil {
		t.Fatal(err)
	}
	p := s.pools[0]
	for i := range maxKept + 1000 {
		a := mustLease(t, s, fmt.Sprint("u", i), "p")
		if a == addr("10.0.0.1") {
			t.Fatal("a reserved address was leased")
		}
		s.Release(a)
	}
	if got := p.queue.Len() + len(p.freed) + len(p.habit); got > 3*maxKept {
		t.Errorf("%d entries are kept", got)
	}
	if got := mustLease(t, s, fmt.Sprint("u", maxKept+999), "p"); got == (netip.Addr{}) || p.next != addr("10.1.0.1") {
		t.Errorf("got %v, next %v", got, p.next)
	}
}

func TestEndOfAddressSpace(t *testing.T) {
	s := newSet(t, "p", "255.255.255.254", "255.255.255.255")
	mustLease(t, s, "a", "p")
	mustLease(t, s, "b", "p")
	if _, err := s.Lease([]string{"p"}, IPv4, "c", netip.Addr{}); !errors.Is(err, ErrExhausted) {
		t.Errorf("error = %v", err)
	}
}
