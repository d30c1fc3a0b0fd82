package worker

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
)

// follow does what one message of the active twin says.
func (w *Worker) follow(now time.Time, b []byte) error {
	t := w.twin
	step, ok, err := t.receiver.Receive(b)
	if err != nil || !ok {
		return err
	}
	switch step.Op {
	case journal.StepBegin:
		t.staged = make([][]byte, 0, min(step.Count, 1<<16))
	case journal.StepItem:
		t.staged = append(t.staged, step.Payload)
	case journal.StepCommit:
		defer t.unstage()
		if err := w.adopt(now, step, t.staged); err != nil {
			t.receiver.Disown() // what was held before is held still
			return err
		}
		t.bulk = time.Now()
	case journal.StepEntry:
		defer clear(step.Payload)
		if err := w.repeat(now, step.Payload); err != nil {
			w.ledger.store.SetStream(journal.StreamID{}) // it may have been carried out in part
			t.receiver.Disown()
			return err
		}
	case journal.StepReady:
		w.log.Info("standby is in step", "stream", step.Stream.String(), "position", uint64(step.Position))
	}
	return nil
}

// unstage forgets the part of a snapshot that has come in.
func (t *twin) unstage() {
	for _, b := range t.staged {
		clear(b)
	}
	t.staged = nil
}

// repeat applies one entry of the active twin, and writes it to the journal with
// the counter slots that child SAs have here.
func (w *Worker) repeat(now time.Time, payload []byte) error {
	all, err := parseEntries(payload)
	if err != nil {
		return err
	}
	parts := make([][]byte, len(all))
	for i, e := range all {
		if parts[i], err = w.repeatOne(now, e); err != nil {
			return err
		}
	}
	entry := parts[0]
	if isBatch(payload) {
		entry = appendBatch(nil, parts)
	}
	_, err = w.ledger.append(entry, w.snapshot)
	clear(entry)
	for _, p := range parts {
		clear(p)
	}
	if err != nil {
		return err
	}
	return w.ledger.tidy(w.snapshot)
}

// repeatOne applies one entry, and returns what the journal here says of it.
func (w *Worker) repeatOne(now time.Time, e entry) ([]byte, error) {
	e = e.received(now)
	switch {
	case e.session != nil:
		w.past[e.session.spi] = *e.session
		return e.encode(), nil
	case e.counters != nil:
		w.learn(*e.counters)
		return e.encode(), nil
	case e.habit != nil:
		w.sessions.Pools().Remember(e.habit.addr, e.habit.identity)
		return e.encode(), nil
	case !w.readable(e):
		return e.encode(), nil
	}
	r := *e.record
	if r.Child != nil {
		if err := w.children.place(r.Child); err != nil {
			return nil, err
		}
	}
	if err := w.engine.Replay(now, r); err != nil {
		w.giveUp(r.SPI, err)
		return e.encode(), nil
	}
	w.install(&r)
	if r.Child != nil {
		w.learnPlaced(r.Child.Child.ID)
	}
	return e.encode(), nil
}

// adopt makes this worker the copy that a snapshot describes. What it held
// before is replaced as a whole.
func (w *Worker) adopt(now time.Time, step journal.Step, items [][]byte) error {
	engine, err := w.newEngine(w.tenant)
	if err != nil {
		return err
	}
	installs := make([]sa.Change, 0, len(items)/3)
	var counters []counterEntry
	past, lost := map[uint64]sessionEntry{}, map[uint64]bool{}
	pools, err := session.NewPools(w.tenant, nil)
	if err != nil {
		return err
	}
	for i, b := range items {
		e, err := parseEntry(b)
		if err != nil {
			return err
		}
		e = e.received(now)
		if e.session != nil {
			past[e.session.spi] = *e.session
			items[i] = e.encode()
			continue
		}
		if e.counters != nil {
			counters = append(counters, *e.counters)
			continue
		}
		if e.habit != nil {
			pools.Remember(e.habit.addr, e.habit.identity)
			continue
		}
		if !w.readable(e) {
			items[i] = e.encode()
			continue
		}
		if c := e.record.Child; c != nil {
			if err := w.children.place(c); err != nil {
				return err
			}
			installs = append(installs, *c)
		}
		items[i] = e.encode()
		if err := engine.Replay(now, *e.record); err != nil {
			w.giveUp(e.record.SPI, err)
			lost[e.record.SPI] = true
		}
	}
	installs = slices.DeleteFunc(installs, func(c sa.Change) bool { return lost[c.Child.Owner] })
	if err := w.ledger.reset(step.Stream, step.Position, slices.Values(items)); err != nil {
		return err
	}
	w.engine.Wipe()
	w.engine, w.past = engine, past
	w.sessions.SetPools(pools)
	clear(w.children.early)
	w.replaceChildren(installs)
	for _, c := range counters {
		w.learn(c)
	}
	return nil
}

// replaceChildren makes the data plane hold exactly these child SAs.
func (w *Worker) replaceChildren(installs []sa.Change) {
	alive := make(map[uint64]bool, len(installs))
	for _, c := range installs {
		alive[c.Child.ID] = true
	}
	for id, p := range w.children.byID {
		if !alive[id] {
			w.apply(&sa.Change{Op: sa.OpDelete, Child: sa.Child{ID: id, Owner: p.owner, Slot: p.slot}})
		}
	}
	for i := range installs {
		w.apply(&installs[i])
	}
}

// learn takes over the counters of a child SA. Those of one that is not here
// yet wait for it.
func (w *Worker) learn(c counterEntry) {
	p, ok := w.children.byID[c.child]
	if !ok || w.counters.Slot(p.slot).Owner() != c.child {
		w.children.early[c.child] = c
		return
	}
	p.reservation = c.reservation
	w.children.byID[c.child] = p
	slot := w.counters.Slot(p.slot)
	window := w.counters.Window(p.slot)
	window.Advance(c.facts.SequenceIn)
	slot.Learn(c.facts)
}

// learnPlaced takes over counters that came before their child SA.
func (w *Worker) learnPlaced(id uint64) {
	if c, ok := w.children.early[id]; ok {
		delete(w.children.early, id)
		w.learn(c)
	}
}
