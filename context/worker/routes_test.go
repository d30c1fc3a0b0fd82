package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/sa"
)

// routesTenant has a pool outside every subnet, and one within the inside.
func routesTenant() *spec.Tenant {
	addr := netip.MustParseAddr
	return &spec.Tenant{
		Interfaces: []spec.Interface{{Name: "inside", Addresses: []netip.Prefix{netip.MustParsePrefix("10.10.0.1/24"),
			netip.MustParsePrefix("fd00:10::1/64")}}},
		Pools: []spec.Pool{
			{Name: "p", Start: addr("10.99.0.10"), End: addr("10.99.0.250")},
			{Name: "p6", Start: addr("fd00:10::c:1"), End: addr("fd00:10::c:ffff")},
			{Name: "far6", Start: addr("fd00:99::1"), End: addr("fd00:99::ffff")},
		},
	}
}

// childOf is a child SA with these networks, ours before the peer's.
func childOf(id uint64, local, remote string) *sa.Change {
	pick := func(text string) sa.Selector {
		if a, b, ok := cutRange(text); ok {
			return sa.Selector{Start: a, End: b, EndPort: 0xffff}
		}
		return sa.SelectorOf(netip.MustParsePrefix(text))
	}
	return &sa.Change{Op: sa.OpAdd, Child: sa.Child{ID: id, Local: []sa.Selector{pick(local)},
		Remote: []sa.Selector{pick(remote)}}}
}

func cutRange(text string) (a, b netip.Addr, ok bool) {
	for i := range text {
		if text[i] == '-' {
			return netip.MustParseAddr(text[:i]), netip.MustParseAddr(text[i+1:]), true
		}
	}
	return a, b, false
}

// TestRoutes: what the supervisor is told as child SAs come and go.
func TestRoutes(t *testing.T) {
	c := newRoutes(routesTenant(), nil, nil)
	del := func(id uint64) *sa.Change { return &sa.Change{Op: sa.OpDelete, Child: sa.Child{ID: id}} }
	steps := []struct {
		what   string
		change *sa.Change
		want   string // "": nothing is told
	}{
		{"the beginning", nil, `{"reset":true}`},
		{"a client with an address of a pool", childOf(1, "10.10.0.0/24", "10.99.0.10/32"), ""},
		{"a site", childOf(2, "10.10.0.0/24", "10.77.0.0/16"), `{"add":[{"destination":"10.77.0.0/16"}]}`},
		{"its successor", childOf(3, "10.10.0.0/24", "10.77.0.0/16"), ""},
		{"the one before goes", del(2), ""},
		{"a range", childOf(4, "10.10.0.0/24", "10.78.0.1-10.78.0.2"),
			`{"add":[{"destination":"10.78.0.1/32"},{"destination":"10.78.0.2/32"}]}`},
		{"a gateway that gave us an address", childOf(5, "10.55.0.3/32", "0.0.0.0/0"),
			`{"add":[{"destination":"0.0.0.0/0","source":"10.55.0.3"}]}`},
		{"a client whose pool is gone", childOf(6, "10.10.0.0/24", "10.98.0.1/32"),
			`{"add":[{"destination":"10.98.0.1/32"}]}`},
		{"a client within the inside", childOf(7, "fd00:10::/64", "fd00:10::c:5/128"), `{"answer":["fd00:10::c:5"]}`},
		{"a client elsewhere", childOf(8, "fd00:10::/64", "fd00:99::5/128"), ""},
		{"a child twice", childOf(7, "fd00:10::/64", "fd00:10::c:5/128"), ""},
		{"the site goes", del(3), `{"remove":["10.77.0.0/16"]}`},
		{"it goes twice", del(3), ""},
		{"the client goes", del(7), `{"silence":["fd00:10::c:5"]}`},
	}
	for _, s := range steps {
		if s.change != nil {
			c.change(s.change)
		}
		m, any := c.message()
		got, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if any != (s.want != "") || any && string(got) != s.want {
			t.Errorf("%s: told %s (%v), want %s", s.what, got, any, s.want)
		}
	}
	c.reset = true
	m, _ := c.message()
	if got := fmt.Sprint(m.Reset, len(m.Add), len(m.Remove)); got != "true 4 0" {
		t.Errorf("all over again: %+v", m)
	}
}

// TestRoutesIsBounded: a child SA with a selector that no prefix fits makes a few
// routes, not thousands.
func TestRoutesIsBounded(t *testing.T) {
	c := newRoutes(routesTenant(), nil, nil)
	ch := childOf(1, "::/0", "2001:db8::1-2001:dbf:ffff:ffff:ffff:ffff:ffff:fffe")
	for range 63 {
		s := ch.Child.Remote[len(ch.Child.Remote)-1]
		s.Start, s.End = s.Start.Next(), s.End.Prev()
		ch.Child.Remote = append(ch.Child.Remote, s)
	}
	c.change(ch)
	c.change(childOf(2, "10.10.0.0/24", "10.77.0.0/16"))
	total := 0
	for m, any := c.message(); any; m, any = c.message() {
		if m.Changes() > control.MaxChanges {
			t.Errorf("%d changes in one message", m.Changes())
		}
		total += len(m.Add)
	}
	if total != maxOfChild+1 {
		t.Errorf("%d routes, want %d", total, maxOfChild+1)
	}
}

// TestRoutesIsToldTogether: while an answer is awaited changes gather, and after a
// refusal everything is told anew, later.
func TestRoutesIsToldTogether(t *testing.T) {
	s := &supervisor{requests: make(chan request, 8)}
	c := newRoutes(routesTenant(), slog.New(slog.DiscardHandler), s)
	var tell func(time.Time)
	tell = func(now time.Time) { c.tell(now, tell) }
	now := time.Unix(1000, 0)
	next := func() (control.Routes, func(time.Time, error)) {
		t.Helper()
		select {
		case r := <-s.requests:
			return r.body.(control.Routes), r.then
		default:
			t.Fatal("nothing is told")
			return control.Routes{}, nil
		}
	}
	tell(now)
	_, then := next()
	for id := range uint64(100) {
		c.change(childOf(id, "10.10.0.0/24", fmt.Sprintf("10.77.%d.0/24", id)))
		tell(now)
	}
	if len(s.requests) != 0 {
		t.Fatalf("%d messages before the answer to the first", len(s.requests))
	}
	then(now, nil)
	m, then := next()
	if len(m.Add) != 100 || m.Reset {
		t.Errorf("%d together, reset %v, want 100 added", len(m.Add), m.Reset)
	}
	then(now, errors.New("no"))
	tell(now.Add(routesRetry - 1))
	if len(s.requests) != 0 {
		t.Error("told again at once after a refusal")
	}
	tell(now.Add(routesRetry))
	if m, _ := next(); len(m.Add) != 100 || !m.Reset {
		t.Errorf("after a refusal: %d, reset %v, want all 100 anew", len(m.Add), m.Reset)
	}
}
