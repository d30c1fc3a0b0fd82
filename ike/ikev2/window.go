package ikev2

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// window is where both directions of message IDs stand (RFC 7296 section 2.2
// and 2.3; the window size is 1 both ways), and the initialisation vector that
// was used last.
//
// Why no AEAD nonce is used twice: an initialisation vector is
//
//	epoch of the activation (32 bits) | number of the message (32 bits)
//
// An epoch belongs to one node for ever (package failover), so whatever two
// nodes seal with the keys of one SA differs in the upper half, also while both
// believe that they are active and both were made from the same record. Within
// an epoch the number only grows: the window is written to Changes in the same
// Output as every message that was sealed with it, so what has left the node is
// never ahead of its journal, and a successor of the worker goes on ivSkip above
// the recorded number, for the case that the end of the journal was lost. An SA
// that comes near the end of the numbers is rekeyed, and at their end it ends.
// Repeats are the same bytes and need no new vector. A tenant without a twin has
// epoch 0.
type window struct {
	expect   uint32    // ID of the peer's next request
	response datagrams // to the request before that; nil: not answered yet, or none
	next     uint32    // ID of our next request
	request  *request
	iv       uint64
	unknown  record.Unknown // what a newer version wrote beyond it
}

// request is our outstanding exchange.
type request struct {
	id      uint32
	message datagrams // as it was sent, for repeats
	task    task
	tries   int
	at      time.Time // of the next repeat

	// For CREATE_CHILD_SA: what its response is understood with.
	seed  secret.Value // nonce and private key come from it; for taskLiveness the COOKIE2
	spi   uint64       // ours, of the new SA
	group uint16       // key exchange, sa.KENone: none
	terms terms        // what was offered
	key   *suite.Initiation
	// For a child SA: the selectors that were offered, and SPIs that the peer has
	// deleted since, unknown to us.
	local, remote []sa.Selector
	deleted       []sa.SPI
	// For a rekeying: that of the peer which it has met; nil: none.
	crossed *crossing

	nonce uint32 // of a synchronisation
	// Of taskLiveness with a COOKIE2 or UPDATE_SA_ADDRESSES: from where, and to where, that was sent.
	from, to netip.AddrPort

	unknown record.Unknown // what a newer version wrote beyond it
}

// taskKind says what an exchange that we begin is for.
type taskKind uint8

const (
	taskInit taskKind = iota + 1
	taskAuth
	taskLiveness
	taskDeleteIKE
	taskDeleteChild
	taskRekeyChild
	taskRekeyIKE
	taskSync
	taskNewChild
)

// task is an exchange that we want to begin; one at a time can be outstanding.
type task struct {
	kind   taskKind
	child  uint64 // ID, for taskDeleteChild and taskRekeyChild
	spi    sa.SPI // for taskDeleteChild: of a pair that the peer has and we do not
	reason string
	group  uint16 // key exchange, for rekeyings and taskNewChild; sa.KENone: of the SA, or the entry
	turns  uint8  // how often the peer has asked for another group; see maxTurns
	want   *want  // for taskNewChild

	unknown record.Unknown // what a newer version wrote beyond it
}

// durable reports whether the task is on record while it waits: that something is
// to end must not be forgotten. All others come again with their timers.
func (t task) durable() bool { return t.kind == taskDeleteIKE || t.kind == taskDeleteChild }

// enqueue begins t as soon as no other exchange is outstanding. It does nothing
// for what already waits or runs.
func (s *SA) enqueue(t task) {
	same := func(o task) bool { return o.kind == t.kind && o.child == t.child && o.spi == t.spi && o.want == t.want }
	if s.window.request != nil && same(s.window.request.task) {
		return
	}
	for _, o := range s.tasks {
		if same(o) {
			return
		}
	}
	if len(s.tasks) < maxTasks {
		s.tasks = append(s.tasks, t)
		s.dirty = s.dirty || t.durable()
	}
}

// pump begins the next task when nothing is outstanding.
func (s *SA) pump(now time.Time, out *exchange.Output) {
	for s.standing() && s.window.request == nil && len(s.tasks) > 0 {
		t := s.tasks[0]
		if s.sync().unproven && t.kind != taskSync {
			s.sync().start(now, request{}, out) // it says that the peer lives, too
			return
		}
		s.tasks = s.tasks[1:]
		switch t.kind {
		case taskLiveness:
			moving{s}.ask(now, t, out)
		case taskDeleteIKE:
			informational{s}.startDeleteIKE(now, t, out)
		case taskDeleteChild:
			informational{s}.startDeleteChild(now, t, out)
		case taskRekeyChild:
			createInitiator{s}.startRekey(now, t, out)
		case taskNewChild:
			createInitiator{s}.startNew(now, t, out)
		case taskRekeyIKE:
			(&rekeying{sa: s}).start(now, t, out)
		case taskSync:
			s.sync().start(now, request{}, out)
		case taskInit, taskAuth:
			panic("ikev2: internal error: handshake queued as a task")
		}
	}
}

