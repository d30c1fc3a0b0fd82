package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/eventlog"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/failover/link/linktest"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/iketest"
	"github.com/warrenvpn/warren/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book is a State of IKE SAs that have child SAs and nothing else.
type book struct {
	sas    map[uint64][]sa.Child // by our SPI
	habits map[netip.Addr]string
	bad    uint64 // records of this IKE SA are refused, and it is forgotten
}

func (b *book) Replay(_ time.Time, r exchange.Record) error {
	switch {
	case r.SPI == b.bad:
		delete(b.sas, r.SPI)
		return errors.New("it is bad")
	case r.Kind == exchange.RecordIKE:
		b.sas[r.SPI] = append([]sa.Child{}, append(b.sas[r.SPI], b.sas[r.Replaces]...)...)
		delete(b.sas, r.Replaces)
	case r.Kind == exchange.RecordIKEDown:
		delete(b.sas, r.SPI)
	case b.sas[r.SPI] == nil:
	case r.Child != nil && r.Child.Op.Installs():
		b.sas[r.SPI] = append(b.sas[r.SPI], r.Child.Child)
	case r.Child != nil && r.Child.Op == sa.OpDelete:
		b.sas[r.SPI] = slices.DeleteFunc(b.sas[r.SPI], func(c sa.Child) bool { return c.ID == r.Child.Child.ID })
	}
	return nil
}

func (b *book) Snapshot(yield func(exchange.Record) bool) {
	for _, spi := range slices.Sorted(maps.Keys(b.sas)) {
		if !yield(ikeRecord(spi, 0)) {
			return
		}
		for _, c := range b.sas[spi] {
			if !yield(childRecord(spi, c.ID)) {
				return
			}
		}
	}
}

func (b *book) Status() (all []exchange.Status) {
	for _, spi := range slices.Sorted(maps.Keys(b.sas)) {
		all = append(all, exchange.Status{Peer: exchange.Peer{SPI: spi}, Children: b.sas[spi]})
	}
	return all
}

func (b *book) Wipe() { clear(b.sas) }

func (b *book) Remember(a netip.Addr, identity string) bool { b.habits[a] = identity; return true }

func (b *book) Habits(yield func(netip.Addr, string) bool) { maps.All(b.habits)(yield) }

// host is a worker that does nothing but remember.
type host struct {
	counters  *esp.Counters
	state     *book
	bad       uint64 // of states to come
	installed map[uint64]uint32
	refuses   uint64 // this child SA is not installed
	requests  []control.Kind
	sent      int
}

func (h *host) Now() time.Time                    { return time.Unix(1000, 0) }
func (h *host) Send(messages []exchange.Datagram) { h.sent += len(messages) }
func (h *host) Request(kind control.Kind, _ any)  { h.requests = append(h.requests, kind) }
func (h *host) Rebuild() (State, func(), error) {
	b := &book{sas: map[uint64][]sa.Child{}, habits: map[netip.Addr]string{}, bad: h.bad}
	return b, func() { h.state = b }, nil
}

func (h *host) Rekeyed(old, spi uint64) {}

func (h *host) Install(c *sa.Change) error {
	switch {
	case c.Op.Installs() && c.Child.ID == h.refuses:
		return errors.New("it is refused")
	case c.Op.Installs():
		h.installed[c.Child.ID] = c.Child.Slot
		if _, err := h.counters.Claim(c.Child.Slot, c.Child.ID, 0); err != nil {
			return err
		}
	case c.Op == sa.OpDelete:
		delete(h.installed, c.Child.ID)
	}
	return nil
}

// node is one worker with what outlives it.
type node struct {
	*host
	*Replica
	t       *testing.T
	journal Memory
	memory  []byte
	pair    *control.Failover
	logs    *bytes.Buffer
}

func newNode(t *testing.T, pair *control.Failover) *node {
	n := &node{t: t, journal: Memory{Bytes: make([]byte, 1<<20)}, memory: make([]byte, esp.CountersSize(4)), pair: pair}
	n.restart()
	return n
}

