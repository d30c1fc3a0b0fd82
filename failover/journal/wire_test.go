package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/record/recordtest"
)

var wireMessages = []message{
	{
		kind: kindHello, protocol: record.Versions{Oldest: 1, Newest: 2}, stream: StreamID{1, 2, 3},
		epoch: 5, position: 7,
		holds: true,
	},
	{kind: kindHello, protocol: record.Versions{Oldest: 1, Newest: 1}},
	{kind: kindResume, version: 1, stream: StreamID{9}, epoch: 3, position: 1 << 40},
	{kind: kindBegin, version: 1, stream: StreamID{9}, epoch: 3, position: 4, count: 2},
	{kind: kindItem, count: 1, payload: []byte("item")},
	{kind: kindEnd, count: 2},
	{kind: kindEntry, position: 5, payload: []byte("entry")},
	{kind: kindMark, position: 5},
	{kind: kindAck, position: 5},
	{kind: kindTend, clock: 1 << 60},
	{kind: kindTended, clock: 1 << 60},
	{kind: kindYield},
}

func TestMessageRoundTrip(t *testing.T) {
	for _, want := range wireMessages {
		b := appendMessage(nil, &want)
		got, err := parseMessage(b)
		if err != nil {
			t.Fatalf("kind %d: %v", want.kind, err)
		}
		if diff := cmp.Diff(&want, got, cmp.AllowUnexported(message{})); diff != "" {
			t.Errorf("kind %d (-want +got):\n%s", want.kind, diff)
		}
		for n := range b {
			if _, err := parseMessage(b[:n]); err == nil {
				t.Errorf("kind %d: a prefix of %d bytes is accepted", want.kind, n)
			}
			flipped := bytes.Clone(b)
			flipped[n] ^= 1
			if _, err := parseMessage(flipped); err == nil {
				t.Errorf("kind %d: a flipped bit in byte %d is accepted", want.kind, n)
			}
		}
		if _, err := parseMessage(append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("kind %d: a byte too many is accepted", want.kind)
		}
	}
}

// TestOlderMessages reads what older programs sent.
func TestOlderMessages(t *testing.T) {
	var samples []recordtest.Sample
	for i, m := range wireMessages {
		samples = append(samples, recordtest.Sample{Name: fmt.Sprintf("message-%d", i+1),
			Bytes: appendMessage(nil, &m)})
	}
	recordtest.Read(t, samples, func(b []byte) error { _, err := parseMessage(b); return err })
}

// TestTend: who has no supervisor tells the twin, from begin or resume on, and the twin
// answers or asks for silence. Nobody tells a twin of an older program.
func TestTend(t *testing.T) {
	p := newPair(t, 0)
	p.append("one")
	p.connect()
	if _, ok := p.s.Tend(nil, 1); ok {
		t.Error("the twin is told before it was greeted")
	}
	for p.step(true) {
	}
	b, ok := p.s.Tend(nil, 7)
	if !ok {
		t.Fatal("the twin is not told")
	}
	step, ok, err := p.r.Receive(b)
	if err != nil || !ok || step.Op != StepTend || step.Clock != 7 {
		t.Fatalf("it is told %+v, %v", step, err)
	}
	if err := p.s.Receive(p.r.Tended(nil, step)); err != nil || p.s.Tended() != 7 || p.s.Yielded() {
		t.Errorf("answered %d, yields %v, %v", p.s.Tended(), p.s.Yielded(), err)
	}
	if err := p.s.Receive(p.r.Yield(nil)); err != nil || !p.s.Yielded() {
		t.Errorf("yields %v, %v", p.s.Yielded(), err)
	}
	if p.cut(); p.s.Tended() != 0 || p.s.Yielded() {
		t.Error("a session inherits from the one before")
	}
	p.r = NewReceiver(ReceiverConfig{Protocol: record.Versions{Oldest: 1, Newest: 1}})
	p.connect()
	for p.step(true) {
	}
	if _, ok := p.s.Tend(nil, 8); ok {
		t.Error("a twin of an older program is told")
	}
	if err := p.s.Receive(p.r.Yield(nil)); !errors.Is(err, ErrUnexpected) {
		t.Errorf("a twin of an older program asks for silence: %v", err)
	}
}