// seal protects a message of ours.
func (s *SA) seal(x wire.ExchangeType, id uint32, response bool, ps []wire.Payload) datagrams {
	h := wire.Header{Version: wire.Version2, Exchange: x, MessageID: id}
	h.SPIi, h.SPIr = s.spis()
	if s.initiator {
		h.Flags |= wire.FlagInitiator
	}
	if response {
		h.Flags |= wire.FlagResponse
	}
	b, err := s.sealer.Seal(s.host.room(), h, s.window.nextIV(s.host.Epoch()), s.host.Rand(), ps...)
	if err != nil {
		panic(fmt.Sprintf("ikev2: internal error: sealing: %v", err))
	}
	s.host.keep(b)
	s.dirty = true
	if f := (fragments{s}); f.tooLong(len(b)) {
		return f.seal(h, ps)
	}
	return datagrams{bytes.Clone(b)} // the SA keeps it: no more memory than it takes
}

// nextIV returns the initialisation vector of the next message.
func (w *window) nextIV(epoch uint64) uint64 {
	w.iv = max(w.iv+1, epoch<<32)
	return w.iv
}

// skipIV is for a successor of the worker in the same activation.
func (w *window) skipIV(epoch uint64) {
	if number := uint32(w.iv); number > ivLast-ivSkip {
		w.iv |= 1<<32 - 1 // spent
	} else if w.iv>>32 >= epoch {
		w.iv += ivSkip
	}
}

// spent reports whether no more messages can be sealed in this activation. A new
// activation has new numbers.
func (w *window) spent(epoch uint64) bool { return w.iv>>32 >= epoch && uint32(w.iv) > ivLast }

// watchIV rekeys the SA in time, and ends one that is not rekeyed.
func (s *SA) watchIV(now time.Time, out *exchange.Output) {
	switch {
	case s.window.spent(s.host.Epoch()) && s.standing():
		s.down(now, spentReason, out)
	case uint32(s.window.iv) > ivRekey && s.state == Established && !s.tired:
		s.tired, s.soft = true, now
	}
}

// spentReason is why an SA ends whose messages have no numbers left.
const spentReason = "the initialisation vectors of its keys are used up"

// send begins an exchange inside the SA.
func (s *SA) send(now time.Time, r request, x wire.ExchangeType, ps []wire.Payload, out *exchange.Output) {
	r.id = s.window.next
	r.message = s.seal(x, r.id, false, ps)
	s.transmit(now, &r, out)
}

// transmit sends a new request and arms its repeats (RFC 7296 section 2.1).
func (s *SA) transmit(now time.Time, r *request, out *exchange.Output) {
	s.window.request = r
	s.window.next = r.id + 1
	r.at = now.Add(s.host.Rules().repeatAfter(0))
	s.post(r.message, out)
}

// respond answers the request with the given ID and keeps the answer for its
// repeats.
func (s *SA) respond(x wire.ExchangeType, id uint32, ps []wire.Payload, out *exchange.Output) {
	s.window.response = s.seal(x, id, true, ps)
	s.window.expect = id + 1
	to := exchange.Datagram{Local: s.local, Remote: s.remote}
	if s.asker != nil {
		to = *s.asker // section 2.11: where the request came from
	}
	s.window.response.send(to, out)
}

// post puts a message into out.
func (s *SA) post(message datagrams, out *exchange.Output) {
	message.send(exchange.Datagram{Local: s.local, Remote: s.remote}, out)
}

// answered forgets the outstanding request: its response is here.
func (s *SA) answered() {
	s.host.Bury(s.window.request.seed)
	s.window.request = nil
	s.dirty = true
}

// awaits reports whether id is that of the peer's next request, and that is served.
func (w *window) awaits(id uint32) bool { return id == w.expect && !w.busyWith(taskSync) } // see sync.go

// busyWith reports whether our outstanding exchange is of that kind.
func (w *window) busyWith(k taskKind) bool { return w.request != nil && w.request.task.kind == k }
