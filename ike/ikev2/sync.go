package ikev2

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// Message IDs and replay counters after a takeover (RFC 6311). A node that has
// taken an SA over knows what its predecessor had told it; whether that was all,
// only the peer can say. With a peer that has agreed to it, the node
//
//   - begins no exchange of its own before a synchronisation,
//   - synchronises at once when the peer's next request shows that some were
//     missed, and
//   - otherwise asks syncAfter later, instead of whether the peer lives. A peer
//     that waits for an answer has asked again by then, and got the one that the
//     predecessor had kept: to synchronise first would make it begin anew.
//
// While it waits for the answer it serves no new request: the peer may have read
// there already that this one was not seen, and begins it anew under another ID.
//
// All other peers are served with what was replicated.

// syncLen is the size of the data of IKEV2_MESSAGE_ID_SYNC: nonce 4, the next ID
// of a request of the sender 4, the next one that it expects 4.
const syncLen = 12

// syncState is what an SA knows of RFC 6311.
type syncState struct {
	ids, counters bool // agreed with the peer
	unproven      bool // taken over, and the peer has not confirmed the message IDs
	// As the peer of a cluster: the highest ID of a synchronisation so far, plus
	// one; and the last one with its answer, for repeats.
	seen   uint32
	last   [sha256.Size]byte
	answer datagrams
}

// syncOffer are the notifications with which support is said.
func syncOffer() []wire.Payload {
	return []wire.Payload{wire.Notify{Type: wire.MessageIDSyncSupported}, wire.Notify{Type: wire.ReplayCounterSyncSupported}}
}

// learnSync notes what the peer supports, and returns what is answered to it.
func (s *SA) learnSync(ps wire.Payloads) (answer []wire.Payload) {
	if _, s.sync.ids = ps.Notify(wire.MessageIDSyncSupported); s.sync.ids {
		answer = append(answer, wire.Notify{Type: wire.MessageIDSyncSupported})
	}
	if _, s.sync.counters = ps.Notify(wire.ReplayCounterSyncSupported); s.sync.counters {
		answer = append(answer, wire.Notify{Type: wire.ReplayCounterSyncSupported})
	}
	return answer
}

// takenOver arranges the synchronisation of an SA that another activation served
// before.
func (s *SA) takenOver(now time.Time) {
	if !s.sync.ids {
		return
	}
	s.sync.unproven = true
	s.heard = now.Add(syncAfter + s.jittered(activationSpread, 1) - s.dpd)
	if r := s.window.request; r != nil && r.task.kind == taskSync {
		s.window.request = nil
	}
}

// missed reports whether an authentic request says that we do not know what the
// peer and our predecessor have exchanged, and arranges that we ask.
func (s *SA) missed(id uint32) bool {
	if !s.sync.unproven || id <= s.window.expect || s.window.request != nil {
		return false
	}
	s.enqueue(task{kind: taskSync})
	return true
}

// startSync asks the peer for its message IDs. Every attempt has another nonce
// and a higher ID than the one before: the peer drops what is not above all
// that it has seen.
func (s *SA) startSync(now time.Time, r request, out *exchange.Output) {
	r.task = task{kind: taskSync}
	r.nonce = binary.BigEndian.Uint32(bytesFrom(s.host.Rand(), 4))
	step := uint32(1) << min(4*r.tries, 16)
	if next := s.window.next + step; next > s.window.next {
		s.window.next = next
	}
	r.message = s.seal(wire.Informational, 0, false, s.syncPayloads(r.nonce))
	r.at = now.Add(s.host.Rules().repeatAfter(r.tries))
	s.window.request = &r
	s.post(r.message, out)
}

// syncPayloads are the notifications of a synchronisation with our view of the
// message IDs.
func (s *SA) syncPayloads(nonce uint32) []wire.Payload {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, syncLen), nonce)
	b = binary.BigEndian.AppendUint32(b, s.window.next)
	b = binary.BigEndian.AppendUint32(b, s.window.expect)
	ps := []wire.Payload{wire.Notify{Type: wire.MessageIDSync, Data: b}}
	if r := s.window.request; s.sync.counters && len(s.children) > 0 && (r == nil || r.task.kind == taskSync) {
		ps = append(ps, s.counterSync())
	}
	return ps
}

// counterSync asks the peer to skip outbound sequence numbers; with ESN the
// number has 64 bits.
func (s *SA) counterSync() wire.Notify {
	n := wire.Notify{Type: wire.ReplayCounterSync}
	if slices.ContainsFunc(s.children, func(c *child) bool { return c.In.ESN }) {
		n.Data = binary.BigEndian.AppendUint64(nil, counterSkip)
	} else {
		n.Data = binary.BigEndian.AppendUint32(nil, counterSkip)
	}
	return n
}

