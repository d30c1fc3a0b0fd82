package ike

import (
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/ikev2"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/resource"
)

// Engine is the key exchange of one tenant: every IKE SA of it. The zero value
// is not usable; New makes one.
//
// A driver makes an Engine with New, feeds it with what an earlier Engine wrote
// (Replay), calls Activate once, and from then on Receive, Command, Answer and,
// at the instant that Deadline names, Expire; after each call it does what the
// Output says, in the order that Output documents. Entries with Initiate set
// are connected from Activate on, without a Command.
//
// An error from Receive means that the datagram changed nothing; it is for
// counters and debugging only.
//
// The Engine knows its SAs as exchange.SA, whatever their version is, and how they
// begin by a table of first exchanges (opening). What strangers make it keep, how
// fast they may begin, and who is connected is counted once for all versions.
type Engine struct {
	cfg      exchange.Config               // with defaults
	v2       exchange.Version              // dials entries, and makes SAs of records
	openings map[wire.ExchangeType]opening // of IKEv2
	active   bool
	epoch    uint64

	isolated bool // a panic ends only the SA that it is about

	sas      map[uint64]exchange.SA // by our SPI
	timers   timers
	children map[uint64]boundChild // by ID
	prefixes int                   // of the remote selectors of all of them
	espSPIs  map[sa.SPI]bool       // ours, of children
	waiting  map[exchange.QuestionID]exchange.SA
	attempts map[string]*attempt // by name of entry

	halfOpen   halfOpenTable
	handshakes []exchange.Record // RecordHalfOpen, until Activate; the oldest first
	peers      peerTable
	cookies    cookieJar
	setups     resource.Bucket
	unknown    resource.Bucket // answers to requests for SAs that are not here
	usage      Usage
	known      func(spi uint64, there bool)

	lastChild    uint64
	lastQuestion exchange.QuestionID
	touched      []exchange.SA // to be indexed again at the end of this call
	graves       []grave       // keys that nothing uses any more
}

// boundChild is one child SA and the IKE SA that has it.
type boundChild struct {
	*sa.Child
	sa exchange.SA
}

// New returns an Engine without SAs. It keeps silent until Activate.
func New(cfg *exchange.Config) (*Engine, error) {
	e := &Engine{
		known:    func(uint64, bool) {},
		sas:      map[uint64]exchange.SA{},
		unknown:  resource.Bucket{Rate: unknownRate, Burst: unknownRate},
		children: map[uint64]boundChild{},
		espSPIs:  map[sa.SPI]bool{},
		waiting:  map[exchange.QuestionID]exchange.SA{},
		attempts: map[string]*attempt{},
		halfOpen: newHalfOpenTable(),
		peers:    peerTable{byKey: map[exchange.PeerKey][]exchange.SA{}},
	}
	v2 := ikev2.New(host{e})
	e.v2 = v2
	e.openings = map[wire.ExchangeType]opening{
		wire.IKESAInit: {parse: v2.ParseFirst, prove: e.proveCookie},
	}
	if err := e.configure(cfg); err != nil {
		return nil, err
	}
	if cfg.Known != nil {
		e.known = cfg.Known
	}
	return e, nil
}

// configure makes cfg that of the Engine and of every version; on an error nothing
// has changed.
func (e *Engine) configure(cfg *exchange.Config) error {
	ready := cfg.WithDefaults()
	if err := e.v2.Configure(&ready); err != nil {
		return fmt.Errorf("ike: %w", err)
	}
	e.cfg = ready
	e.pace()
	return nil
}

// MaxEpoch is the highest epoch that SetEpoch takes.
const MaxEpoch = 1<<32 - 1

// SetEpoch says which activation of this node, among all of both nodes of a
// failover pair, seals what leaves from now on; without it the epoch is 0. It is
// called before Activate, and again when a later activation follows. A lower
// epoch than before, or one above MaxEpoch, is an internal error.
func (e *Engine) SetEpoch(epoch uint64) {
	if epoch < e.epoch || epoch > MaxEpoch {
		panic(fmt.Sprintf("ike: internal error: epoch %d after %d", epoch, e.epoch))
	}
	e.epoch = epoch
}

// Configure replaces the configuration. Established SAs stay as they are, with
// the lifetimes they have; what they negotiate next obeys cfg. SAs whose
// profile has vanished are for the driver to end (DeleteIKE). On an error
// nothing has changed.
func (e *Engine) Configure(cfg *exchange.Config) error {
	if err := e.configure(cfg); err != nil {
		return err
	}
	for name, a := range e.attempts {
		if x, ok := e.cfg.Static(name); !ok || !x.Initiate && a.sa == nil {
			delete(e.attempts, name)
		}
	}
	if e.active {
		e.planAttempts(time.Unix(1, 0)) // at once
	}
	return nil
}

// Command does what the operator or the driver wants. An error says that the
// SA or Entry does not exist, or that it is not in a state to obey.
func (e *Engine) Command(now time.Time, c exchange.Command, out *exchange.Output) error {
	e.clearBuried(now)
	defer e.reindex(now)
	return e.guard(now, out, func() error { return e.command(now, c, out) })
}