// restart makes a worker of what an earlier one has left.
func (n *node) restart() {
	n.t.Helper()
	counters, err := esp.NewCounters(n.memory)
	if err != nil {
		n.t.Fatal(err)
	}
	bad, refuses := uint64(0), uint64(0)
	if n.host != nil {
		bad, refuses = n.host.bad, n.host.refuses
	}
	n.logs = &bytes.Buffer{}
	n.host = &host{counters: counters, bad: bad, refuses: refuses, installed: map[uint64]uint32{}}
	log := slog.New(slog.NewTextHandler(n.logs, nil))
	tell := func(f control.Fact) { _, _ = eventlog.Write(log.Handler(), &control.Event{Fact: f}) }
	n.Replica, err = New(&Config{Log: log, Tell: tell, Host: n.host, Journal: n.journal, Counters: counters,
		Failover: n.pair})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.Restore(); err != nil {
		n.t.Fatal(err)
	}
	if step, err := n.Start(); err != nil || step == StepTakeOver {
		if n.Open(); err != nil {
			n.t.Fatal(err)
		}
	}
}

// body returns what a real engine writes of an IKE SA.
var body = sync.OnceValue(func() []byte {
	l := iketest.New(1, iketest.Faults{})
	g, c := l.Pair(nil)
	l.Until(time.Second, func() bool { return iketest.Up(g, c) })
	for _, b := range slices.Backward(c.Journal) {
		if r, err := ike.ParseRecord(b); err == nil && r.Kind == exchange.RecordIKE {
			return r.Body.Reveal()
		}
	}
	panic("no IKE SA")
})

func ikeRecord(spi, replaces uint64) exchange.Record {
	return exchange.Record{Kind: exchange.RecordIKE, SPI: spi, Replaces: replaces, Body: secret.Copy(body())}
}

func childRecord(spi, id uint64) exchange.Record {
	return exchange.Record{Kind: exchange.RecordChild, SPI: spi,
		Child: &sa.Change{Op: sa.OpAdd, Child: sa.Child{ID: id, Owner: spi}}}
}

// add gives the node an IKE SA with one child SA.
func (n *node) add(spi, id uint64) (uncounted []uint64) {
	return n.change(ikeRecord(spi, 0), childRecord(spi, id))
}

// change does what an engine with these changes asks for.
func (n *node) change(records ...exchange.Record) (uncounted []uint64) {
	for _, r := range records {
		if err := n.state.Replay(n.Now(), r); err != nil {
			n.t.Fatal(err)
		}
	}
	return n.Commit(n.Now(), records)
}

func (n *node) want(what, children string) {
	n.t.Helper()
	if got := fmt.Sprint(slices.Sorted(maps.Keys(n.installed))); got != children {
		n.t.Errorf("%s: child SAs %s are installed, want %s", what, got, children)
	}
}

// TestRestart: what the journal holds is installed again, in the slots that it had,
// and what has ended is not.
func TestRestart(t *testing.T) {
	n := newNode(t, nil)
	n.add(1, 11)
	n.add(2, 22)
	n.add(3, 33)
	n.SetAccount(1, Account{Since: time.Unix(900, 0), BytesIn: 5, BytesOut: 6})
	n.SetAccount(2, Account{BytesIn: 7})
	n.Returned(netip.MustParseAddr("10.99.0.10"), "alice@example")
	n.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: 2})
	n.change(ikeRecord(4, 3))
	n.want("before", "[11 33]")
	slot := n.installed[33]
	n.restart()
	n.want("after a restart", "[11 33]")
	if n.installed[33] != slot {
		t.Errorf("slot %d, had %d", n.installed[33], slot)
	}
	if a, ok := n.Account(1); !ok || !a.Since.Equal(time.Unix(900, 0)) || a.BytesIn != 5 || a.BytesOut != 6 {
		t.Errorf("account %+v, %v", a, ok)
	}
	if _, ok := n.Account(2); ok {
		t.Error("the account of an IKE SA that is gone is still there")
	}
	if got := n.state.habits[netip.MustParseAddr("10.99.0.10")]; got != "alice@example" {
		t.Errorf("habit of %q", got)
	}
	n.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: 4})
	n.want("the IKE SA that followed another one owns its child SAs", "[11]")
}

