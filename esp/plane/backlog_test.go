package plane

import (
	"os"
	"testing"

	"github.com/warrenvpn/warren/esp/stats"
)

// script is a socket that has received a lot.
type script struct {
	tap
	arrived []Message
}

func (s *script) Pressed() bool { return len(s.arrived) > 100 }

func (s *script) Receive(ms []Message) (int, error) {
	if n, _ := s.TryReceive(ms); n > 0 {
		return n, nil
	}
	return 0, os.ErrClosed
}

func (s *script) TryReceive(ms []Message) (int, error) {
	n := min(len(ms), len(s.arrived))
	for i, m := range s.arrived[:n] {
		m.Buf = ms[i].Buf
		m.Data = m.Buf[:copy(m.Buf, m.Data)]
		ms[i] = m
	}
	s.arrived = s.arrived[n:]
	return n, nil
}

// sealed returns a message with a super-packet from host i to itself, as it goes over
// the wire.
func (l *loop) sealed(t testing.TB, i, size int) Message {
	t.Helper()
	l.out.packet(tcpSuper(i, size, 1300))
	l.out.flush()
	if len(l.tap.sent) == 0 {
		t.Fatal("nothing was sent")
	}
	m := l.tap.sent[0]
	m.Data = append([]byte(nil), m.Data...)
	l.tap.sent, l.tap.data = l.tap.sent[:0], l.tap.data[:0]
	return m
}

// listen gives the inbound pipeline its memory, and a socket.
func (l *loop) listen(s *script) {
	l.in.outer.Conn = s
	l.in.ms = make([]Message, manyMessages)
	memory := make(slab, (manyMessages+backlogSize)*messageSize)
	for i := range l.in.ms {
		l.in.ms[i].Buf = memory[i*messageSize : (i+1)*messageSize]
	}
	l.in.backlog.init(memory[manyMessages*messageSize:])
}

// TestFlood: of one child's flood and another one's few packets, only the flood
// loses some; IKE is handled before both.
func TestFlood(t *testing.T) {
	l := newLoop(t, 3)
	s := &script{}
	for range 400 {
		s.arrived = append(s.arrived, l.sealed(t, 1, 40_000))
	}
	const few = 20
	for range few {
		s.arrived = append(s.arrived, l.sealed(t, 2, 40_000))
	}
	s.arrived = append(s.arrived, Message{Data: []byte{0, 0, 0, 0, 1, 2, 3}})
	perMessage := uint64(40_000/1300 + 1)

	l.listen(s)
	flooded, other := l.p.esp.children[2].slot, l.p.esp.children[3].slot
	before := l.p.Stats()
	if err := l.in.receive(); err != os.ErrClosed {
		t.Fatal(err)
	}
	after := l.p.Stats()
	if got := other.Facts().PacketsIn; got != few*perMessage {
		t.Errorf("%d packets of the quiet child were delivered, want %d", got, few*perMessage)
	}
	if after.Sum(stats.IKEIn)-before.Sum(stats.IKEIn) != 1 {
		t.Error("IKE was lost")
	}
	got, dropped := flooded.Facts().PacketsIn, after.Sum(stats.DropOverload)
	if dropped == 0 || got == 0 || got+dropped != 400*perMessage {
		t.Errorf("of the flood %d packets were delivered and %d dropped", got, dropped)
	}
	if after.Sum(stats.DropReplay, stats.DropIntegrity, stats.DropMalformed) > 0 {
		t.Errorf("something was mixed up: %+v", after)
	}
	if n := len(l.in.backlog.queues); n != 0 {
		t.Errorf("%d queues are left", n)
	}
	if n := l.in.backlog.room(2 * backlogSize); n != backlogSize {
		t.Errorf("%d nodes are free, want %d", n, backlogSize)
	}
}

// TestFloodAllocs: being overloaded makes no garbage.
func TestFloodAllocs(t *testing.T) {
	l := newLoop(t, 3)
	s := &script{}
	var arrived []Message
	for range 200 {
		arrived = append(arrived, l.sealed(t, 1, 100), l.sealed(t, 2, 100))
	}
	l.listen(s)
	flood := func() {
		s.arrived = arrived
		if err := l.in.receive(); err != os.ErrClosed {
			t.Fatal(err)
		}
	}
	flood()
	if n := testing.AllocsPerRun(10, flood); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if l.p.Stats().Sum(stats.SuperPackets, stats.PacketsIn) == 0 {
		t.Error("nothing passed")
	}
}

// TestAllWait: more SAs than there is room for still have their turns.
func TestAllWait(t *testing.T) {
	const children = 3 * backlogSize
	l := newLoop(t, children)
	s := &script{}
	for range 2 {
		for i := range children {
			s.arrived = append(s.arrived, l.sealed(t, i, 100))
		}
	}
	l.listen(s)
	if err := l.in.receive(); err != os.ErrClosed {
		t.Fatal(err)
	}
	if st := l.p.Stats(); st.Sum(stats.PacketsIn, stats.DropOverload) != 2*children {
		t.Errorf("of %d packets %d were delivered and %d dropped", 2*children, st.Sum(stats.PacketsIn),
			st.Sum(stats.DropOverload))
	}
}