// command finds the SA that a Command is about.
func (e *Engine) command(now time.Time, c exchange.Command, out *exchange.Output) error {
	var s exchange.SA
	switch c := c.(type) {
	case exchange.Initiate:
		return e.initiate(now, c.Entry, out)
	case exchange.DeleteIKE:
		s = e.sas[c.SPI]
	case exchange.RekeyIKE:
		s = e.sas[c.SPI]
	case exchange.DeleteChild:
		s = e.children[c.ID].sa
	case exchange.RekeyChild:
		s = e.children[c.ID].sa
	case exchange.PeerMoved:
		s = e.children[c.ID].sa
	case exchange.Alive:
		s = e.children[c.ID].sa
	default:
		return fmt.Errorf("ike: unknown command %T", c)
	}
	if s == nil {
		return ErrUnknown
	}
	e.touch(s)
	return s.Command(now, c, out)
}

// Answer goes on with the exchange that had asked. An error says
// that nobody waits for it any more: what it grants should be taken back.
func (e *Engine) Answer(now time.Time, a exchange.Answer, out *exchange.Output) error {
	e.clearBuried(now)
	s := e.waiting[a.QuestionID()]
	if s == nil {
		return ErrUnknown
	}
	delete(e.waiting, a.QuestionID())
	defer e.reindex(now)
	e.touch(s)
	return e.guard(now, out, func() error { return s.Answer(now, a, out) })
}

// Expire does what time demands. Calling it early or twice does nothing.
func (e *Engine) Expire(now time.Time, out *exchange.Output) {
	if !e.active {
		return
	}
	e.clearBuried(now)
	_ = e.guard(now, out, func() error { e.expireAttempts(now, out); return nil })
	e.reindex(now)
	for {
		s, at := e.timers.first()
		if s == nil || now.Before(at) {
			return
		}
		_ = e.guard(now, out, func() error { e.expireSA(now, s, at, out); return nil })
	}
}

// expireSA does what time demands of one SA, whose deadline was at. An SA that
// wants the same again would want it for ever.
func (e *Engine) expireSA(now time.Time, s exchange.SA, at time.Time, out *exchange.Output) {
	e.touch(s)
	s.Expire(now, out)
	e.reindex(now)
	if again, next := e.timers.first(); again == s && next.Equal(at) {
		e.touch(s)
		panic(fmt.Sprintf("ike: internal error: deadline of SA %016x in state %s does not pass", s.SPI(),
			s.Status().State))
	}
}

// Deadline returns the instant for the next Expire, and false for never.
func (e *Engine) Deadline() (time.Time, bool) {
	if !e.active {
		return time.Time{}, false
	}
	_, at := e.timers.first()
	for _, a := range e.attempts {
		if !a.next.IsZero() && (at.IsZero() || a.next.Before(at)) {
			at = a.next
		}
	}
	return at, !at.IsZero()
}

// grave is a key that is cleared when the records that name it have long been
// consumed.
type grave struct {
	key secret.Value
	at  time.Time // when it was buried
}

// graveTime is how long a driver may hold on to an Output.
const graveTime = time.Second

// clearBuried clears the keys that were buried long enough ago.
func (e *Engine) clearBuried(now time.Time) {
	n := 0
	for ; n < len(e.graves); n++ {
		g := &e.graves[n]
		if now.Sub(g.at) < graveTime {
			break
		}
		g.key.Clear()
	}
	e.graves = append(e.graves[:0], e.graves[n:]...)
}

// Wipe clears every key that the Engine holds, without a word to anybody. It is
// of no use afterwards. Outputs that were not carried out yet lose their keys.
func (e *Engine) Wipe() {
	e.active = false
	for _, s := range e.sas {
		s.Wipe()
	}
	for i := range e.graves {
		e.graves[i].key.Clear()
	}
	e.graves = nil
	for i := range e.handshakes {
		e.handshakes[i].Clear()
	}
	e.handshakes = nil
	for spi := range e.sas {
		e.known(spi, false)
	}
	clear(e.sas)
}

// touch notes that s may have changed.
func (e *Engine) touch(s exchange.SA) {
	if !slices.Contains(e.touched, s) {
		e.touched = append(e.touched, s)
	}
}

// reindex brings all indexes up to date with what has changed.
func (e *Engine) reindex(now time.Time) {
	for i := len(e.graves) - 1; i >= 0 && e.graves[i].at.IsZero(); i-- {
		e.graves[i].at = now
	}
	for len(e.touched) > 0 {
		s := e.touched[len(e.touched)-1]
		e.touched = e.touched[:len(e.touched)-1]
		e.halfOpen.update(s)
		e.usage.HalfOpenPeak = max(e.usage.HalfOpenPeak, e.halfOpen.count())
		e.peers.update(s)
		if s.Phase() != exchange.PhaseDead {
			e.resolveCollision(now, s)
			e.timers.set(s, s.Deadline())
			continue
		}
		if e.sas[s.SPI()] == s {
			delete(e.sas, s.SPI())
			e.known(s.SPI(), false)
		}
		e.timers.set(s, time.Time{})
		e.ended(now, s)
	}
}