// TestBadEntry: an entry that cannot be applied costs the SA that it is about, is
// logged with how many there were, and costs nothing else.
func TestBadEntry(t *testing.T) {
	n := newNode(t, nil)
	n.add(1, 11)
	n.add(2, 22)
	n.bad = 1
	n.restart()
	n.want("after a restart", "[22]")
	if got := n.logs.String(); strings.Count(got, "record cannot be used") != 1 ||
		!strings.Contains(got, "sa=0000000000000001") || !strings.Contains(got, "count=1") {
		t.Errorf("logged %s", got)
	}
}

// TestForeignSlot: a record whose slot is not in the counter memory costs its IKE SA, also
// where it comes again, and for whoever reads the journal after that.
func TestForeignSlot(t *testing.T) {
	n := newNode(t, nil)
	n.add(1, 11)
	far := childRecord(1, 12)
	far.Child.Child.Slot = 99
	if at := n.store.append(appendRecord(nil, n.Now(), far)); at == 0 {
		t.Fatal("not written")
	}
	n.store.append(appendRecord(nil, n.Now(), ikeRecord(1, 0)))
	n.add(2, 22)
	n.restart()
	n.want("after a restart", "[22]")
	if got := n.logs.String(); strings.Count(got, errNoSlot.Error()) != 1 {
		t.Errorf("logged %s", got)
	}
	n.store.append(appendRecord(nil, n.Now(), ikeRecord(1, 0)))
	n.restart()
	if got := n.state.Status(); len(got) != 2 || len(got[0].Children) != 0 {
		t.Errorf("an SPI that comes again after its end was written down: %+v", got)
	}
}

// TestUncounted: a child SA for which no counters are left is not committed.
func TestUncounted(t *testing.T) {
	n := newNode(t, nil)
	for id := range uint64(4) {
		if got := n.add(id+1, id+11); got != nil {
			t.Fatalf("%d without counters", got)
		}
	}
	if got := n.add(9, 99); !slices.Equal(got, []uint64{99}) {
		t.Errorf("without counters: %d, want 99", got)
	}
	n.want("four have counters", "[11 12 13 14]")
	n.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: 2})
	if got := n.add(5, 55); got != nil {
		t.Errorf("a slot that was given back is not used: %d", got)
	}
	n.want("one has gone", "[11 13 14 55]")
}

// pairOf is one half of a pair.
func pairOf(unit failover.Unit, active bool) *control.Failover {
	return &control.Failover{Unit: unit, Activation: control.Activation{Active: active, Epoch: 2}}
}

// serves is an activation of this node, follows one of its twin.
func serves(epoch uint64) control.Activation  { return control.Activation{Active: true, Epoch: epoch} }
func follows(epoch uint64) control.Activation { return control.Activation{Epoch: epoch} }

