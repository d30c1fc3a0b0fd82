package ike

import (
	"errors"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/panics"
)

// ErrFault is a call that met an internal error, which ended the SA that it was
// about: see Isolate.
var ErrFault = errors.New("ike: internal error")

// Isolate makes a panic in what concerns one IKE SA end that SA, with a Fault
// among the events, instead of the process with all others. Without it, as in
// tests, a panic goes its way.
func (e *Engine) Isolate() { e.isolated = true }

// guard does what a call wants from the SAs in e.touched. What a panic left of
// them is ended: their child SAs are taken out of service and the records say
// that they are gone. A second panic on the way is nobody's to catch.
func (e *Engine) guard(now time.Time, out *exchange.Output, do func() error) (err error) {
	if !e.isolated {
		return do()
	}
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		f := exchange.Fault{Reason: panics.Reason(p), Where: panics.Where()}
		for len(e.touched) > 0 {
			s := e.touched[len(e.touched)-1]
			e.touched = e.touched[:len(e.touched)-1]
			if s.SPI() != 0 && f.Peer.SPI == 0 {
				f.Peer = s.Peer()
			}
			s.End(now, "internal error", out)
			e.strikeOut(now, s)
		}
		e.usage.Faults++
		out.Events = append(out.Events, f)
		err = fmt.Errorf("%w: %s", ErrFault, f.Reason)
	}()
	return do()
}

// strikeOut strikes a dead SA out of all indexes.
func (e *Engine) strikeOut(now time.Time, s exchange.SA) {
	e.touch(s)
	e.reindex(now)
}
