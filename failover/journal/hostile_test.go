package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/record"
)

// states brings a pair into each state of a session, by name.
var states = map[string]func(p *pair){
	"greeting": func(p *pair) { p.s.Connected(); p.r.Connected(nil) },
	"snapshot": func(p *pair) {
		p.connect()
		p.step(true)
		p.step(true)
	},
	"live": func(p *pair) {
		p.connect()
		for p.r.state != receiverLive {
			p.step(false)
		}
	},
	"in step": func(p *pair) {
		p.connect()
		p.settle()
	},
}

func inState(t *testing.T, name string) *pair {
	t.Helper()
	p := newPair(t, 0)
	for _, text := range []string{"one", "two", "three"} {
		p.append(text)
	}
	states[name](p)
	return p
}

// sum gives b a right checksum: what only somebody with the keys could send.
func sum(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// TestHostileMessages gives a receiver, in every state, messages that no sender
// sends there: cut short, too long, damaged, reordered, repeated, invented. All
// are errors, and none changes the copy or what the receiver claims to have.
func TestHostileMessages(t *testing.T) {
	good := func(m message) []byte { return appendMessage(nil, &m) }
	tests := map[string][]byte{
		"nothing":               {},
		"a checksum of nothing": sum(nil),
		"unknown kind":          sum([]byte{99, 1, 2, 3}),
		"hello":                 good(message{kind: kindHello, protocol: Protocol, holds: true}),
		"ack":                   good(message{kind: kindAck, position: 1}),
		"entry of the past":     good(message{kind: kindEntry, position: 1, payload: []byte("one")}),
		"entry of the future":   good(message{kind: kindEntry, position: 1 << 40, payload: []byte("x")}),
		"entry 0":               good(message{kind: kindEntry, payload: []byte("x")}),
		"entry without payload": good(message{kind: kindEntry, position: 4}),
		"item of another index": good(message{kind: kindItem, count: 7, payload: []byte("x")}),
		"end too early":         good(message{kind: kindEnd, count: 1}),
		"end of too many":       good(message{kind: kindEnd, count: 1 << 31}),
		"answer to a tend":      good(message{kind: kindTended, clock: 1}),
		"demand of silence":     good(message{kind: kindYield}),
		"mark elsewhere":        good(message{kind: kindMark, position: 77}),
		"resume elsewhere": good(message{kind: kindResume, version: 1, stream: StreamID{1}, epoch: 1,
			position: 99}),
		"resume of a stranger": good(message{kind: kindResume, version: 1, stream: StreamID{8}, epoch: 1}),
		"snapshot of the past": good(message{kind: kindBegin, version: 1, stream: StreamID{1}, epoch: 0, count: 1}),
		"endless snapshot": good(message{
			kind: kindBegin, version: 1, stream: StreamID{1}, epoch: 1, count: MaxItems + 1,
		}),
		"too long": good(message{kind: kindItem, payload: make([]byte, MaxRecord+1)}),
	}
	for state := range states {
		for name, b := range tests {
			p := inState(t, state)
			if name == "snapshot of the past" && p.r.cfg.Epoch == 0 {
				continue // it has not heard of an epoch yet
			}
			before, copied, staged := *p.r, slices.Clone(p.copy), slices.Clone(p.staged)
			step, ok, err := p.r.Receive(b)
			if err == nil || ok {
				t.Errorf("%s, %s: accepted as %+v", state, name, step)
			}
			if !cmp.Equal(*p.r, before, cmp.AllowUnexported(Receiver{}, message{})) ||
				!slices.Equal(p.copy, copied) || !slices.Equal(p.staged, staged) {
				t.Errorf("%s, %s: the receiver changed", state, name)
			}
		}
	}
}

// TestHostileAcknowledgements does the same to a sender.
func TestHostileAcknowledgements(t *testing.T) {
	good := func(m message) []byte { return appendMessage(nil, &m) }
	tests := map[string][]byte{
		"nothing":            {},
		"future":             good(message{kind: kindAck, position: 4000}),
		"cut short":          good(message{kind: kindAck, position: 3})[:5],
		"damaged":            append(good(message{kind: kindAck, position: 3})[:4], 0),
		"entry":              good(message{kind: kindEntry, position: 4, payload: []byte("x")}),
		"begin":              good(message{kind: kindBegin, version: 1, epoch: 1}),
		"tend":               good(message{kind: kindTend, clock: 1}),
		"hello of later":     good(message{kind: kindHello, protocol: Protocol, epoch: 2}),
		"hello, other words": good(message{kind: kindHello, protocol: record.Versions{Oldest: 3, Newest: 4}}),
	}
	for state := range states {
		for name, b := range tests {
			p := inState(t, state)
			last := p.append("four")
			durable, acked, at := p.s.Durable(last), p.s.Acked(), p.s.state
			if err := p.s.Receive(b); err == nil {
				t.Errorf("%s, %s: accepted", state, name)
			}
			if p.s.Durable(last) != durable || p.s.Acked() != acked || p.s.state != at {
				t.Errorf("%s, %s: the sender changed", state, name)
			}
		}
	}
	s := NewSender(SenderConfig{Stream: StreamID{1}, Epoch: 1})
	s.Connected()
	if err := s.Receive(good(message{kind: kindHello, protocol: Protocol, epoch: 2})); !errors.Is(err, ErrEpoch) {
		t.Errorf("later epoch: %v", err)
	}
}

// TestReordered exchanges two messages of a stream that are next to each other:
// whichever they are, the copy stays a prefix of the active's state.
func TestReordered(t *testing.T) {
	stream := func() (*pair, [][]byte) {
		p := newPair(t, 0)
		p.append("one")
		p.append("two")
		p.s.Connected()
		if err := p.s.Receive(p.r.Connected(nil)); err != nil {
			t.Fatal(err)
		}
		p.s.Snapshot([][]byte{[]byte("one"), []byte("two")})
		p.append("three")
		p.append("four")
		var all [][]byte
		for {
			b, ok := p.s.Message(nil)
			if !ok {
				return p, all
			}
			all = append(all, b)
		}
	}
	_, all := stream()
	for i := range len(all) - 1 {
		p, all := stream()
		all[i], all[i+1] = all[i+1], all[i]
		refused := false
		for _, b := range all {
			step, ok, err := p.r.Receive(b)
			if err != nil {
				refused = true
				break // the session ends
			}
			if ok {
				p.apply(step)
			}
		}
		if !refused {
			t.Errorf("messages %d and %d changed places, and nobody noticed", i, i+1)
		}
		if len(p.copy) > 0 && !slices.Equal(p.copy, p.state[:len(p.copy)]) {
			t.Errorf("messages %d and %d changed places: the copy is %q", i, i+1, p.copy)
		}
	}
}

// TestInStepLate: nobody waits for a standby that is still taking a snapshot in.
func TestInStepLate(t *testing.T) {
	p := newPair(t, 0)
	for range 300 {
		p.append("record")
	}
	p.connect()
	for p.step(false) { // everything is sent, nothing acknowledged
	}
	last := p.append("more")
	if p.s.InStep() || !p.s.Durable(last) || p.r.Ready() {
		t.Errorf("in step with a standby that has acknowledged nothing: %+v", p.s.Progress())
	}
	b, ok := p.r.Ack(nil)
	if !ok {
		// Ack was asked for in step; the acknowledgement is lost like its answer.
		b = appendMessage(nil, &message{kind: kindAck, position: p.r.applied})
	}
	if err := p.s.Receive(b); err != nil {
		t.Fatal(err)
	}
	for p.step(false) {
	}
	if next := p.append("again"); !p.s.InStep() || p.s.Durable(next) || !p.r.Ready() {
		t.Errorf("not in step: %+v", p.s.Progress())
	}
}

// TestSnapshotOfNothing: a snapshot at position 0 must be taken in, too, before
// the standby counts: it may hold what is older than the stream.
func TestSnapshotOfNothing(t *testing.T) {
	p := newPair(t, 0)
	p.state = []string{"from before the stream"}
	p.connect()
	for p.step(false) {
	}
	if p.s.InStep() {
		t.Error("in step before the acknowledgement")
	}
	if err := p.s.Receive(appendMessage(nil, &message{kind: kindAck})); err != nil {
		t.Fatal(err)
	}
	p.settle()
	q := newPair(t, 0)
	q.connect()
	q.settle()
}

// TestKeysAreOverwritten: records that nobody needs any more leave nothing.
func TestKeysAreOverwritten(t *testing.T) {
	blank := func(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }
	record := func() []byte { return bytes.Repeat([]byte("key"), 10) }
	p := newPair(t, 0)
	p.connect()
	p.settle()
	acked, closed, item := record(), record(), record()
	p.s.Append(acked)
	p.state = append(p.state, string(acked))
	p.settle()
	if !blank(acked) {
		t.Error("an acknowledged record is still there")
	}
	p.cut()
	p.s.Append(closed)
	p.r = NewReceiver(ReceiverConfig{})
	p.connect()
	p.s.Snapshot([][]byte{item, record()})
	for range 2 {
		p.s.Message(nil)
	}
	if !blank(item) {
		t.Error("an item that was sent is still there")
	}
	late := record()
	p.s.Append(late)
	p.s.Close()
	if !blank(closed) || !blank(late) {
		t.Error("a record survives Close")
	}
}

// FuzzReceiver gives a receiver in step anything at all: it never takes what
// does not follow, and an error changes nothing.
func FuzzReceiver(f *testing.F) {
	for _, m := range wireMessages {
		f.Add(appendMessage(nil, &m), uint8(3))
	}
	f.Add(appendMessage(nil, &message{kind: kindEntry, position: 4, payload: []byte("four")}), uint8(9))
	f.Fuzz(func(t *testing.T, b []byte, steps uint8) {
		p := newPair(t, 0)
		for _, text := range []string{"one", "two", "three"} {
			p.append(text)
		}
		p.connect()
		for range steps % 16 {
			p.step(true)
		}
		before := *p.r
		step, ok, err := p.r.Receive(b)
		if err != nil && !cmp.Equal(*p.r, before, cmp.AllowUnexported(Receiver{}, message{})) {
			t.Error("a refused message changed the receiver")
		}
		if ok && step.Op == StepEntry && step.Position != before.applied+1 {
			t.Errorf("entry %d was taken after %d", step.Position, before.applied)
		}
		if ok && step.Op == StepCommit && before.items != before.begin.count {
			t.Error("half a snapshot was taken")
		}
		_ = p.s.Receive(b)
		if p.s.Acked() > p.s.sent {
			t.Errorf("%d is acknowledged, %d was sent", p.s.Acked(), p.s.sent)
		}
	})
}
