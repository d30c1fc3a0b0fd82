package journal

import (
	"fmt"

	"github.com/warrenvpn/warren/internal/record"
)

// MaxItems and MaxSnapshot bound a snapshot.
const (
	MaxItems    = 1 << 21
	MaxSnapshot = 2 << 30 // bytes
)

// StepOp says what the driver does with a Step.
type StepOp uint8

// The steps, in the order of their coming.
const (
	StepBegin  StepOp = iota + 1 // forget what was staged: Count items follow
	StepItem                     // stage Payload
	StepCommit                   // what is staged replaces the copy, as of Position in Stream
	StepEntry                    // apply Payload, the record at Position
	StepReady                    // the copy is in step
	StepTend                     // the sender serves without a supervisor; see Receiver.Tended
)

// Step is one thing to do with the copy. Payload is part of the message that it
// came in.
type Step struct {
	Op       StepOp
	Stream   StreamID
	Epoch    uint64
	Position Position
	Count    int
	Payload  []byte
	Clock    uint64 // of the sender
}

// ReceiverConfig is what a Receiver begins with.
type ReceiverConfig struct {
	// Stream and Position say what the copy is that this node holds, if Holds:
	// of a Store, Stream and Next-1.
	Stream   StreamID
	Position Position
	Holds    bool
	// Epoch is the highest that this node may have been active with, in any life,
	// or has followed: failover.GroupConfig.Epoch or higher. The stream of a
	// lower one is refused, on both sides.
	Epoch uint64
	// Protocol is what the program speaks. Zero: Protocol.
	Protocol record.Versions
}

// Receiver is the standby side of replication. What it returns as steps must be
// carried out, in a way that survives the worker, before Ack is sent.
//
//	           Connected
//	detached -----------> greeting --resume--> live --mark--> ready
//	    ^                    |                  ^
//	    | Disconnected       +--begin--> snapshot --end--+
type Receiver struct {
	cfg      ReceiverConfig
	state    receiverState
	applied  Position // of cfg.Stream
	reported Position // acknowledged in this session
	due      bool     // a snapshot is to be acknowledged, whatever its position
	begin    message
	items    uint32
	bytes    int
}

type receiverState uint8

const (
	receiverDetached receiverState = iota
	receiverGreeting
	receiverSnapshot
	receiverLive
	receiverReady
)

// NewReceiver returns a Receiver without a session.
func NewReceiver(cfg ReceiverConfig) *Receiver {
	if cfg.Protocol == (record.Versions{}) {
		cfg.Protocol = Protocol
	}
	return &Receiver{cfg: cfg, applied: cfg.Position}
}

// Connected begins a session and appends the hello to b.
func (r *Receiver) Connected(b []byte) []byte {
	r.state = receiverGreeting
	r.reported, r.due = 0, false
	return appendMessage(b, &message{kind: kindHello, protocol: r.cfg.Protocol, stream: r.cfg.Stream,
		epoch:    r.cfg.Epoch,
		position: r.applied, holds: r.cfg.Holds})
}

// Disconnected ends the session: what was staged is void, the copy stays.
func (r *Receiver) Disconnected() { r.state = receiverDetached }

// Disown says that the copy is not complete any more: a step could not be
// carried out. The session must end, and the next one begins with a snapshot.
func (r *Receiver) Disown() {
	r.state = receiverDetached
	r.cfg.Holds = false
}

// Receive takes one message and returns the step that it means, if ok. With an
// error nothing changed, and the session must end.
func (r *Receiver) Receive(b []byte) (step Step, ok bool, err error) {
	m, err := parseMessage(b)
	if err != nil {
		return Step{}, false, err
	}
	switch {
	case (m.kind == kindResume || m.kind == kindBegin) && !r.speaks(m.version):
		return Step{}, false, fmt.Errorf("%w: %d, and this unit %v", ErrProtocol, m.version, r.cfg.Protocol)
	case m.kind == kindResume && r.state == receiverGreeting:
		return r.resume(m)
	case m.kind == kindBegin && r.state >= receiverGreeting:
		return r.beginSnapshot(m)
	case m.kind == kindItem && r.state == receiverSnapshot:
		return r.item(m)
	case m.kind == kindEnd && r.state == receiverSnapshot:
		return r.end(m)
	case m.kind == kindEntry && r.state >= receiverLive:
		return r.entry(m)
	case m.kind == kindMark && r.state == receiverLive && m.position == r.applied:
		r.state = receiverReady
		return Step{Op: StepReady, Position: r.applied}, true, nil
	case m.kind == kindTend && r.state >= receiverSnapshot:
		return Step{Op: StepTend, Clock: m.clock}, true, nil
	}
	return Step{}, false, fmt.Errorf("journal: kind %d in state %d: %w", m.kind, r.state, ErrUnexpected)
}

