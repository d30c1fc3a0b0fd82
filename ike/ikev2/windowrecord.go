package ikev2

import (
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

// windowRecord returns what the last exchange changed.
func (s *SA) windowRecord() exchange.Record {
	w := writer{make([]byte, 0, 256)}
	s.writeWindow(&w)
	return exchange.Record{Kind: exchange.RecordWindow, SPI: s.spi, Body: secret.New(w.b)}
}

func (s *SA) writeWindow(w *writer) {
	w.u8(uint8(s.state))
	w.flag(s.wasReplaced)
	w.addrPort(s.local)
	w.addrPort(s.remote)
	w.u32(s.window.expect)
	w.bytes(s.window.response.join())
	w.u32(s.window.next)
	w.u64(s.window.iv)
	w.u32(s.sync.seen)
	w.flag(s.sync.unproven)
	w.tasks(s.tasks)
	r := s.window.request
	w.flag(r != nil)
	if r == nil {
		return
	}
	w.u32(r.id)
	w.bytes(r.message.join())
	w.u8(uint8(r.task.kind))
	w.u64(r.task.child)
	w.text(r.task.reason)
	w.key(r.seed)
	w.u64(r.spi)
	w.u16(r.group)
	w.u32(r.nonce)
	w.terms(r.terms)
	w.selectors(r.local)
	w.selectors(r.remote)
	w.u32(uint32(r.task.spi))
	w.u8(r.task.turns)
	w.u16(uint16(len(r.deleted)))
	for _, spi := range r.deleted {
		w.u32(uint32(spi))
	}
}

func (s *SA) readWindow(r *reader) {
	s.state = State(r.u8())
	if s.state != Established && s.state != Replaced && s.state != Deleting {
		r.fail()
	}
	s.wasReplaced = r.flag()
	s.local, s.remote = r.addrPort(), r.addrPort()
	s.window = window{expect: r.u32(), response: r.datagrams(), next: r.u32(), iv: r.u64()}
	s.sync.seen, s.sync.unproven = r.u32(), r.flag()
	s.tasks = r.tasks()
	if !r.flag() {
		return
	}
	q := &request{id: r.u32(), message: r.datagrams()}
	q.task = task{kind: taskKind(r.u8()), child: r.u64(), reason: r.text()}
	q.seed, q.spi, q.group, q.nonce = r.key(), r.u64(), r.u16(), r.u32()
	q.terms, q.local, q.remote = r.terms(), r.selectors(), r.selectors()
	q.task.spi, q.task.turns, q.task.group = sa.SPI(r.u32()), r.u8(), q.group
	for range r.count(4) {
		q.deleted = append(q.deleted, sa.SPI(r.u32()))
	}
	if q.task.kind < taskLiveness || q.task.kind > taskNewChild {
		r.fail()
	}
	if q.task.kind == taskNewChild {
		q.task.want = &want{q.local, q.remote}
	}
	s.window.request = q
}

// restoreWindow reads a RecordWindow into s.
func (s *SA) restoreWindow(rec exchange.Record) error {
	r := reader{s: rec.Body.Reveal()}
	s.readWindow(&r)
	if r.bad || len(r.s) > 0 {
		return exchange.ErrRecord
	}
	if s.endReason == "" && s.window.request != nil {
		s.endReason = s.window.request.task.reason
	}
	return nil
}

// tasks writes those that are durable.
func (w *writer) tasks(list []task) {
	n := 0
	for _, t := range list {
		if t.durable() {
			n++
		}
	}
	w.u16(uint16(n))
	for _, t := range list {
		if t.durable() {
			w.u8(uint8(t.kind))
			w.u64(t.child)
			w.u32(uint32(t.spi))
			w.text(t.reason)
		}
	}
}

func (r *reader) tasks() []task {
	n := r.count(17)
	if n > maxTasks {
		r.fail()
	}
	var out []task
	for i := 0; i < n && !r.bad; i++ {
		t := task{kind: taskKind(r.u8()), child: r.u64(), spi: sa.SPI(r.u32()), reason: r.text()}
		if !t.durable() {
			r.fail()
		}
		out = append(out, t)
	}
	return out
}

// datagrams reads one message.
func (r *reader) datagrams() datagrams {
	m, ok := splitDatagrams(r.bytes())
	if !ok {
		r.fail()
	}
	return m
}
