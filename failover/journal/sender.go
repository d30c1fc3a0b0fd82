package journal

import (
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/internal/record"
)

// DefaultBacklog bounds what a Sender remembers for a standby that is away or
// slow: some 10,000 changes. Beyond it the standby gets a snapshot, which costs
// less than to hold more.
const DefaultBacklog = 16 << 20

// maxAhead is by how many records the standby may be behind when the sender
// begins to wait for it: what an output waits for is bounded by this and the
// round trip, not by the length of a snapshot that has yet to be taken in.
const maxAhead = 64

// ErrUnexpected says that a message does not fit to what came before it: the
// session must end, and begin again.
var ErrUnexpected = errors.New("journal: message out of turn")

// ErrEpoch says that the twin may have used numbers of a later activation. The
// role machine is about to give this one a new epoch; then the next session will
// do.
var ErrEpoch = errors.New("journal: twin knows a later epoch")

// SenderConfig is what a Sender begins with.
type SenderConfig struct {
	Stream StreamID
	Epoch  uint64 // of this node's activation
	// Next is the position of the next record, Store.Next in a worker that
	// continues the journal of its predecessor; 0 means 1.
	Next Position
	// Backlog bounds the memory for records, in bytes; 0: DefaultBacklog.
	Backlog int
	// Protocol is what the program speaks. Zero: Protocol.
	Protocol record.Versions
}

// Sender is the active side of replication. It gets every record, and gives the
// messages for the session, one at a time, so that the driver sets the pace.
//
//	          Connected              Hello
//	detached ----------> greeting ----------+--> wanting --> snapshot
//	    ^                                   |    Snapshot        |
//	    |  Disconnected, from everywhere    v                    v
//	    +--------------------------------- live <---------------end
//	                                        | all is sent, nearly all
//	                                        v acknowledged: mark
//	                                     in step
//
// Only in step do outputs wait for acknowledgements (Durable). A backlog that
// grows beyond its bound leads back to wanting.
type Sender struct {
	cfg   SenderConfig
	state senderState

	backlog []entry // positions in a row, the last is next-1
	bytes   int
	next    Position
	sent    Position // the last that was given to the session
	acked   Position
	held    Position // the last that the twin may hold, from any session
	foreign bool     // the twin may hold a copy from before this stream
	version uint8    // of the protocol in this session
	tended  uint64   // the last clock that was answered in this session
	yielded bool     // the twin is to serve

	snapshot [][]byte
	at       Position // of the snapshot
	taken    bool     // the standby has acknowledged the snapshot, or needed none
	index    int
}

type entry struct{ payload []byte }

type senderState uint8

const (
	senderDetached senderState = iota
	senderGreeting
	senderWanting
	senderSnapshot
	senderLive
	senderInStep
)

// NewSender returns a Sender without a session.
func NewSender(cfg SenderConfig) *Sender {
	if cfg.Backlog == 0 {
		cfg.Backlog = DefaultBacklog
	}
	if cfg.Protocol == (record.Versions{}) {
		cfg.Protocol = Protocol
	}
	cfg.Next = max(cfg.Next, 1)
	return &Sender{cfg: cfg, next: cfg.Next, held: cfg.Next - 1, foreign: true}
}

// Append takes the next record. The Sender keeps the slice, and overwrites it
// when nobody needs the record any more.
func (s *Sender) Append(payload []byte) (Position, error) {
	if len(payload) == 0 || len(payload) > MaxRecord {
		return 0, ErrTooLarge
	}
	s.backlog = append(s.backlog, entry{payload})
	s.bytes += len(payload)
	s.next++
	if s.bytes > s.cfg.Backlog {
		s.forget()
		if s.state >= senderSnapshot {
			s.dropSnapshot()
			s.state = senderWanting
		}
	}
	return s.next - 1, nil
}

// Connected begins a session; the twin's hello comes first.
func (s *Sender) Connected() {
	s.Disconnected()
	s.state = senderGreeting
}

// Disconnected ends the session. Nothing waits for the standby any more.
func (s *Sender) Disconnected() {
	s.dropSnapshot()
	s.state = senderDetached
	s.tended, s.yielded = 0, false
}

// Close forgets every record: they hold keys. The Sender is of no use
// afterwards.
func (s *Sender) Close() {
	s.Disconnected()
	s.forget()
}