// TestRoles: what each role lets through, and what a change of it asks for.
func TestRoles(t *testing.T) {
	alone, one, other := newNode(t, nil), newNode(t, pairOf(failover.UnitPrimary, true)),
		newNode(t, pairOf(failover.UnitSecondary, false))
	served := func(n *node) string {
		c, text := make(chan int, 1), ""
		if err := n.Serve(func() { text += "serves " }); err != nil && !errors.Is(err, ErrStandby) {
			t.Errorf("Serve: %v", err)
		}
		if WhenServing(n.Replica, c) != nil {
			text += "hears "
		}
		if WhenListening(n.Replica, c) != nil {
			text += "listens "
		}
		n.Last(func() { text += "last" })
		return text
	}
	for _, tt := range []struct {
		name string
		n    *node
		do   func(n *node) (Step, error)
		step Step
		err  error
		want string
	}{
		{"alone", alone, nil, 0, nil, "serves hears listens last"},
		{"alone has no role", alone, func(n *node) (Step, error) { return n.SetRole(serves(0)) },
			StepNone, ErrNoTwin, "serves hears listens last"},
		{"active", one, nil, 0, nil, "serves hears listens "},
		{"standby", other, nil, 0, nil, ""},
		{"quiet", one, func(n *node) (Step, error) { n.Quiesce(n.Now(), control.Quiesce{}); return 0, nil }, 0, nil,
			"serves hears "},
		{"active again", one, func(n *node) (Step, error) { return n.SetRole(serves(2)) },
			StepNone, nil, "serves hears listens "},
		{"another epoch", one, func(n *node) (Step, error) { return n.SetRole(serves(4)) },
			StepEpoch, nil, "serves hears listens "},
		{"steps back", one, func(n *node) (Step, error) { return n.SetRole(follows(5)) }, StepBack, nil,
			"serves hears listens "},
		{"has stepped back", one, func(n *node) (Step, error) { _, err := n.StepBack(); return 0, err }, 0, nil, ""},
		{"standby for another epoch", one, func(n *node) (Step, error) { return n.SetRole(follows(7)) },
			StepNone, nil, ""},
		{"takes over", other, func(n *node) (Step, error) { return n.SetRole(serves(5)) },
			StepTakeOver, nil, "serves hears listens "},
	} {
		if tt.do != nil {
			if step, err := tt.do(tt.n); step != tt.step || !errors.Is(err, tt.err) {
				t.Errorf("%s: step %d, %v, want %d, %v", tt.name, step, err, tt.step, tt.err)
			}
			if tt.step == StepEpoch || tt.step == StepTakeOver {
				tt.n.Open()
			}
		}
		if got := served(tt.n); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if step, err := one.SetRole(serves(6)); err == nil || step != StepNone {
		t.Errorf("an epoch that has passed: step %d, %v", step, err)
	}
	if p := alone.Progress(); p != nil {
		t.Errorf("progress without a twin: %+v", p)
	}
	if _, err := alone.Authenticate(t.Context(), linktest.NewCable(nil).Ends[0],
		secret.Value{}); !errors.Is(err, ErrNoTwin) {
		t.Errorf("a session without a twin: %v", err)
	}
}

// twins plays a test with an active node and its standby, in virtual time: a session ends
// where nothing comes for half a second, which on a busy machine is soon.
func twins(t *testing.T, play func(t *testing.T, a, b *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, pairOf(failover.UnitPrimary, true)), newNode(t, pairOf(failover.UnitSecondary, false))
		defer a.Stop("the test ends")
		defer b.Stop("the test ends")
		play(t, a, b)
	})
}

