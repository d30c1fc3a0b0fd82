package ikev2

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
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

// synchronisation is the Agreement about RFC 6311.
type synchronisation struct {
	ids, counters bool // agreed with the peer
	unproven      bool // taken over, and the peer has not confirmed the message IDs
	// As the peer of a cluster: the highest ID of a synchronisation so far, plus
	// one; and the last one with its answer, for repeats; nil: there was none.
	seen   uint32
	served *servedSync

	unknown record.Unknown // what a newer version wrote beyond it; no keys
}

// servedSync is a synchronisation of the peer that was answered.
type servedSync struct {
	request [sha256.Size]byte // its hash
	answer  datagrams
}

// Tag implements Agreement.
func (*synchronisation) Tag() record.Tag { return 1 }

// Offer implements Agreement.
func (*synchronisation) Offer(x wire.ExchangeType) []wire.Payload {
	if x != wire.IKEAuth {
		return nil
	}
	return []wire.Payload{wire.Notify{Type: wire.MessageIDSyncSupported},
		wire.Notify{Type: wire.ReplayCounterSyncSupported}}
}

// Learn implements Agreement.
func (y *synchronisation) Learn(x wire.ExchangeType, _ bool, ps wire.Payloads) (answer []wire.Payload) {
	if x != wire.IKEAuth {
		return nil
	}
	if _, y.ids = ps.Notify(wire.MessageIDSyncSupported); y.ids {
		answer = append(answer, wire.Notify{Type: wire.MessageIDSyncSupported})
	}
	if _, y.counters = ps.Notify(wire.ReplayCounterSyncSupported); y.counters {
		answer = append(answer, wire.Notify{Type: wire.ReplayCounterSyncSupported})
	}
	return answer
}

// Fields implements Agreement.
func (y *synchronisation) Fields(f *record.Fields) {
	f.Keep(&y.unknown)
	f.Flag(1, &y.ids)
	f.Flag(2, &y.counters)
	f.Flag(3, &y.unproven)
	record.Number(f, 4, &y.seen)
}

// Inherit implements Agreement. The successor has message IDs of its own, about
// which both ends know all.
func (y *synchronisation) Inherit() Agreement {
	return &synchronisation{ids: y.ids, counters: y.counters}
}

// syncing is the SA as RFC 6311 sees it.
type syncing struct {
	*synchronisation
	sa *SA
}

// sync returns the agreement about RFC 6311, for what follows from it.
func (s *SA) sync() syncing { return syncing{find[*synchronisation](&s.agreed), s} }

// afterTakeover arranges the synchronisation of an SA that another activation served
// before.
func (y syncing) afterTakeover(now time.Time) {
	if !y.ids {
		return
	}
	y.unproven = true
	y.sa.heard = now.Add(syncAfter + y.sa.host.jittered(activationSpread, 1) - y.sa.dpd)
	if r := y.sa.window.request; r != nil && r.task.kind == taskSync {
		y.sa.window.request = nil
	}
}

// missed reports whether an authentic request says that we do not know what the
// peer and our predecessor have exchanged, and arranges that we ask.
func (y syncing) missed(id uint32) bool {
	if !y.unproven || id <= y.sa.window.expect || y.sa.window.request != nil {
		return false
	}
	y.sa.enqueue(task{kind: taskSync})
	return true
}

// start asks the peer for its message IDs. Every attempt has another nonce
// and a higher ID than the one before: the peer drops what is not above all
// that it has seen.
func (y syncing) start(now time.Time, r request, out *exchange.Output) {
	r.task = task{kind: taskSync}
	r.nonce = binary.BigEndian.Uint32(bytesFrom(y.sa.host.Rand(), 4))
	step := uint32(1) << min(4*r.tries, 16)
	if next := y.sa.window.next + step; next > y.sa.window.next {
		y.sa.window.next = next
	}
	r.message = y.sa.seal(wire.Informational, 0, false, y.payloads(r.nonce))
	r.at = now.Add(y.sa.host.Rules().repeatAfter(r.tries))
	y.sa.window.request = &r
	y.sa.post(r.message, out)
	moving{y.sa}.postElsewhere(&r, out)
}

// elsewhere sends the synchronisation that is outstanding to where a request of the peer
// comes from which waits for it: the peer may be out of reach where it was.
func (y syncing) elsewhere(now time.Time, d exchange.Datagram, id uint32, out *exchange.Output) {
	s := y.sa
	if s.window.busyWith(taskSync) && id == s.window.expect && d.Remote != s.remote &&
		s.quotas.repeats.take(now, repeatsRate, 1) {
		s.window.request.message.send(exchange.Datagram{Local: d.Local, Remote: d.Remote}, out)
	}
}