// forget drops the backlog.
func (s *Sender) forget() {
	for _, e := range s.backlog {
		clear(e.payload)
	}
	s.backlog, s.bytes = nil, 0
}

func (s *Sender) dropSnapshot() {
	for _, item := range s.snapshot {
		clear(item)
	}
	s.snapshot = nil
}

// Receive takes a message of the twin. With an error nothing changed, and the
// session must end.
func (s *Sender) Receive(b []byte) error {
	m, err := parseMessage(b)
	if err != nil {
		return err
	}
	switch {
	case m.kind == kindHello && m.epoch > s.cfg.Epoch:
		return fmt.Errorf("%w: %d, this one is %d", ErrEpoch, m.epoch, s.cfg.Epoch)
	case m.kind == kindHello && s.state == senderGreeting:
		return s.hello(m)
	case m.kind == kindAck && s.state >= senderWanting:
		if m.position > s.sent {
			return fmt.Errorf("journal: acknowledgement of %d, sent is %d: %w", m.position, s.sent, ErrUnexpected)
		}
		if s.state >= senderLive {
			s.ack(m.position)
		}
	case m.kind == kindTended && s.tends():
		s.tended = max(s.tended, m.clock)
	case m.kind == kindYield && s.tends():
		s.yielded = true
	default:
		return fmt.Errorf("journal: kind %d in state %d: %w", m.kind, s.state, ErrUnexpected)
	}
	return nil
}

// tends reports whether the twin can be told that this node serves without a supervisor:
// it understands that, and begin or resume is before it.
func (s *Sender) tends() bool {
	return s.version >= tendVersion && (s.state == senderInStep ||
		(s.state == senderSnapshot || s.state == senderLive) && s.index >= 0)
}

// Tend appends the message that this node serves without a supervisor; ok is false where
// the twin cannot be told. clock is what Tended returns once it has answered.
func (s *Sender) Tend(b []byte, clock uint64) (_ []byte, ok bool) {
	if !s.tends() {
		return b, false
	}
	return appendMessage(b, &message{kind: kindTend, clock: clock}), true
}

// Tended returns the newest clock that the twin has answered in this session; 0: none.
func (s *Sender) Tended() uint64 { return s.tended }

// Yielded reports whether the twin has asked for silence in this session.
func (s *Sender) Yielded() bool { return s.yielded }

func (s *Sender) hello(m *message) error {
	version, ok := s.cfg.Protocol.Common(m.protocol)
	if !ok {
		return fmt.Errorf("%w: %v, and this unit %v", ErrProtocol, m.protocol, s.cfg.Protocol)
	}
	s.version = version
	if !m.holds {
		s.foreign, s.held = false, 0
	}
	oldest := s.next - Position(len(s.backlog))
	if m.stream != s.cfg.Stream || !m.holds || m.position < oldest-1 || m.position >= s.next {
		s.state = senderWanting
		return nil
	}
	s.acked, s.sent, s.taken = m.position, m.position, true
	s.ack(m.position)
	s.snapshot, s.index = nil, -1 // the resume message is due
	s.state = senderLive
	return nil
}

// ack drops what the standby has.
func (s *Sender) ack(p Position) {
	s.acked = max(s.acked, p)
	s.taken = s.taken || p >= s.at
	oldest := s.next - Position(len(s.backlog))
	for ; oldest <= s.acked && len(s.backlog) > 0; oldest++ {
		s.bytes -= len(s.backlog[0].payload)
		clear(s.backlog[0].payload)
		s.backlog[0] = entry{}
		s.backlog = s.backlog[1:]
	}
}

// NeedsSnapshot reports whether the driver must call Snapshot.
func (s *Sender) NeedsSnapshot() bool { return s.state == senderWanting }

// Snapshot gives the records that all records so far add up to. The Sender keeps
// the slices, and overwrites them when they are sent.
func (s *Sender) Snapshot(items [][]byte) {
	if s.state != senderWanting {
		return
	}
	s.snapshot, s.index, s.at = items, -1, s.next-1
	s.sent, s.acked, s.taken = s.at, 0, false
	s.held, s.foreign = max(s.held, s.at), true
	s.forget()
	s.state = senderSnapshot
}