// join connects two nodes and carries what they have to say until both are in step.
func join(t *testing.T, a, b *node) {
	t.Helper()
	c := linktest.NewCable(nil)
	errs := make(chan error)
	for i, n := range []*node{a, b} {
		go func(end net.Conn) {
			s, err := n.Authenticate(context.Background(), end, secret.Copy([]byte("the key of the twins")))
			if err == nil {
				n.Attach(s, nil)
			}
			errs <- err
		}(c.Ends[i])
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	exchangeUntil(t, a, b, func() bool {
		return a.Progress().State == failover.ReplicationReady && b.Progress().State == failover.ReplicationReady
	})
}

// exchangeUntil has two nodes do what comes from the other one.
func exchangeUntil(t *testing.T, a, b *node, done func() bool) {
	t.Helper()
	for !done() {
		a.Push(a.Now(), false)
		b.Push(b.Now(), false)
		x, y := a.Inputs(), b.Inputs()
		select {
		case m, ok := <-x.Received:
			a.Receive(time.Now(), m, ok)
		case <-x.Room:
			a.Feed(time.Now())
		case <-x.Pace:
			a.Feed(time.Now())
		case m, ok := <-y.Received:
			b.Receive(time.Now(), m, ok)
		case <-y.Room:
			b.Feed(time.Now())
		case <-y.Pace:
			b.Feed(time.Now())
		}
	}
}

// TestPush: while messages of peers wait entries gather, for a moment.
func TestPush(t *testing.T) {
	twins(t, func(t *testing.T, a, b *node) {
		join(t, a, b)
		sender := a.role.(*active).sender
		gathered := func() bool {
			_, more := sender.Message(nil) // it is not sent, and the session is of no use any more
			return more
		}
		for _, step := range []struct {
			busy  bool
			after time.Duration
			want  bool // the entry is not sent
		}{{false, 0, false}, {true, 0, true}, {true, pushDelay, false}, {true, pushDelay - 1, true}} {
			a.Push(a.Now(), false)
			a.add(uint64(100+step.after), uint64(200+step.after))
			a.Push(a.Now().Add(step.after), step.busy)
			if got := gathered(); got != step.want {
				t.Errorf("%+v: gathered: %v", step, got)
			}
		}
		a.Push(a.Now().Add(time.Hour), true) // nothing is there
	})
}

// TestTwins: a standby adopts what the active one has, repeats what comes, gives it up
// where it cannot be applied, and goes on with all of it, with numbers that nobody has
// used.
func TestTwins(t *testing.T) {
	twins(t, func(t *testing.T, a, b *node) {
		a.add(1, 11)
		a.add(2, 22)
		b.bad = 2
		join(t, a, b)
		b.want("of the snapshot", "[11]")

		b.state.bad = 0
		a.Dispatch(make([]exchange.Datagram, 1))
		a.add(3, 33)
		a.SetAccount(3, Account{BytesIn: 8})
		a.Dispatch(make([]exchange.Datagram, 1))
		if a.sent != 1 {
			t.Errorf("%d messages have left before the twin knew of the SA", a.sent)
		}
		exchangeUntil(t, a, b, func() bool { p := a.Progress(); return p.Acked == p.Last })
		b.want("repeated", "[11 33]")
		if x, ok := b.Account(3); !ok || x.BytesIn != 8 || a.sent != 2 {
			t.Errorf("account %+v, %v; %d messages have left", x, ok, a.sent)
		}

		if step, err := b.SetRole(serves(3)); step != StepTakeOver || err != nil {
			t.Fatalf("step %d, %v", step, err)
		}
		for _, id := range []uint64{11, 33} {
			slot := b.counters.Slot(b.installed[id])
			if first := slot.OutNext(); first <= journal.BlockShort || slot.OutLimit() < first {
				t.Errorf("child SA %d goes on with %d up to %d, and its twin may have used %d", id, first,
					slot.OutLimit(), journal.BlockShort)
			}
		}
		b.Open()
		b.restart()
		b.want("a restart of the one that took over", "[11 33]")
	})
}

// TestStandbyWithoutSlots: an IKE SA whose child SA finds no counters on the standby is
// not there, nor is what comes of it; the others are, the loss is counted, and the node
// that takes over knows nothing of it.
func TestStandbyWithoutSlots(t *testing.T) {
	twins(t, func(t *testing.T, a, b *node) {
		b.memory = make([]byte, esp.CountersSize(2))
		b.restart()
		spis := func() (list []uint64) {
			for _, s := range b.state.Status() {
				list = append(list, s.Peer.SPI)
			}
			return list
		}
		want := func(what, children string, lost int, ikes ...uint64) {
			t.Helper()
			exchangeUntil(t, a, b, func() bool { p := a.Progress(); return p.Acked == p.Last })
			b.want(what, children)
			if got := spis(); !slices.Equal(got, ikes) {
				t.Errorf("%s: IKE SAs %d, want %d", what, got, ikes)
			}
			if p := b.Progress(); p.State != failover.ReplicationReady || p.GivenUp != lost {
				t.Errorf("%s: %+v, want it in step and %d given up", what, p, lost)
			}
		}
		a.add(1, 11)
		a.add(2, 22)
		a.add(3, 33)
		join(t, a, b)
		want("of the snapshot", "[11 22]", 1, 1, 2)
		a.add(4, 44)
		want("repeated", "[11 22]", 2, 1, 2)
		a.change(ikeRecord(5, 4), exchange.Record{Kind: exchange.RecordIKEDown, SPI: 4}, childRecord(5, 55))
		want("what follows on one that was given up", "[11 22]", 2, 1, 2)
		a.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: 1})
		a.add(6, 66)
		want("a slot was given back", "[22 66]", 2, 2, 6)

		a.Stop("the test goes on")
		b.Stop("the test goes on")
		if err := b.store.journal.compact(b.store.snapshot); err != nil {
			t.Fatal(err)
		}
		b.restart()
		a.change(ikeRecord(5, 0))
		join(t, a, b)
		want("a restart of the standby", "[22 66]", 2, 2, 6)
		a.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: 5})
		want("the end of one that was given up", "[22 66]", 2, 2, 6)
		if len(b.store.gone) != 1 || len(b.store.early) != 0 {
			t.Errorf("given up still %v, with counters %v", b.store.gone, b.store.early)
		}

		a.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: 2})
		a.role.(*active).estrange()
		b.Stop("the test goes on")
		join(t, a, b)
		want("a snapshot for which there is room", "[33 66]", 0, 3, 6)
		a.add(7, 77)
		want("repeated once more", "[33 66]", 1, 3, 6)

		if _, err := b.SetRole(serves(3)); err != nil {
			t.Fatal(err)
		}
		b.Open()
		a.Stop("the test ends")
		if b.restart(); len(b.store.gone) != 0 {
			t.Errorf("the active one has given up %v", b.store.gone)
		}
		b.want("after the takeover", "[33 66]")
		b.Stop("the test ends")
	})
}

