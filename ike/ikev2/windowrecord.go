package ikev2

import (
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/record"
)

// windowState is what a RecordWindow holds: all of an IKE SA that an exchange may
// change.
type windowState struct {
	window      window
	state       State
	wasReplaced bool
	local       netip.AddrPort
	remote      netip.AddrPort
	agreed      agreements
	tasks       []task // that are durable
	contends    uint64
	nat         natState
}

func (s *SA) windowState() windowState {
	v := windowState{
		window: s.window, state: s.state, wasReplaced: s.wasReplaced, local: s.local, remote: s.remote,
		agreed: s.agreed, contends: s.contends, nat: s.natState(),
	}
	for _, t := range s.tasks {
		if t.durable() {
			v.tasks = append(v.tasks, t)
		}
	}
	return v
}

func (s *SA) setWindowState(v windowState) {
	s.window, s.state, s.wasReplaced, s.local, s.remote = v.window, v.state, v.wasReplaced, v.local, v.remote
	s.agreed, s.tasks, s.contends = v.agreed, v.tasks, v.contends
	s.setNATState(v.nat)
	if s.endReason == "" && s.window.request != nil {
		s.endReason = s.window.request.task.reason
	}
}

func (v *windowState) fields(f *record.Fields) {
	f.Keep(&v.window.unknown)
	state := v.state
	if state == Contending { // which older programs take for one that waits for its end
		state = Replaced
	}
	record.Number(f, 1, &state)
	f.AddrPort(2, &v.local)
	f.AddrPort(3, &v.remote)
	record.Number(f, 4, &v.window.expect)
	datagramsFields(f, 5, &v.window.response)
	record.Number(f, 6, &v.window.next)
	record.Number(f, 7, &v.window.iv)
	record.Optional(f, 8, &v.window.request, func(f *record.Fields, r *request) { r.fields(f) })
	record.List(f, 9, &v.tasks, maxTasks, func(f *record.Fields, t *task) {
		t.fields(f)
		f.Require(t.durable())
	})
	if f.Reading() {
		v.agreed = newAgreements()
	}
	f.Record(10, v.agreed.fields)
	f.Flag(12, &v.wasReplaced)
	record.Number(f, 13, &v.contends)
	record.Number(f, 14, &v.nat)
	if f.Reading() {
		if v.state = state; state == Replaced && v.contends != 0 {
			v.state = Contending
		}
	}
	f.Require(v.state == Contending || v.contends == 0)
	f.Require(state == Established || state == Replaced || state == Deleting)
}

// fields lists the fields of the task in a record. Its group is that of the
// request.
func (t *task) fields(f *record.Fields) {
	f.Keep(&t.unknown)
	record.Number(f, 1, &t.kind)
	record.Number(f, 2, &t.child)
	record.Number(f, 3, &t.spi)
	f.Text(4, &t.reason)
	record.Number(f, 5, &t.turns)
}

// fields lists the fields of the request in a record.
func (r *request) fields(f *record.Fields) {
	f.Keep(&r.unknown)
	record.Number(f, 1, &r.id)
	datagramsFields(f, 2, &r.message)
	f.Record(3, r.task.fields)
	f.Key(4, &r.seed)
	record.Number(f, 5, &r.spi)
	record.Number(f, 6, &r.group)
	record.Number(f, 7, &r.nonce)
	termsFields(f, 8, &r.terms)
	selectorsFields(f, 9, &r.local)
	selectorsFields(f, 10, &r.remote)
	record.List(f, 11, &r.deleted, maxEarlyDeletes, func(f *record.Fields, spi *sa.SPI) { record.Number(f, 1, spi) })
	record.Optional(f, 12, &r.crossed, func(f *record.Fields, x *crossing) { x.fields(f) })
	f.AddrPort(13, &r.to)
	f.AddrPort(14, &r.from)
	f.Require(r.task.kind >= taskLiveness && r.task.kind <= taskNewChild)
	if f.Reading() {
		r.task.group = r.group
		if r.task.kind == taskNewChild {
			r.task.want = &want{r.local, r.remote}
		}
	}
}

// windowRecord returns what the last exchange changed.
func (s *SA) windowRecord() exchange.Record {
	v := s.windowState()
	return exchange.Record{Kind: exchange.RecordWindow, SPI: s.spi, Body: s.host.body(v.fields)}
}

// restoreWindow reads a RecordWindow into s. With an error s has not changed.
func (s *SA) restoreWindow(rec exchange.Record) error {
	var v windowState
	if record.Parse(rec.Body.Reveal(), v.fields) != nil {
		return exchange.ErrRecord
	}
	s.setWindowState(v)
	return nil
}