// Bulk reports whether the next message belongs to a snapshot, which the driver
// paces; everything else leaves at once.
func (s *Sender) Bulk() bool { return s.state == senderSnapshot }

// Message appends the next message to b; ok is false if there is none now.
func (s *Sender) Message(b []byte) (_ []byte, ok bool) {
	switch s.state {
	case senderDetached, senderGreeting, senderWanting, senderInStep:
		if s.state != senderInStep {
			return b, false
		}
		return s.entry(b)
	case senderSnapshot:
		return s.bulk(b), true
	case senderLive:
		if s.index < 0 {
			s.index = 0
			return appendMessage(b, &message{kind: kindResume, version: s.version, stream: s.cfg.Stream,
				epoch:    s.cfg.Epoch,
				position: s.sent}), true
		}
		if b, ok := s.entry(b); ok {
			return b, true
		}
		if !s.taken || s.sent > s.acked+maxAhead {
			return b, false // the standby is still busy with what it has got
		}
		s.state = senderInStep
		return appendMessage(b, &message{kind: kindMark, position: s.sent}), true
	}
	return b, false
}

func (s *Sender) bulk(b []byte) []byte {
	i := s.index
	s.index++
	switch {
	case i < 0:
		return appendMessage(b, &message{kind: kindBegin, version: s.version, stream: s.cfg.Stream, epoch: s.cfg.Epoch,
			position: s.at, count: uint32(len(s.snapshot))})
	case i < len(s.snapshot):
		m := message{kind: kindItem, count: uint32(i), payload: s.snapshot[i]}
		b = appendMessage(b, &m)
		clear(s.snapshot[i])
		s.snapshot[i] = nil
		return b
	}
	m := message{kind: kindEnd, count: uint32(len(s.snapshot))}
	s.snapshot, s.index, s.state = nil, 0, senderLive
	return appendMessage(b, &m)
}

func (s *Sender) entry(b []byte) ([]byte, bool) {
	if s.sent+1 >= s.next {
		return b, false
	}
	s.sent++
	s.held = max(s.held, s.sent)
	oldest := s.next - Position(len(s.backlog))
	m := message{kind: kindEntry, position: s.sent, payload: s.backlog[s.sent-oldest].payload}
	return appendMessage(b, &m), true
}

// InStep reports whether the standby has everything but what is on its way.
func (s *Sender) InStep() bool { return s.state == senderInStep }

// Acked returns the last position that the standby has acknowledged in this
// session or, where it resumed, before.
func (s *Sender) Acked() Position { return s.acked }

// Durable reports whether what depends on the record at p may leave: the
// standby acknowledged it, or there is no standby in step.
func (s *Sender) Durable(p Position) bool { return s.state != senderInStep || p <= s.acked }

// Granted reports whether the reservation in the record at p counts, of an SA
// whose first record is at created; created is 0 for an SA that is older than
// this Sender. It counts when the standby has acknowledged it, or when the twin
// knows nothing of the SA and will learn of it by a snapshot only: never a
// record with the old limit before the one with the new. For that Granted may
// drop the backlog.
func (s *Sender) Granted(created, p Position) bool {
	if s.state >= senderLive && p <= s.acked {
		return true
	}
	if s.state >= senderSnapshot || s.mayHold(created) {
		return false
	}
	s.forget()
	return true
}

// mayHold reports whether the twin may hold something of an SA.
func (s *Sender) mayHold(created Position) bool {
	if created == 0 {
		return s.foreign || s.held > 0
	}
	return created <= s.held
}

// Progress is what `show failover` prints of the replication of one tenant.
type Progress struct {
	State   string   `json:"state"` // "detached", "greeting", "snapshot", "live", "in step"
	Last    Position `json:"last"`
	Acked   Position `json:"acked"`
	Pending int      `json:"pending"`
	Backlog int      `json:"backlog_bytes"`
}

// Progress returns how far the standby is.
func (s *Sender) Progress() Progress {
	names := [...]string{"detached", "greeting", "snapshot", "snapshot", "live", "in step"}
	return Progress{names[s.state], s.next - 1, s.acked, len(s.backlog), s.bytes}
}

// Stream returns the name of the stream.
func (s *Sender) Stream() StreamID { return s.cfg.Stream }

// Next returns the position that the next Append will give.
func (s *Sender) Next() Position { return s.next }