// speaks reports whether this program speaks a version of the protocol.
func (r *Receiver) speaks(version uint8) bool {
	_, ok := r.cfg.Protocol.Common(record.Versions{Oldest: version, Newest: version})
	return ok
}

func (r *Receiver) resume(m *message) (Step, bool, error) {
	if !r.cfg.Holds || m.stream != r.cfg.Stream || m.position != r.applied || m.epoch < r.cfg.Epoch {
		return Step{}, false, fmt.Errorf("journal: resume at %d of %v: %w", m.position, m.stream, ErrUnexpected)
	}
	r.cfg.Epoch = m.epoch
	r.state = receiverLive
	return Step{}, false, nil
}

func (r *Receiver) beginSnapshot(m *message) (Step, bool, error) {
	if m.epoch < r.cfg.Epoch || m.count > MaxItems {
		return Step{}, false, fmt.Errorf("journal: snapshot of epoch %d with %d items: %w", m.epoch, m.count,
			ErrUnexpected)
	}
	r.begin, r.items, r.bytes = *m, 0, 0
	r.state = receiverSnapshot
	return Step{Op: StepBegin, Stream: m.stream, Epoch: m.epoch, Count: int(m.count)}, true, nil
}

func (r *Receiver) item(m *message) (Step, bool, error) {
	if m.count != r.items || r.items >= r.begin.count || r.bytes+len(m.payload) > MaxSnapshot {
		return Step{}, false, fmt.Errorf("journal: item %d of %d, expected %d: %w",
			m.count, r.begin.count, r.items, ErrUnexpected)
	}
	r.items++
	r.bytes += len(m.payload)
	return Step{Op: StepItem, Payload: m.payload}, true, nil
}

func (r *Receiver) end(m *message) (Step, bool, error) {
	if m.count != r.items || m.count != r.begin.count {
		return Step{}, false, fmt.Errorf("journal: end after %d of %d items: %w", r.items, r.begin.count, ErrUnexpected)
	}
	r.cfg.Stream, r.cfg.Epoch, r.cfg.Holds = r.begin.stream, r.begin.epoch, true
	r.applied, r.due = r.begin.position, true
	r.state = receiverLive
	return Step{
		Op: StepCommit, Stream: r.cfg.Stream, Epoch: r.cfg.Epoch, Position: r.applied, Count: int(m.count),
	}, true, nil
}

func (r *Receiver) entry(m *message) (Step, bool, error) {
	if m.position != r.applied+1 {
		return Step{}, false, fmt.Errorf("journal: record %d after %d: %w", m.position, r.applied, ErrUnexpected)
	}
	r.applied++
	return Step{Op: StepEntry, Position: r.applied, Payload: m.payload}, true, nil
}

// Ack appends an acknowledgement of all that was received; ok is false if
// nothing new was. Calling it once for a batch of messages is enough.
func (r *Receiver) Ack(b []byte) (_ []byte, ok bool) {
	if r.state < receiverLive || r.applied == r.reported && !r.due {
		return b, false
	}
	r.reported, r.due = r.applied, false
	return appendMessage(b, &message{kind: kindAck, position: r.applied}), true
}

// Tended appends the answer to a StepTend.
func (r *Receiver) Tended(b []byte, s Step) []byte {
	return appendMessage(b, &message{kind: kindTended, clock: s.Clock})
}

// Yield appends the demand that the sender, which has no supervisor, falls silent. Only who
// has had a StepTend in this session may make it.
func (r *Receiver) Yield(b []byte) []byte { return appendMessage(b, &message{kind: kindYield}) }

// Ready reports whether the copy is in step.
func (r *Receiver) Ready() bool { return r.state == receiverReady }

// Bulk reports whether a snapshot is coming in or the backlog is.
func (r *Receiver) Bulk() bool { return r.state == receiverSnapshot || r.state == receiverLive }

// Holds reports whether there is a complete copy, in step or not.
func (r *Receiver) Holds() bool { return r.cfg.Holds }

// Applied returns the stream and the position of the copy.
func (r *Receiver) Applied() (StreamID, Position) { return r.cfg.Stream, r.applied }