// TestProtocol: a sender and a receiver of neighbouring programs speak what both
// speak; where there is nothing, neither begins.
func TestProtocol(t *testing.T) {
	for _, c := range []struct {
		sender, receiver record.Versions
		want             uint8 // 0: they do not
	}{
		{record.Versions{Oldest: 1, Newest: 2}, record.Versions{Oldest: 2, Newest: 3}, 2},
		{record.Versions{Oldest: 2, Newest: 3}, record.Versions{Oldest: 1, Newest: 2}, 2},
		{record.Versions{Oldest: 3, Newest: 4}, record.Versions{Oldest: 1, Newest: 2}, 0},
		{record.Versions{Oldest: 1, Newest: 2}, record.Versions{Oldest: 3, Newest: 4}, 0},
	} {
		p := newPair(t, 0)
		p.s = NewSender(SenderConfig{Stream: StreamID{1}, Epoch: 1, Protocol: c.sender})
		p.r = NewReceiver(ReceiverConfig{Protocol: c.receiver})
		p.append("one")
		p.s.Connected()
		hello := p.r.Connected(nil)
		if err := p.s.Receive(hello); (err == nil) != (c.want != 0) || err != nil && !errors.Is(err, ErrProtocol) {
			t.Fatalf("%v to %v: %v", c.receiver, c.sender, err)
		}
		if c.want != 0 {
			if p.settle(); p.s.version != c.want {
				t.Errorf("%v to %v: speaks %d, want %d", c.receiver, c.sender, p.s.version, c.want)
			}
			continue
		}
		for _, k := range []kind{kindBegin, kindResume} {
			b := appendMessage(nil, &message{kind: k, version: c.sender.Newest, epoch: 1})
			if _, _, err := p.r.Receive(b); !errors.Is(err, ErrProtocol) {
				t.Errorf("%v begins with kind %d of %v: %v", c.sender, k, c.receiver, err)
			}
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, m := range wireMessages {
		f.Add(appendMessage(nil, &m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		again, err := parseMessage(appendMessage(nil, m)) // without what is unknown
		if err != nil || !cmp.Equal(m, again, cmp.AllowUnexported(message{})) {
			t.Errorf("parsed %+v, appended and parsed again %+v, %v", m, again, err)
		}
	})
}

// pair is a Sender and a Receiver with the copy that it makes.
type pair struct {
	t      *testing.T
	s      *Sender
	r      *Receiver
	state  []string // what the active has
	copy   []string
	staged []string
	ready  bool
}

func newPair(t *testing.T, backlog int) *pair {
	return &pair{t: t, s: NewSender(SenderConfig{Stream: StreamID{1}, Epoch: 1, Backlog: backlog}),
		r: NewReceiver(ReceiverConfig{})}
}

func (p *pair) append(text string) Position {
	p.t.Helper()
	at, err := p.s.Append([]byte(text))
	if err != nil {
		p.t.Fatal(err)
	}
	p.state = append(p.state, text)
	return at
}

func (p *pair) connect() {
	p.t.Helper()
	p.s.Connected()
	if err := p.s.Receive(p.r.Connected(nil)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) cut() { p.s.Disconnected(); p.r.Disconnected(); p.ready = false }

// step moves one message, and the acknowledgement if ack.
func (p *pair) step(ack bool) bool {
	p.t.Helper()
	if p.s.NeedsSnapshot() {
		var items [][]byte
		for _, text := range p.state {
			items = append(items, []byte(text))
		}
		p.s.Snapshot(items)
	}
	b, ok := p.s.Message(nil)
	if ok {
		step, does, err := p.r.Receive(b)
		if err != nil {
			p.t.Fatal(err)
		}
		if does {
			p.apply(step)
		}
	}
	if b, ok := p.r.Ack(nil); ok && ack {
		if err := p.s.Receive(b); err != nil {
			p.t.Fatal(err)
		}
	}
	return ok
}

func (p *pair) apply(s Step) {
	switch s.Op {
	case StepBegin:
		p.staged = nil
	case StepItem:
		p.staged = append(p.staged, string(s.Payload))
	case StepCommit:
		p.copy = p.staged
	case StepEntry:
		p.copy = append(p.copy, string(s.Payload))
	case StepReady:
		p.ready = true
	}
}

func (p *pair) settle() {
	p.t.Helper()
	for p.step(true) {
	}
	if diff := cmp.Diff(p.state, p.copy); diff != "" {
		p.t.Errorf("the copy differs (-active +standby):\n%s", diff)
	}
	if !p.s.InStep() || !p.r.Ready() || !p.ready {
		p.t.Errorf("in step: sender %v, receiver %v", p.s.InStep(), p.r.Ready())
	}
}

func TestReplication(t *testing.T) {
	p := newPair(t, 0)
	one := p.append("one")
	if !p.s.Durable(one) {
		t.Error("without a standby something waits for it")
	}
	p.connect()
	p.settle()

	two := p.append("two")
	if p.s.Durable(two) {
		t.Error("durable before the standby has it")
	}
	p.step(false)
	if p.s.Durable(two) {
		t.Error("durable before the acknowledgement")
	}
	p.cut()
	if !p.s.Durable(two) {
		t.Error("an output waits for a standby that is gone")
	}
	p.append("three")
	p.connect()
	if p.s.NeedsSnapshot() {
		t.Error("a short cut needs a snapshot")
	}
	p.settle()
}

func TestReplicationResync(t *testing.T) {
	tests := map[string]func(p *pair){
		"blank standby": func(p *pair) { p.r = NewReceiver(ReceiverConfig{}) },
		"backlog":       func(p *pair) { p.append(string(make([]byte, 101))) },
		"other stream": func(p *pair) {
			p.s = NewSender(SenderConfig{Stream: StreamID{2}, Epoch: 2, Next: 3, Backlog: 100})
		},
		"standby ahead": func(p *pair) {
			p.r = NewReceiver(ReceiverConfig{Stream: StreamID{1}, Position: 99, Holds: true})
		},
	}
	for name, disturb := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, 100)
			p.append("one")
			p.append("two")
			p.connect()
			p.settle()
			p.cut()
			disturb(p)
			p.connect()
			if !p.s.NeedsSnapshot() {
				t.Error("no snapshot is wanted")
			}
			p.settle()
		})
	}
}