// syncIDs reads a synchronisation.
func syncIDs(ps wire.Payloads) (nonce, send, receive uint32, ok bool) {
	n, ok := ps.Notify(wire.MessageIDSync)
	if !ok || len(n.Data) != syncLen {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint32(n.Data), binary.BigEndian.Uint32(n.Data[4:]), binary.BigEndian.Uint32(n.Data[8:]), true
}

// syncSkip reads by how many sequence numbers a synchronisation moves on.
func syncSkip(ps wire.Payloads) (uint64, bool) {
	n, ok := ps.Notify(wire.ReplayCounterSync)
	switch {
	case ok && len(n.Data) == 4:
		return uint64(binary.BigEndian.Uint32(n.Data)), true
	case ok && len(n.Data) == 8:
		return binary.BigEndian.Uint64(n.Data), true
	}
	return 0, false
}

// syncResponse takes the peer's answer. One that is not to our last attempt, or
// goes back, changes nothing.
func (s *SA) syncResponse(now time.Time, r *request, ps wire.Payloads, out *exchange.Output) error {
	nonce, p2, m2, ok := syncIDs(ps)
	if !ok || nonce != r.nonce || m2 < s.window.next || p2 < s.window.expect {
		return exchange.ErrStale
	}
	s.heard = now
	s.settled()
	s.sync.unproven = false
	s.window.next = m2
	if p2 != s.window.expect {
		s.window.expect, s.window.response = p2, nil
	}
	if skip, ok := syncSkip(ps); ok && skip == counterSkip && s.sync.counters {
		for _, c := range s.children {
			out.Events = append(out.Events, exchange.PeerSkipped{ID: c.ID, Numbers: skip})
		}
	}
	return nil
}

// syncRequest answers a cluster that has taken our peer's part over: sections
// 5.1 and 5.2. It reports false for a message that is none of those.
func (s *SA) syncRequest(now time.Time, d exchange.Datagram, m *wire.Message, ps wire.Payloads, out *exchange.Output) (is bool, err error) {
	nonce, m1, p1, ok := syncIDs(ps)
	if m.MessageID != 0 || m.Exchange != wire.Informational || !ok || !s.sync.ids || !s.standing() {
		return false, nil
	}
	sum := sha256.Sum256(d.Payload)
	if s.sync.answer != nil && sum == s.sync.last {
		s.sync.answer.send(d, out)
		return true, nil
	}
	if m1 < s.window.expect || m1 < s.sync.seen || m1 == 1<<32-1 {
		return true, exchange.ErrStale
	}
	s.heard = now
	s.follow(d.Local, d.Remote, out)
	s.sync.seen = m1 + 1
	if m1 != s.window.expect {
		s.window.expect, s.window.response = m1, nil
	}
	s.yield(now, p1)
	s.window.next = max(p1, s.window.next)
	b := binary.BigEndian.AppendUint32(make([]byte, 0, syncLen), nonce)
	b = binary.BigEndian.AppendUint32(b, s.window.next)
	b = binary.BigEndian.AppendUint32(b, s.window.expect)
	answer := []wire.Payload{wire.Notify{Type: wire.MessageIDSync, Data: b}}
	if skip, ok := syncSkip(ps); ok && s.sync.counters && skip <= maxCounterSkip {
		n, _ := ps.Notify(wire.ReplayCounterSync)
		answer = append(answer, wire.Notify{Type: n.Type, Data: slices.Clone(n.Data)})
		for _, c := range s.children {
			out.Events = append(out.Events, exchange.SkipNumbers{ID: c.ID, Numbers: skip})
		}
	}
	s.sync.last, s.sync.answer = sum, s.seal(wire.Informational, 0, true, answer)
	s.sync.answer.send(d, out)
	return true, nil
}

// yield decides what becomes of our outstanding request when the cluster says
// which one it expects next. One that it has answered is asked for again under
// its old ID, one that it has not seen begins anew under the next.
func (s *SA) yield(now time.Time, expected uint32) {
	r := s.window.request
	switch {
	case r == nil:
	case r.id < expected:
		r.at = now
	default:
		s.host.Bury(r.seed)
		s.window.request = nil
		if r.task.kind != taskSync {
			s.tasks = append([]task{r.task}, s.tasks...)
		}
	}
}
