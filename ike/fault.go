package ike

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/warrenvpn/warren/ike/ikev2"
)

// ErrFault is a call that met an internal error, which ended the SA that it was
// about: see Isolate.
var ErrFault = errors.New("ike: internal error")

// Isolate makes a panic in what concerns one IKE SA end that SA, with a Fault
// among the events, instead of the process with all others. Without it, as in
// tests, a panic goes its way.
func (e *Engine) Isolate() { e.isolated = true }

// The bounds of what a Fault says.
const (
	faultReason = 200 // octets
	faultFrames = 16
)

// guard does what a call wants from the SAs in e.touched. What a panic left of
// them is ended: their child SAs are taken out of service and the records say
// that they are gone. A second panic on the way is nobody's to catch.
func (e *Engine) guard(now time.Time, out *Output, do func() error) (err error) {
	if !e.isolated {
		return do()
	}
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		f := Fault{Reason: reasonOf(p), Where: frames()}
		for len(e.touched) > 0 {
			s := e.touched[len(e.touched)-1]
			e.touched = e.touched[:len(e.touched)-1]
			if s.SPI() != 0 && f.Peer.SPI == 0 {
				f.Peer = s.Peer()
			}
			s.End(now, "internal error", out)
			e.forget(now, s)
		}
		e.usage.Faults++
		out.Events = append(out.Events, f)
		err = fmt.Errorf("%w: %s", ErrFault, f.Reason)
	}()
	return do()
}

// forget strikes a dead SA out of all indexes.
func (e *Engine) forget(now time.Time, s *ikev2.SA) {
	e.touch(s)
	e.settle(now)
}

// reasonOf returns the text of a panic. Texts of this module and of the runtime
// hold no secrets; of any other value only the type is told.
func reasonOf(p any) string {
	text := ""
	switch p := p.(type) {
	case runtime.Error:
		text = p.Error()
	case string:
		text = p
	default:
		text = fmt.Sprintf("%T", p)
	}
	return text[:min(len(text), faultReason)]
}

// frames returns where the panic that is being recovered came from: functions
// and lines, the innermost first, without arguments.
func frames() []string {
	pcs := make([]uintptr, 4*faultFrames)
	it := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var out []string
	for len(out) < faultFrames {
		f, more := it.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			out = append(out, fmt.Sprintf("%s:%d", f.Function[strings.LastIndexByte(f.Function, '/')+1:], f.Line))
		}
		if !more {
			break
		}
	}
	return out
}
