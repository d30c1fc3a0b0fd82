package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// Show answers one question of the supervisor: a control.Kind says what about, and with
// what it is answered.
func (w *Worker) Show(ctx context.Context, about control.Kind) (answer any, err error) {
	err = w.do(ctx, func(now time.Time) error {
		switch about {
		case control.KindIKESAs:
			answer = w.view(now).ikeRows(w.engine.Status())
		case control.KindSessions:
			answer = w.view(now).sessionRows(w.engine.Status(), w.sessions)
		case control.KindServers:
			answer = w.logins.serverRows(w.tenant.Name)
		case control.KindResources:
			answer = w.limits.resources(w.usage())
		case control.KindIPsec:
			answer = control.IPsecStats{Context: w.tenant.Name, Since: w.clock.start, Offloads: w.plane.Offloads(),
				Counts: w.plane.Stats()}
		case control.KindProgress:
			answer = w.replica.Progress()
		case control.KindKeys:
			w.tell(&control.KeysExported{})
			var k control.Keys
			k.IKE, k.ESP = w.engine.ExportKeys()
			answer = k
		default:
			return fmt.Errorf("worker: unknown question %q", about)
		}
		return nil
	})
	return answer, err
}

// view returns what rows are made with.
func (w *Worker) view(now time.Time) *view {
	copied := w.replica.Progress()
	return &view{
		tenant: w.tenant.Name, clock: w.clock, facts: w.replica.Facts, now: now,
		standby: copied != nil && !copied.Active,
	}
}

// view is what rows are made with.
type view struct {
	tenant  string
	clock   *clock
	facts   func(child uint64) esp.Facts
	now     time.Time
	standby bool
}

// ikeRows describes IKE SAs with their children.
func (v *view) ikeRows(all []exchange.Status) []control.IKESA {
	rows := make([]control.IKESA, 0, len(all))
	for _, s := range all {
		if !s.Rejected {
			rows = append(rows, v.ikeRow(s))
		}
	}
	return rows
}

// sessionRows describes the sessions of IKE SAs.
func (v *view) sessionRows(all []exchange.Status, sessions *session.Table) []control.Session {
	rows := make([]control.Session, 0, sessions.Len())
	for i := range all {
		if x := sessions.Lookup(handleOf(all[i].Peer.SPI)); x != nil && !all[i].Rejected {
			rows = append(rows, v.sessionRow(x, &all[i]))
		}
	}
	return rows
}

// ikeRow describes one IKE SA with its children.
func (v *view) ikeRow(s exchange.Status) control.IKESA {
	initiator, responder, role := s.PeerSPI, s.Peer.SPI, "responder"
	if s.Initiator {
		initiator, responder, role = s.Peer.SPI, s.PeerSPI, "initiator"
	}
	row := control.IKESA{
		Context:     v.tenant,
		SPIi:        fmt.Sprintf("%016x", initiator),
		SPIr:        fmt.Sprintf("%016x", responder),
		Role:        role,
		Local:       s.Peer.Local.String(),
		Remote:      s.Peer.Remote.String(),
		LocalID:     s.Peer.LocalID,
		RemoteID:    s.Peer.RemoteID,
		State:       s.State,
		TunnelGroup: s.Peer.Profile,
		Encryption:  nameOf(s.Suite, sa.Encryption),
		Integrity:   nameOf(s.Suite, sa.Integrity),
		PRF:         nameOf(s.Suite, sa.PRF),
		KeyExchange: nameOf(s.Suite, sa.KeyExchange),
		NATT:        s.NAT,
		MOBIKE:      s.MOBIKE,
		Assigned:    s.Session.Addresses,
		Established: v.clock.wall(s.Established),

		IntegrityFailed: s.IntegrityFailed,
		Excess:          s.Excess,
		ChildSAs:        make([]control.ChildSA, 0, len(s.Children)),
	}
	for i := range s.Children {
		row.ChildSAs = append(row.ChildSAs, v.childRow(&s.Children[i]))
	}
	return row
}

// childRow describes one child SA with its counters.
func (v *view) childRow(c *sa.Child) control.ChildSA {
	facts := v.facts(c.ID)
	return control.ChildSA{
		Context:         v.tenant,
		SPIIn:           c.In.SPI.String(),
		SPIOut:          c.Out.SPI.String(),
		Local:           c.LocalAddr.String(),
		Remote:          c.RemoteAddr.String(),
		Encapsulation:   c.Encap.String(),
		Encryption:      c.Out.Encryption.String(),
		Integrity:       integrityName(c.Out.Integrity),
		ESN:             c.Out.ESN,
		ReplayWindow:    c.ReplayWindow,
		LocalTS:         texts(c.Local),
		RemoteTS:        texts(c.Remote),
		BytesIn:         facts.BytesIn,
		BytesOut:        facts.BytesOut,
		PacketsIn:       facts.PacketsIn,
		PacketsOut:      facts.PacketsOut,
		ReplayDropped:   facts.ReplayDropped,
		IntegrityFailed: facts.IntegrityFailed,
		SequenceOut:     facts.SequenceOut,
		Expires:         v.clock.wall(c.Expires),
	}
}

// sessionRow describes a session with its IKE SA.
func (v *view) sessionRow(x *session.Session, s *exchange.Status) control.Session {
	out := control.Session{
		Standby:     v.standby,
		Context:     v.tenant,
		User:        x.User,
		TunnelGroup: x.Group,
		GroupPolicy: x.Granted.GroupPolicy,
		Assigned:    x.Granted.Addresses,
		Public:      s.Peer.Remote.String(),
		Protocol:    string(x.Handle.Protocol),
		LoginTime:   v.clock.wall(x.Since),
		Duration:    v.now.Sub(x.Since).Seconds(),
		BytesIn:     x.BytesIn,
		BytesOut:    x.BytesOut,
	}
	for _, c := range s.Children {
		facts := v.facts(c.ID)
		out.BytesIn += facts.BytesIn
		out.BytesOut += facts.BytesOut
	}
	return out
}

func nameOf(p sa.Proposal, t sa.TransformType) string {
	tr := p.One(t)
	if tr == (sa.Transform{}) {
		return ""
	}
	return tr.String()
}

func integrityName(t sa.Transform) string {
	if t == (sa.Transform{}) {
		return ""
	}
	return t.String()
}

func texts(selectors []sa.Selector) []string {
	out := make([]string, len(selectors))
	for i, s := range selectors {
		out[i] = s.String()
	}
	return out
}
