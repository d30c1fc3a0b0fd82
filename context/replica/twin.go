package replica

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/secret"
)

// twin is the worker of the same tenant on the other node, and the session with it.
// The zero value is a twin that never comes.
type twin struct {
	unit failover.Unit // this node's

	epoch uint64 // of the latest activation, here or there
	lone  bool   // the other node is away, says the supervisor

	session  *link.Session // nil: none
	room     <-chan struct{}
	received <-chan []byte
	pace     *time.Timer // when a paced bulk copy goes on
	ack      *time.Timer // when an acknowledgement is overdue

	// Where one of the two has no supervisor.
	tenure failover.Tenure
	lease  lease
	vigil  failover.Vigil
	tend   *time.Timer   // when Tend is due
	relief chan struct{} // closed when the twin has fallen silent; nil: nobody waits for that

	bulk   time.Time // when the last snapshot was complete
	reason string    // why the last session ended
	closed bool      // the twin's kernel has ended it
	told   told      // what the supervisor knows
}

// told is what the supervisor is told of at once when it changes.
type told struct {
	anything                                 bool
	state                                    failover.Replication
	active, connected, closed, orphan, holds bool
	givenUp                                  int
}

// newTwin returns the twin of a pair.
func newTwin(cfg *Config) (*twin, error) {
	hold := cfg.Failover.Hold
	t := &twin{pace: time.NewTimer(time.Hour), ack: time.NewTimer(time.Hour), tend: time.NewTimer(time.Hour),
		tenure: failover.NewTenure(hold), lease: lease{mute: cfg.Mute}, vigil: failover.NewVigil(hold)}
	t.pace.Stop()
	t.ack.Stop()
	t.tend.Stop()
	if t.unit = cfg.Failover.Unit; t.unit == failover.UnitNone {
		return nil, errors.New("replica: no unit")
	}
	return t, nil
}

// inputs returns what can come from the twin.
func (t *twin) inputs() Inputs {
	in := Inputs{Received: t.received, Room: t.room}
	if t.pace != nil {
		in.Pace, in.Overdue, in.Tend = t.pace.C, t.ack.C, t.tend.C
	}
	return in
}

// authenticate makes a session of a connection, which it owns.
func (t *twin) authenticate(ctx context.Context, conn net.Conn, key secret.Value) (*link.Session, error) {
	if t.unit == 0 {
		return nil, errors.Join(ErrNoTwin, conn.Close())
	}
	s, err := link.NewSession(ctx, conn, link.SessionConfig{Key: key, Unit: t.unit})
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	return s, nil
}

// open takes over a session.
func (t *twin) open(s *link.Session) {
	t.session, t.room, t.received, t.closed = s, s.Room(), s.Received(), false
}

// close ends the session, and reports whether there was one.
func (t *twin) close(reason string) bool {
	if t.session == nil {
		return false
	}
	t.closed = t.session.Closed()
	t.session.Close()
	t.session, t.room, t.received, t.reason = nil, nil, nil, reason
	t.pace.Stop()
	t.ack.Stop()
	return true
}

// report tells the supervisor of a state, where it knows another one.
func (t *twin) report(host Host, p *control.Replication) {
	if now := (told{true, p.State, p.Active, p.Connected, p.Closed, p.Orphan, p.Holds, p.GivenUp}); now != t.told {
		t.told = now
		host.Request(control.KindReplication, p)
	}
}
