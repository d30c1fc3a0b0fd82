package events

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

func kinds(list []Event) (out []string) {
	for _, e := range list {
		out = append(out, e.Context+" "+e.Fact.About().Kind)
	}
	return out
}

// TestFilter: a reader gets the events that it has asked for, from then on, in their
// order.
func TestFilter(t *testing.T) {
	h := New()
	tell := func() {
		h.Worker("blue")(control.Event{Fact: &control.IKEUp{}})
		h.Worker("red")(control.Event{Fact: &control.IKEUp{}})
		h.Worker("blue")(control.Event{Fact: &control.IKEDown{}})
		h.Tell(slog.New(slog.DiscardHandler), "", &ConfigurationLoaded{})
	}
	tell()
	for _, tt := range []struct {
		filter Filter
		want   string
	}{
		{Filter{}, "blue ike_up, red ike_up, blue ike_down,  configuration_loaded"},
		{Filter{Context: "blue"}, "blue ike_up, blue ike_down"},
		{Filter{Kinds: []string{"ike_up", "configuration_loaded"}}, "blue ike_up, red ike_up,  configuration_loaded"},
		{Filter{Context: "red", Kinds: []string{"ike_down", "ike_up"}}, "red ike_up"},
	} {
		r, err := h.Read(tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		tell()
		list, err := r.Next(t.Context())
		if got := strings.Join(kinds(list), ", "); got != tt.want || err != nil {
			t.Errorf("%+v: %q, %v, want %q", tt.filter, got, err, tt.want)
		}
		r.Close()
		tell()
		if len(r.queue) > 0 {
			t.Errorf("%+v: something comes after Close", tt.filter)
		}
	}
}

// TestSlowReader: one who does not read holds nobody up, gets what there was room for, and
// is told how much it has missed, where it has missed it.
func TestSlowReader(t *testing.T) {
	h := New()
	r, err := h.Read(Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const more = 7
	for range queueSize + more {
		h.Publish(Event{Event: control.Event{Fact: &control.IKEUp{}}})
	}
	count := func(want ...uint64) {
		t.Helper()
		list, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var missed []uint64
		for i, e := range list {
			if m, is := e.Fact.(*Missed); is {
				missed = append(missed, m.Count, uint64(i))
			}
		}
		if !slices.Equal(missed, want) || len(list) > queueSize+1 {
			t.Errorf("%d events, missed %v, want %v", len(list), missed, want)
		}
	}
	count(more, queueSize)
	h.Publish(Event{Event: control.Event{Fact: &control.IKEDown{}}})
	count()
}

// TestReadersAreBounded: there is no end of readers only because nobody closes them.
func TestReadersAreBounded(t *testing.T) {
	h := New()
	var all []*Reader
	for range maxReaders {
		r, err := h.Read(Filter{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if _, err := h.Read(Filter{}); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
	all[3].Close()
	if _, err := h.Read(Filter{}); err != nil {
		t.Error(err)
	}
}

// TestReaderWaits: a reader that waits is woken by an event, and by the end of its
// context.
func TestReaderWaits(t *testing.T) {
	h := New()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan []string)
	r, err := h.Read(Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer close(got)
		for {
			list, err := r.Next(ctx)
			if err != nil {
				return
			}
			got <- kinds(list)
		}
	}()
	h.Publish(Event{Event: control.Event{Fact: &Missed{}}, Context: "blue"})
	if k := <-got; !slices.Equal(k, []string{"blue events_missed"}) {
		t.Errorf("got %q", k)
	}
	cancel()
	if k, more := <-got; more {
		t.Errorf("got %q after the end", k)
	}
}

// TestManyTell: several goroutines tell, read and go away at the same time, and nothing is
// lost that was not missed.
func TestManyTell(t *testing.T) {
	h := New()
	r, err := h.Read(Filter{Kinds: []string{"ike_up"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const tellers, each = 4, 2000
	var telling sync.WaitGroup
	for range tellers {
		telling.Go(func() {
			for range each {
				h.Publish(Event{Event: control.Event{Fact: &control.IKEUp{}}})
			}
		})
		telling.Go(func() {
			for range each / 100 {
				if other, err := h.Read(Filter{}); err == nil {
					other.Close()
				}
			}
		})
	}
	for got := uint64(0); got < tellers*each; {
		list, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if m, is := e.Fact.(*Missed); is {
				got += m.Count
			} else {
				got++
			}
		}
	}
	telling.Wait()
}

// TestTell: what the supervisor tells is a line of the log, also without a hub.
func TestTell(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil)).With("tenant", "blue")
	var none *Hub
	none.Tell(log, "blue", &ContextFailed{Reason: "device wb-out is not there", RetryIn: time.Second})
	none.Tell(log, "", &Failover{Kind: "failover_role", Message: "failover role changed", Group: "1", Changed: true,
		From: "standby", To: "active", Epoch: 7, Reason: "the peer is silent"})
	for _, want := range []string{
		`level=ERROR msg="context failed" tenant=blue reason="device wb-out is not there" retry_in=1s` + "\n",
		`level=INFO msg="failover role changed" tenant=blue group=1 from=standby to=active epoch=7 ` +
			`reason="the peer is silent"` + "\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
	}
}

// TestKinds: every kind has one fact, and one name in the form of all.
func TestKinds(t *testing.T) {
	all := Kinds()
	if unique := slices.Compact(slices.Clone(all)); len(unique) != len(all) {
		t.Errorf("a kind has two facts: %q", all)
	}
	for _, k := range all {
		if strings.Trim(k, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("kind %q", k)
		}
	}
}