// TestReplicationOverflow: a standby that is too slow gets a new snapshot.
func TestReplicationOverflow(t *testing.T) {
	p := newPair(t, 100)
	p.connect()
	p.settle()
	var last Position
	for i := range 50 {
		last = p.append(fmt.Sprint("record ", i))
	}
	if !p.s.Durable(last) || !p.s.NeedsSnapshot() {
		t.Errorf("durable %v, needs snapshot %v", p.s.Durable(last), p.s.NeedsSnapshot())
	}
	p.settle()
}

func TestEpochs(t *testing.T) {
	s := NewSender(SenderConfig{Stream: StreamID{1}, Epoch: 4})
	s.Connected()
	r := NewReceiver(ReceiverConfig{Epoch: 5})
	if err := s.Receive(r.Connected(nil)); !errors.Is(err, ErrEpoch) {
		t.Errorf("sender: got %v, want %v", err, ErrEpoch)
	}
	begin := appendMessage(nil, &message{kind: kindBegin, version: 1, epoch: 4})
	if _, _, err := r.Receive(begin); !errors.Is(err, ErrUnexpected) {
		t.Errorf("receiver: got %v, want %v", err, ErrUnexpected)
	}
}

// TestOutOfTurn gives every message to a Receiver and a Sender in every state:
// what does not fit changes nothing.
func TestOutOfTurn(t *testing.T) {
	texts := []string{"one", "two", "three"}
	for steps := range 12 {
		p := newPair(t, 0)
		for _, text := range texts {
			p.append(text)
		}
		p.connect()
		for i := range steps {
			p.step(i%2 == 0)
			if i == 6 {
				p.append("four")
			}
		}
		for _, m := range wireMessages {
			b := appendMessage(nil, &m)
			before, was := *p.r, slices.Clone(p.copy)
			if _, _, err := p.r.Receive(b); err != nil &&
				!cmp.Equal(*p.r, before, cmp.AllowUnexported(Receiver{}, message{})) {
				t.Errorf("step %d: kind %d was refused and changed the receiver", steps, m.kind)
			} else if err == nil {
				*p.r = before // it fitted: take it back
			}
			p.copy = was
			acked := p.s.acked
			if err := p.s.Receive(b); err != nil && p.s.acked != acked {
				t.Errorf("step %d: kind %d was refused and changed the sender", steps, m.kind)
			}
		}
	}
}

// TestReplicationRandom appends, moves, cuts and restarts in random order.
func TestReplicationRandom(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		p := newPair(t, 400)
		connected := false
		for i := range 200 {
			switch rnd.IntN(8) {
			case 0, 1:
				p.append(fmt.Sprint(seed, "/", i))
			case 2:
				if rnd.IntN(8) == 0 {
					p.cut()
					connected = false
				}
			case 3:
				if !connected {
					p.connect()
					connected = true
				}
			default:
				if connected {
					p.step(rnd.IntN(2) == 0)
				}
			}
			if p.r.Holds() && len(p.copy) > len(p.state) || !slices.Equal(p.copy, p.state[:len(p.copy)]) {
				t.Fatalf("seed %d step %d: the copy is no prefix", seed, i)
			}
			if p.s.InStep() && p.s.Durable(p.s.Next()-1) && len(p.copy) != len(p.state) {
				t.Fatalf("seed %d step %d: durable, and not there", seed, i)
			}
		}
		if !connected {
			p.connect()
		}
		p.settle()
	}
}

func TestReservation(t *testing.T) {
	const block, most = 10, 105
	r := Reserve(1, block)
	r, ok := r.Raise(block, most)
	if want := (Reservation{1, 20}); r != want || !ok {
		t.Errorf("Raise: got %+v, %v, want %+v", r, ok, want)
	}
	tests := []struct {
		name  string
		epoch uint64
		first uint64
		want  Reservation
		ok    bool
	}{
		{"next", 2, 21, Reservation{2, 30}, true},
		{"after a takeover that nobody saw", 4, 41, Reservation{4, 50}, true},
		{"last block", 9, 91, Reservation{9, 100}, true},
		{"none left", 10, 0, r, false},
		{"huge", 1 << 63, 0, r, false},
		{"same epoch", 1, 0, r, false},
	}
	for _, tt := range tests {
		first, got, ok := r.Takeover(tt.epoch, block, most)
		if first != tt.first || got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %d, %+v, %v", tt.name, first, got, ok)
		}
	}
	if r, ok := (Reservation{1, 100}).Raise(block, most); r.Limit != most || !ok {
		t.Errorf("last Raise: got %+v, %v", r, ok)
	}
	if _, ok := (Reservation{1, most}).Raise(block, most); ok {
		t.Error("Raise beyond the end")
	}
}
