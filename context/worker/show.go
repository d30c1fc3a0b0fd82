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

// Facts returns what the `show` commands print.
func (w *Worker) Facts(ctx context.Context) (control.Facts, error) {
	f := control.Facts{Started: w.clock.start}
	err := w.do(ctx, func(now time.Time) error {
		f.Replication = w.replica.Progress()
		v := view{
			tenant: w.tenant.Name, clock: w.clock, facts: w.replica.Facts, now: now,
			standby: f.Replication != nil && !f.Replication.Active,
		}
		for _, s := range w.engine.Status() {
			if s.Rejected {
				continue
			}
			row := v.ikeRow(s)
			if x := w.sessions.Lookup(handleOf(s.Peer.SPI)); x != nil {
				f.Sessions = append(f.Sessions, v.sessionRow(x, row))
			}
			f.IKESAs = append(f.IKESAs, row)
		}
		f.Resources = w.limits.resources(w.usage())
		f.IPsec = control.IPsecStats{Context: w.tenant.Name, Since: w.clock.start, Offloads: w.plane.Offloads(), Counts: w.plane.Stats()}
		return nil
	})
	return f, err
}

// Keys returns the keys of every SA in Wireshark's notation, for debugging.
func (w *Worker) Keys(ctx context.Context) (control.Keys, error) {
	var k control.Keys
	err := w.do(ctx, func(time.Time) error {
		w.log.Warn("keys exported for debugging")
		k.IKE, k.ESP = w.engine.ExportKeys()
		return nil
	})
	return k, err
}

// view is what rows are made with.
type view struct {
	tenant  string
	clock   *clock
	facts   func(child uint64) esp.Facts
	now     time.Time
	standby bool
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
		Assigned:    s.Session.Addresses,
		Established: v.clock.wall(s.Established),

		IntegrityFailed: s.IntegrityFailed,
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

// sessionRow describes a session whose IKE SA is row.
func (v *view) sessionRow(x *session.Session, row control.IKESA) control.Session {
	out := control.Session{
		Standby:     v.standby,
		Context:     row.Context,
		User:        x.User,
		TunnelGroup: x.Group,
		GroupPolicy: x.Granted.GroupPolicy,
		Assigned:    x.Granted.Addresses,
		Public:      row.Remote,
		Protocol:    string(x.Handle.Protocol),
		LoginTime:   v.clock.wall(x.Since),
		Duration:    v.now.Sub(x.Since).Seconds(),
		BytesIn:     x.BytesIn,
		BytesOut:    x.BytesOut,
	}
	for _, c := range row.ChildSAs {
		out.BytesIn += c.BytesIn
		out.BytesOut += c.BytesOut
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
