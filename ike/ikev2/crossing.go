package ikev2

import (
	"bytes"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
)

// When both ends rekey the same SA at once, each serves the request of the other as
// usual, and two successors come about (RFC 7296 sections 2.8.1 and 2.8.2):
//
//	we                                     peer
//	  CREATE_CHILD_SA {.., Ni} ---\  /---     CREATE_CHILD_SA {.., Ni}
//	                          <----\/--->
//	  CREATE_CHILD_SA {.., Nr} ---\/\----     CREATE_CHILD_SA {.., Nr}
//	                          <----/\--->
//
// The exchange with the lowest of the four nonces has lost. The end that began it
// closes what came of it, and the end that began the other one closes the SA which
// both have rekeyed.
//
// An exchange that fails while the other one succeeds is forgotten, and so is one of
// which the peer did not know: it closes the old SA at once then, or says that it is
// about to (TEMPORARY_FAILURE, CHILD_SA_NOT_FOUND).

// crossing is the peer's exchange that met one of ours. It stands with the request of
// ours, and like it is on record.
type crossing struct {
	successor uint64 // what came of it: the ID of a child SA, or our SPI of an IKE SA
	nonce     []byte // the lower one of its two nonces

	unknown record.Unknown // what a newer version wrote beyond it
}

// newCrossing is the crossing that the request of the peer and our response to it,
// which both have a nonce, have made.
func newCrossing(successor uint64, request, response wire.Payloads) *crossing {
	i, _ := wire.Find[wire.Nonce](request)
	r, _ := wire.Find[wire.Nonce](response)
	return &crossing{successor: successor, nonce: bytes.Clone(lower(i.Data, r.Data))}
}

// wins reports whether the peer's exchange has won over ours, which has these nonces.
func (x *crossing) wins(ni, nr []byte) bool { return bytes.Compare(lower(ni, nr), x.nonce) < 0 }

// lower returns the lower one of two nonces: the first octet that differs decides,
// and of two of which one begins with the other, the shorter one is lower.
func lower(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

// fields lists the fields of the crossing in a record.
func (x *crossing) fields(f *record.Fields) {
	f.Keep(&x.unknown)
	record.Number(f, 1, &x.successor)
	f.Bytes(2, &x.nonce)
	f.Require(x.successor != 0 && len(x.nonce) <= wire.MaxNonce)
}

// crosses reports whether r, which may be nil, rekeys what the peer wants to rekey,
// too: the child SA called child, or the IKE SA where that is 0.
func (r *request) crosses(child uint64) bool {
	if r == nil || r.crossed != nil {
		return false
	}
	if child == 0 {
		return r.task.kind == taskRekeyIKE
	}
	return r.task.kind == taskRekeyChild && r.task.child == child
}

// rival returns the child SA that the peer's exchange has made while r was out;
// nil: there was no such exchange, or the child SA has ended.
func (l childList) rival(r *request) *child {
	if r.crossed == nil {
		return nil
	}
	return l.byID(r.crossed.successor)
}

// contest is an IKE SA that both ends rekey, with a successor that came of either
// exchange. While it is open, the one of the peer's exchange is Contending: it has no
// child SAs, and serves nothing but its own end. A request on it that wants more than
// that says that the peer has decided for it.
type contest struct{ sa, next *SA }

// contest returns that which the request r of ours is in, with the SA that came of the
// peer's exchange; nil: there is none, or it has ended.
func (k *rekeying) contest(r *request) *contest {
	if r == nil || r.crossed == nil {
		return nil
	}
	for _, o := range k.sa.host.Others(k.sa) {
		if o, ok := o.(*SA); ok && o.spi == r.crossed.successor {
			return &contest{k.sa, o}
		}
	}
	return nil
}

// isOpen reports whether x, which may be nil, is not decided.
func (x *contest) isOpen() bool { return x != nil && x.next.state == Contending }

// open begins it.
func (x *contest) open(now time.Time, c *crossing, out *exchange.Output) {
	x.sa.window.request.crossed = c
	x.next.contends = x.sa.spi
	x.enter(now, out)
}

// enter has the engine know what is not the successor yet, or never will be.
func (x *contest) enter(now time.Time, out *exchange.Output) {
	n := x.next
	n.state, n.fresh, n.heard = Contending, true, now
	n.setLifetimes(now)
	n.endAt, n.endReason = now.Add(contestTimeout), "rekeyed"
	x.sa.host.Adopt(nil, n)
	n.finish(now, out)
}

// discard closes what came of our exchange, which has lost.
func (x *contest) discard(now time.Time, out *exchange.Output) {
	x.next.enqueue(task{kind: taskDeleteIKE, reason: "rekeyed by both ends"})
	x.enter(now, out)
}

// lose says that what came of the peer's exchange has lost: the peer closes it.
func (x *contest) lose(now time.Time, out *exchange.Output) {
	n := x.next
	n.host.Touch(n)
	n.transition(Replaced)
	n.contends, n.dirty = 0, true
	n.endAt, n.endReason = now.Add(replacedTimeout), "rekeyed by both ends"
	n.finish(now, out)
}

// win makes what came of the peer's exchange the successor.
func (x *contest) win(now time.Time, out *exchange.Output) {
	x.sa.host.Touch(x.next)
	(&rekeying{sa: x.sa, next: x.next}).handOver(now, out)
}

// cancel ends it, because the SA itself ends.
func (x *contest) cancel(now time.Time, reason string, out *exchange.Output) {
	if x.isOpen() {
		x.sa.host.Touch(x.next)
		x.next.End(now, reason, out)
	}
}

// deletesIKE reports whether a request ends the IKE SA that it came on.
func deletesIKE(ps wire.Payloads) bool {
	d, _ := wire.Find[wire.Delete](ps)
	return d.Protocol == wire.ProtocolIKE
}

// prevail makes k.sa, which came of the peer's exchange, the successor of the SA that
// it contends for: the peer uses it.
func (k *rekeying) prevail(now time.Time, out *exchange.Output) {
	n := k.sa
	for _, o := range n.host.Others(n) {
		if o, ok := o.(*SA); ok && o.spi == n.contends {
			o.host.Touch(o)
			(&contest{o, n}).win(now, out)
			o.finish(now, out)
		}
	}
}
