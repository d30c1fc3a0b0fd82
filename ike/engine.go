package ike

import (
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/ikev2"
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
type Engine struct {
	rules  *ikev2.Rules
	active bool
	epoch  uint64

	isolated bool // a panic ends only the SA that it is about

	sas      map[uint64]*ikev2.SA // by our SPI
	timers   timers
	children map[uint64]*ikev2.SA // by ID
	prefixes int                  // of the remote selectors of all of them
	espSPIs  map[sa.SPI]bool      // ours, of children
	waiting  map[uint64]*ikev2.SA // by question
	attempts map[string]*attempt  // by name of entry

	halfOpen halfOpenTable
	begun    []Record // RecordHalfOpen, until Activate; the oldest first
	peers    peerTable
	cookies  cookieJar
	setups   resource.Bucket
	usage    Usage
	known    func(spi uint64, there bool)

	lastChild    uint64
	lastQuestion uint64
	touched      []*ikev2.SA // to be indexed again at the end of this call
	graves       []grave     // keys that nothing uses any more
}

// New returns an Engine without SAs. It keeps silent until Activate.
func New(cfg *Config) (*Engine, error) {
	rules, err := ikev2.Compile(cfg)
	if err != nil {
		return nil, fmt.Errorf("ike: %w", err)
	}
	e := &Engine{
		rules:    rules,
		known:    func(uint64, bool) {},
		sas:      map[uint64]*ikev2.SA{},
		timers:   timers{index: map[*ikev2.SA]int{}},
		children: map[uint64]*ikev2.SA{},
		espSPIs:  map[sa.SPI]bool{},
		waiting:  map[uint64]*ikev2.SA{},
		attempts: map[string]*attempt{},
		halfOpen: newHalfOpenTable(),
		peers:    peerTable{key: map[*ikev2.SA]string{}, byKey: map[string][]*ikev2.SA{}},
	}
	if cfg.Known != nil {
		e.known = cfg.Known
	}
	e.pace()
	return e, nil
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
func (e *Engine) Configure(cfg *Config) error {
	rules, err := ikev2.Compile(cfg)
	if err != nil {
		return fmt.Errorf("ike: %w", err)
	}
	e.rules = rules
	e.pace()
	for name, a := range e.attempts {
		if x, ok := rules.Entry(name); !ok || !x.Initiate && a.sa == nil {
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
func (e *Engine) Command(now time.Time, c Command, out *Output) error {
	e.begin(now)
	defer e.settle(now)
	return e.guard(now, out, func() error { return e.command(now, c, out) })
}

// command does a Command about an entry or an IKE SA.
func (e *Engine) command(now time.Time, c Command, out *Output) error {
	switch c := c.(type) {
	case Initiate:
		return e.initiate(now, c.Entry, out)
	case DeleteIKE:
		s := e.sas[c.SPI]
		if s == nil {
			return ErrUnknown
		}
		e.touch(s)
		return s.Delete(now, c.Reason, out)
	case RekeyIKE:
		s := e.sas[c.SPI]
		if s == nil {
			return ErrUnknown
		}
		e.touch(s)
		return s.Rekey(now, out)
	}
	return e.childCommand(now, c, out)
}

// childCommand does a Command about one child SA.
func (e *Engine) childCommand(now time.Time, c Command, out *Output) error {
	var id uint64
	switch c := c.(type) {
	case DeleteChild:
		id = c.ID
	case RekeyChild:
		id = c.ID
	case PeerMoved:
		id = c.ID
	case Alive:
		id = c.ID
	default:
		return fmt.Errorf("ike: unknown command %T", c)
	}
	s := e.children[id]
	if s == nil {
		return ErrUnknown
	}
	e.touch(s)
	switch c := c.(type) {
	case DeleteChild:
		return s.DeleteChild(now, id, c.Reason, out)
	case RekeyChild:
		return s.RekeyChild(now, id, out)
	case PeerMoved:
		return s.PeerMoved(now, id, c.Remote, out)
	}
	s.Alive(now)
	return nil
}

// Answer goes on with the exchange that had asked (AskSession). An error says
// that nobody waits for it any more: what it grants should be taken back.
func (e *Engine) Answer(now time.Time, r Reply, out *Output) error {
	e.begin(now)
	s := e.waiting[r.Question]
	if s == nil {
		return ErrUnknown
	}
	delete(e.waiting, r.Question)
	defer e.settle(now)
	e.touch(s)
	return e.guard(now, out, func() error { return s.Answer(now, r, out) })
}

// Expire does what time demands. Calling it early or twice does nothing.
func (e *Engine) Expire(now time.Time, out *Output) {
	if !e.active {
		return
	}
	e.begin(now)
	_ = e.guard(now, out, func() error { e.expireAttempts(now, out); return nil })
	e.settle(now)
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
func (e *Engine) expireSA(now time.Time, s *ikev2.SA, at time.Time, out *Output) {
	e.touch(s)
	s.Expire(now, out)
	e.settle(now)
	if again, next := e.timers.first(); again == s && next.Equal(at) {
		e.touch(s)
		panic(fmt.Sprintf("ike: internal error: deadline of SA %016x in state %v does not pass", s.SPI(), s.State()))
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

// begin clears the keys that were buried long enough ago.
func (e *Engine) begin(now time.Time) {
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
	for i := range e.begun {
		e.begun[i].Clear()
	}
	e.begun = nil
	for spi := range e.sas {
		e.known(spi, false)
	}
	clear(e.sas)
}

// touch notes that s may have changed.
func (e *Engine) touch(s *ikev2.SA) {
	if !slices.Contains(e.touched, s) {
		e.touched = append(e.touched, s)
	}
}

// settle brings all indexes up to date with what has changed.
func (e *Engine) settle(now time.Time) {
	for i := len(e.graves) - 1; i >= 0 && e.graves[i].at.IsZero(); i-- {
		e.graves[i].at = now
	}
	for len(e.touched) > 0 {
		s := e.touched[len(e.touched)-1]
		e.touched = e.touched[:len(e.touched)-1]
		e.halfOpen.update(s)
		e.usage.HalfOpenPeak = max(e.usage.HalfOpenPeak, e.halfOpen.count())
		e.peers.update(s)
		if s.State() != ikev2.Dead {
			e.unite(now, s)
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