// TestAdoptReusesSlots: the slots of a copy are free for the one that takes its place.
func TestAdoptReusesSlots(t *testing.T) { synctest.Test(t, adoptReusesSlots) }

func adoptReusesSlots(t *testing.T) {
	a, b := newNode(t, pairOf(failover.UnitPrimary, true)), newNode(t, pairOf(failover.UnitSecondary, true))
	for id := range uint64(4) {
		b.add(id+1, id+11)
	}
	if _, err := b.SetRole(follows(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.StepBack(); err != nil {
		t.Fatal(err)
	}
	for spi, id := range []uint64{21, 22, 14, 23} { // the slot of 14 may be taken when it comes
		a.add(uint64(spi)+101, id)
	}
	join(t, a, b)
	defer a.Stop("the test ends")
	defer b.Stop("the test ends")
	b.want("of the snapshot", "[14 21 22 23]")
	used := map[uint32]bool{}
	for _, s := range b.installed {
		used[s] = true
	}
	if p := b.Progress(); len(used) != 4 || p.GivenUp != 0 {
		t.Errorf("slots %v, %d given up", b.installed, p.GivenUp)
	}
}

// TestAdoptClearsSnapshot: what has come in of a snapshot, which holds keys, is not in
// memory any more when the copy is in use.
func TestAdoptClearsSnapshot(t *testing.T) {
	a, b := newNode(t, nil), newNode(t, pairOf(failover.UnitSecondary, false))
	a.add(1, 11)
	var received [][]byte
	for e := range a.store.snapshot {
		received = append(received, bytes.Clone(e))
	}
	x, err := b.store.intake(len(received))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range received {
		if err := x.take(b.Now(), e); err != nil {
			t.Fatal(err)
		}
	}
	written := slices.Clone(x.items)
	if err := x.adopt(journal.Step{Stream: newStream(1), Position: 1}); err != nil {
		t.Fatal(err)
	}
	b.want("of the snapshot", "[11]")
	for i, e := range append(received, written...) {
		if !bytes.Equal(e, make([]byte, len(e))) {
			t.Errorf("entry %d is still there: %d octets", i, len(e))
		}
	}
}
