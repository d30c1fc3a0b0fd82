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

// by is the only session of an identity.
func by(who string) Holder { return Holder{Identity: who} }

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
	a, err := s.Lease(names, IPv4, by(who), netip.Addr{})
	if err != nil {
		t.Fatalf("lease for %s: %v", who, err)
	}
	return a
}

func TestLeaseIsStablePerIdentity(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.3")
	a := mustLease(t, s, "alice", "p")
	mustLease(t, s, "bob", "p")
	s.Release(a, 0)
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
	s.Release(b, 0)
	s.Release(a, 0)
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
	if _, err := s.Lease([]string{"p", "q"}, IPv4, by("c"), netip.Addr{}); !errors.Is(err, ErrExhausted) {
		t.Errorf("exhausted: %v", err)
	}
	if _, err := s.Lease([]string{"six"}, IPv4, by("c"), netip.Addr{}); !errors.Is(err, ErrNoPool) {
		t.Errorf("other family: %v", err)
	}
	if got, err := s.Lease([]string{"six"}, IPv6, by("c"), addr("2001:db8::77")); err != nil ||
		got != addr("2001:db8::77") {
		t.Errorf("wanted: %v, %v", got, err)
	}
	if err := s.Reserve(addr("10.0.0.1"), by("a")); err != nil {
		t.Errorf("reserving again: %v", err)
	}
	if err := s.Reserve(addr("10.0.0.1"), by("b")); !errors.Is(err, ErrTaken) {
		t.Errorf("reserving what another has: %v", err)
	}
	if err := s.Reserve(addr("192.0.2.1"), by("a")); !errors.Is(err, ErrOutside) {
		t.Errorf("reserving outside: %v", err)
	}
	s.Release(addr("192.0.2.1"), 0)
	want := []Usage{{"p", 1, 0, 1}, {"q", 1, 0, 1}, {"six", 1, 0, 0xffff}}
	if diff := cmp.Diff(want, s.Usage()); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestNewSetRefusesBadRanges(t *testing.T) {
	for _, p := range []spec.Pool{{}, {Start: addr("10.0.0.2"), End: addr("10.0.0.1")},
		{Start: addr("10.0.0.2"), End: addr("::1")}} {
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
// leased to two identities, none lies outside, an address is free when its last
// session has released it, and exhaustion is told only when it is true.
func TestAgainstModel(t *testing.T) {
	const size = 20
	type held struct {
		who      string
		sessions map[uint64]bool
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := newSet(t, "p", "10.0.0.0", "10.0.0.19")
		model := make(map[netip.Addr]held)
		hold := func(a netip.Addr, h Holder) {
			if model[a].who == "" {
				model[a] = held{h.Identity, map[uint64]bool{}}
			}
			model[a].sessions[h.Session] = true
		}
		for step := range uint64(300) {
			h := Holder{Identity: fmt.Sprintf("u%d", r.IntN(40)), Session: step}
			some := addr(fmt.Sprintf("10.0.0.%d", r.IntN(size)))
			mine := model[some].who == h.Identity
			switch r.IntN(4) {
			case 0, 1:
				a, err := s.Lease([]string{"p"}, IPv4, h, some)
				if (err != nil) != (len(model) == size && !mine) {
					t.Fatalf("seed %d: %d of %d leased, error %v", seed, len(model), size, err)
				}
				if err != nil {
					continue
				}
				if mine && a != some || !mine && model[a].who != "" {
					t.Fatalf("seed %d: %v got %v, which %s has, and wanted %v", seed, h, a, model[a].who, some)
				}
				hold(a, h)
			case 2:
				for session := range model[some].sessions {
					delete(model[some].sessions, session)
					last := len(model[some].sessions) == 0
					if free := s.Release(some, session); free != last {
						t.Fatalf("seed %d: %v is free: %v, want %v", seed, some, free, last)
					}
					if last {
						delete(model, some)
					}
					break
				}
			case 3:
				err := s.Reserve(some, h)
				if taken := model[some].who != "" && !mine; (err != nil) != taken {
					t.Fatalf("seed %d: reserve %v for %v: %v", seed, some, h, err)
				}
				if err == nil {
					hold(some, h)
				}
			}
		}
		if got := s.Usage()[0].Leased; got != len(model) {
			t.Fatalf("seed %d: %d leased, model has %d", seed, got, len(model))
		}
	}
}

// TestMakeBeforeBreak: an identity that asks for the address that it has gets it,
// and keeps it when its earlier session ends.
func TestMakeBeforeBreak(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.9")
	lease := func(who string, session uint64, wanted netip.Addr) netip.Addr {
		t.Helper()
		a, err := s.Lease([]string{"p"}, IPv4, Holder{Identity: who, Session: session}, wanted)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := lease("alice", 1, netip.Addr{})
	if got := lease("alice", 2, a); got != a {
		t.Fatalf("second session: got %v, asked for %v", got, a)
	}
	if got := lease("alice", 3, netip.Addr{}); got == a {
		t.Errorf("another device, which asks for any: got %v, which the first has", got)
	}
	if got := lease("mallory", 4, a); got == a {
		t.Errorf("mallory got %v", got)
	}
	for _, session := range []uint64{1, 1, 9} {
		if s.Release(a, session) {
			t.Error("the address is free while its second session has it")
		}
	}
	if got := lease("bob", 5, a); got == a {
		t.Errorf("bob got %v", got)
	}
	if !s.Release(a, 2) {
		t.Error("the address is not free")
	}
}

// TestRemember: what came back is kept for who had it, in another set as well.
func TestRemember(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.3", "q", "10.0.1.1", "10.0.1.3")
	var all []netip.Addr
	for _, who := range []string{"alice", "bob", "carol"} {
		all = append(all, mustLease(t, s, who, "p"))
	}
	for _, i := range []int{1, 0, 2} {
		s.Release(all[i], 0)
	}
	next := newSet(t, "p", "10.0.0.1", "10.0.0.2", "q", "10.0.1.1", "10.0.1.3")
	if err := next.Reserve(all[0], by("bob")); err != nil { // what is remembered goes before
		t.Fatal(err)
	}
	for a, who := range s.Habits {
		if kept := next.Remember(a, who); kept != (a != all[2]) {
			t.Errorf("%v of %s is kept: %v", a, who, kept)
		}
	}
	for i, who := range []string{"alice", "bob"} {
		if got := mustLease(t, next, who, "p", "q"); got != all[i] {
			t.Errorf("%s got %v, had %v", who, got, all[i])
		}
	}
	if got := mustLease(t, next, "carol", "p", "q"); got != addr("10.0.1.1") {
		t.Errorf("carol got %v", got)
	}
	next.Release(all[1], 0)
	next.Release(all[0], 0)
	var order []netip.Addr
	for a := range next.Habits {
		order = append(order, a)
	}
	if diff := cmp.Diff([]netip.Addr{all[1], all[0]}, order,
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestHabitCountsMoreThanOrder(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.1", "q", "10.0.1.1", "10.0.1.9")
	first := mustLease(t, s, "alice", "p", "q")
	second := mustLease(t, s, "bob", "p", "q")
	s.Release(first, 0)
	s.Release(second, 0)
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
		got, err := s.Lease([]string{"p"}, IPv4, by("mallory"), a)
		if err != nil || got == a {
			t.Errorf("%s: mallory got %v, %v", state, got, err)
		}
		s.Release(a, 0)
	}
	if got := mustLease(t, s, "alice", "p"); got != a {
		t.Errorf("alice got %v, had %v", got, a)
	}
}

func TestTwoSessionsOfOneIdentity(t *testing.T) {
	s := newSet(t, "p", "10.0.0.1", "10.0.0.3")
	a, b := mustLease(t, s, "alice", "p"), mustLease(t, s, "alice", "p")
	s.Release(a, 0)
	s.Release(b, 0)
	if got := mustLease(t, s, "alice", "p"); got != b {
		t.Errorf("first session: got %v, want the last %v", got, b)
	}
	if got, err := s.Lease([]string{"p"}, IPv4, by("bob"), a); err != nil || got != a {
		t.Errorf("an address that is kept for nobody: %v, %v", got, err)
	}
}

func TestLargePool(t *testing.T) {
	s := newSet(t, "p", "10.0.0.0", "10.255.255.255")
	if err := s.Reserve(addr("10.0.0.1"), by("reserved")); err != nil {
		t.Fatal(err)
	}
	p := s.pools[0]
	for i := range maxKept + 1000 {
		a := mustLease(t, s, fmt.Sprint("u", i), "p")
		if a == addr("10.0.0.1") {
			t.Fatal("a reserved address was leased")
		}
		s.Release(a, 0)
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
	if _, err := s.Lease([]string{"p"}, IPv4, by("c"), netip.Addr{}); !errors.Is(err, ErrExhausted) {
		t.Errorf("error = %v", err)
	}
}