// payloads are the notifications of a synchronisation with our view of the
// message IDs.
func (y syncing) payloads(nonce uint32) []wire.Payload {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, syncLen), nonce)
	b = binary.BigEndian.AppendUint32(b, y.sa.window.next)
	b = binary.BigEndian.AppendUint32(b, y.sa.window.expect)
	ps := []wire.Payload{wire.Notify{Type: wire.MessageIDSync, Data: b}}
	if r := y.sa.window.request; y.counters && len(y.sa.children) > 0 && (r == nil || r.task.kind == taskSync) {
		ps = append(ps, y.counterSkip())
	}
	return ps
}

// counterSkip asks the peer to skip outbound sequence numbers; with ESN the
// number has 64 bits.
func (y syncing) counterSkip() wire.Notify {
	n := wire.Notify{Type: wire.ReplayCounterSync}
	if slices.ContainsFunc(y.sa.children, func(c *child) bool { return c.In.ESN }) {
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
	return binary.BigEndian.Uint32(n.Data), binary.BigEndian.Uint32(n.Data[4:]),
		binary.BigEndian.Uint32(n.Data[8:]), true
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

// response takes the peer's answer. One that is not to our last attempt, or
// goes back, changes nothing.
func (y syncing) response(now time.Time, r *request, ps wire.Payloads, out *exchange.Output) error {
	nonce, p2, m2, ok := syncIDs(ps)
	if !ok || nonce != r.nonce || m2 < y.sa.window.next || p2 < y.sa.window.expect {
		return exchange.ErrStale
	}
	y.sa.heard = now
	y.sa.answered()
	y.unproven = false
	y.sa.window.next = m2
	if p2 != y.sa.window.expect {
		y.sa.window.expect, y.sa.window.response = p2, nil
	}
	if skip, ok := syncSkip(ps); ok && skip == counterSkip && y.counters {
		for _, c := range y.sa.children {
			out.Events = append(out.Events, exchange.PeerSkipped{ID: c.ID, Numbers: skip})
		}
	}
	return nil
}

// request answers a cluster that has taken our peer's part over: sections
// 5.1 and 5.2. It reports false for a message that is none of those.
func (y syncing) request(now time.Time, d exchange.Datagram, m *wire.Message, ps wire.Payloads,
	out *exchange.Output) (is bool, err error) {
	nonce, m1, p1, ok := syncIDs(ps)
	if m.MessageID != 0 || m.Exchange != wire.Informational || !ok || !y.ids || !y.sa.standing() {
		return false, nil
	}
	sum := sha256.Sum256(d.Payload)
	if y.served != nil && sum == y.served.request {
		if !y.sa.quotas.mayRepeat(now, d.Remote, y.sa.remote) {
			return true, exchange.ErrStale
		}
		y.sa.quotas.repeated(now, d.Remote, y.sa.remote)
		y.served.answer.send(d, out)
		return true, nil
	}
	if m1 < y.sa.window.expect || m1 < y.seen || m1 == 1<<32-1 {
		return true, exchange.ErrStale
	}
	if !y.sa.quotas.requests.take(now, requestsRate, 1) {
		return true, exchange.ErrExcess
	}
	y.sa.heard = now
	y.sa.updateAddress(d.Local, d.Remote, out)
	y.seen = m1 + 1
	if m1 != y.sa.window.expect {
		y.sa.window.expect, y.sa.window.response = m1, nil
	}
	y.giveWay(now, p1)
	y.sa.window.next = max(p1, y.sa.window.next)
	b := binary.BigEndian.AppendUint32(make([]byte, 0, syncLen), nonce)
	b = binary.BigEndian.AppendUint32(b, y.sa.window.next)
	b = binary.BigEndian.AppendUint32(b, y.sa.window.expect)
	answer := []wire.Payload{wire.Notify{Type: wire.MessageIDSync, Data: b}}
	if skip, ok := syncSkip(ps); ok && y.counters && skip <= maxCounterSkip {
		n, _ := ps.Notify(wire.ReplayCounterSync)
		answer = append(answer, wire.Notify{Type: n.Type, Data: slices.Clone(n.Data)})
		for _, c := range y.sa.children {
			out.Events = append(out.Events, exchange.SkipNumbers{ID: c.ID, Numbers: skip})
		}
	}
	y.served = &servedSync{request: sum, answer: y.sa.seal(wire.Informational, 0, true, answer)}
	y.served.answer.send(d, out)
	return true, nil
}

// giveWay decides what becomes of our outstanding request when the cluster says
// which one it expects next. One that it has answered is asked for again under
// its old ID, one that it has not seen begins anew under the next.
func (y syncing) giveWay(now time.Time, expected uint32) {
	r := y.sa.window.request
	switch {
	case r == nil:
	case r.id < expected:
		r.at = now
	default:
		y.sa.host.Bury(r.seed)
		y.sa.window.request = nil
		if r.task.kind != taskSync {
			y.sa.tasks = append([]task{r.task}, y.sa.tasks...)
		}
	}
}
