package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/spec"
)

var begin = time.Unix(1000000, 0)

// office is a pool of three addresses with a reuse delay of a minute, of which the second
// is alice's own, as is one of no pool.
func office(t *testing.T) *Set {
	t.Helper()
	s, err := NewSet([]spec.Pool{
		{Name: "p", Start: addr("10.0.0.1"), End: addr("10.0.0.3"), ReuseDelay: time.Minute},
		{Name: "user alice", Dedicated: "alice", Start: addr("10.0.0.2"), End: addr("10.0.0.2")},
		{Name: "user alice", Dedicated: "alice", Start: addr("2001:db8::7"), End: addr("2001:db8::7")},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Tick(begin)
	return s
}

func TestDedicated(t *testing.T) {
	s := office(t)
	got := []netip.Addr{mustLease(t, s, "bob", "p"), mustLease(t, s, "carol", "p")}
	if want := []netip.Addr{addr("10.0.0.1"), addr("10.0.0.3")}; got[0] != want[0] || got[1] != want[1] {
		t.Errorf("others got %v, want %v", got, want)
	}
	if _, err := s.Lease([]string{"p"}, IPv4, by("dave"), addr("10.0.0.2")); !errors.Is(err, ErrExhausted) {
		t.Errorf("dave, who asks for alice's: %v", err)
	}
	if err := s.Reserve(addr("10.0.0.2"), by("dave")); !errors.Is(err, ErrTaken) {
		t.Errorf("dave had alice's before: %v", err)
	}
	first, second := Holder{Identity: "alice", Session: 1}, Holder{Identity: "alice", Session: 2}
	for _, f := range []struct {
		family Family
		want   string
	}{{IPv4, "10.0.0.2"}, {IPv6, "2001:db8::7"}} {
		if a, ok := s.LeaseOwn(f.family, first, netip.Addr{}); a != addr(f.want) || !ok {
			t.Errorf("alice got %v, %v, want %s", a, ok, f.want)
		}
		if a, ok := s.LeaseOwn(f.family, second, netip.Addr{}); ok {
			t.Errorf("another device of alice got %v, too", a)
		}
		if a, ok := s.LeaseOwn(f.family, second, addr(f.want)); a != addr(f.want) || !ok {
			t.Errorf("alice, who logs in again, got %v, %v", a, ok)
		}
		if _, ok := s.LeaseOwn(f.family, Holder{Identity: "alice", Group: "other", Session: 3}, addr(f.want)); ok {
			t.Error("an alice of another tunnel group has it at once")
		}
	}
	if s.Release(addr("10.0.0.2"), 1) || !s.Release(addr("10.0.0.2"), 2) {
		t.Error("it is free while a session has it, or not free behind the last one")
	}
	if a, ok := s.LeaseOwn(IPv4, by("alice"), netip.Addr{}); a != addr("10.0.0.2") || !ok {
		t.Errorf("alice got %v again, %v", a, ok)
	}
	if _, ok := s.LeaseOwn(IPv4, by("bob"), netip.Addr{}); ok {
		t.Error("bob has an own address")
	}
	if !s.Has([]string{"q"}, "alice", addr("10.0.0.2")) || s.Has([]string{"p"}, "bob", addr("10.0.0.2")) ||
		!s.Has([]string{"p"}, "bob", addr("10.0.0.3")) || s.Has([]string{"p"}, "bob", addr("10.0.9.9")) {
		t.Error("who may have what is told wrong")
	}
	want := []Usage{{"user alice", 1, 0, 1}, {"user alice", 1, 0, 1}, {"p", 2, 0, 2}}
	if diff := cmp.Diff(want, s.Usage()); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	wide := spec.Pool{Name: "x", Dedicated: "x", Start: addr("10.0.0.1"), End: addr("10.0.0.2")}
	if _, err := NewSet([]spec.Pool{wide}); err == nil {
		t.Error("a dedicated range was accepted")
	}
}

func TestReuseDelay(t *testing.T) {
	s := office(t)
	lease := func(who, wanted string) string {
		t.Helper()
		w, _ := netip.ParseAddr(wanted)
		a, err := s.Lease([]string{"p"}, IPv4, by(who), w)
		if err != nil {
			return "none"
		}
		return a.String()
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s got %s, want %s", what, got, want)
		}
	}
	want("bob", lease("bob", ""), "10.0.0.1")
	want("carol", lease("carol", ""), "10.0.0.3")
	s.Release(addr("10.0.0.1"), 0)
	s.Tick(begin.Add(59 * time.Second))
	if u := s.Usage()[2]; u.Held != 1 || u.Leased != 1 {
		t.Errorf("usage %+v", u)
	}
	want("dave", lease("dave", ""), "none")
	want("dave, who asks for it", lease("dave", "10.0.0.1"), "none")
	want("bob, who had it", lease("bob", ""), "10.0.0.1")
	s.Release(addr("10.0.0.1"), 0)
	next := office(t) // another worker, which does not know since when
	for a, who := range s.Habits {
		next.Remember(a, who)
	}
	s.Tick(begin.Add(119 * time.Second))
	want("dave, behind the delay", lease("dave", ""), "10.0.0.1")

	s = next
	if err := s.Reserve(addr("10.0.0.3"), by("carol")); err != nil {
		t.Fatal(err)
	}
	s.Tick(begin.Add(time.Hour)) // it was told the time before
	want("dave", lease("dave", ""), "10.0.0.1")

	fresh, err := NewSet([]spec.Pool{
		{Name: "p", Start: addr("10.0.0.1"), End: addr("10.0.0.1"), ReuseDelay: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	fresh.Remember(addr("10.0.0.1"), "bob")
	s = fresh
	s.Tick(begin.Add(time.Hour))
	want("dave, of a worker that has just begun", lease("dave", ""), "none")
	s.Tick(begin.Add(time.Hour + time.Minute))
	want("dave, a minute later", lease("dave", ""), "10.0.0.1")
}

// TestInVirtualTime logs people in and out at random, on one worker after the other, each of
// which knows of the one before what a journal keeps: no address is ever of two people, none
// comes to another within its delay, nobody gets alice's, and alice never another's.
func TestInVirtualTime(t *testing.T) {
	const people, delay = 8, time.Minute
	type login struct {
		who     Holder
		address netip.Addr
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, now := office(t), begin
		var logins []login
		last := map[netip.Addr]Holder{} // who had it
		until := map[netip.Addr]time.Time{}
		for step := range uint64(400) {
			now = now.Add(time.Duration(r.IntN(20)) * time.Second)
			s.Tick(now)
			switch r.IntN(8) {
			case 0: // takeover, restart or reload
				next := office(t)
				next.clock = clock{}
				for a, who := range s.Habits {
					next.Remember(a, who)
				}
				next.Tick(now)
				for _, l := range logins {
					if err := next.Reserve(l.address, l.who); err != nil {
						t.Fatalf("seed %d: %v of %v: %v", seed, l.address, l.who, err)
					}
				}
				s = next
			case 1, 2, 3:
				if len(logins) == 0 {
					continue
				}
				i := r.IntN(len(logins))
				l := logins[i]
				logins = append(logins[:i:i], logins[i+1:]...)
				if s.Release(l.address, l.who.Session) {
					until[l.address] = now.Add(delay)
				}
			default:
				h := Holder{Identity: fmt.Sprintf("u%d", r.IntN(people)), Group: fmt.Sprint(r.IntN(2)), Session: step}
				if r.IntN(4) == 0 {
					h.Identity = "alice"
				}
				wanted := addr(fmt.Sprintf("10.0.0.%d", r.IntN(5)))
				a, ok := s.LeaseOwn(IPv4, h, wanted)
				if !ok {
					var err error
					if a, err = s.Lease([]string{"p"}, IPv4, h, wanted); err != nil {
						continue
					}
				}
				for _, l := range logins {
					if l.address == a && (l.who.Identity != h.Identity || l.who.Group != h.Group) {
						t.Fatalf("seed %d: %v has %v, which %v has", seed, h, a, l.who)
					}
				}
				switch {
				case a == addr("10.0.0.2") && h.Identity != "alice":
					t.Fatalf("seed %d: %v has alice's", seed, h)
				case a != addr("10.0.0.2") && last[a].Identity != h.Identity && now.Before(until[a]):
					t.Fatalf("seed %d: %v has %v %v before its time", seed, h, a, until[a].Sub(now))
				}
				last[a] = h
				logins = append(logins, login{h, a})
			}
		}
	}
}
