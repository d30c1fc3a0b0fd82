package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/context/aaa"
	"github.com/warrenvpn/warren/context/aaa/radius"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/secret"
)

// serverWay is how servers that know users are reached, and who is told of them.
type serverWay struct {
	connect func(context.Context, control.Connect) ([]net.Conn, error) // nil: they are not reached
	tell    func(control.Fact)
}

// errNoWay is why a worker without a supervisor reaches no server.
var errNoWay = errors.New("worker: nobody makes sockets to servers")

// serverGroup is a server group at work.
type serverGroup struct {
	*aaa.Servers
	spec spec.AAAServerGroup // without keys
	keys []secret.Value
	from []netip.Prefix // addresses of the interfaces that its servers are reached over
}

// serverGroups returns the groups that tunnel groups of t ask. Those among before that are
// the same go on.
func serverGroups(t *spec.Tenant, before map[string]*serverGroup, w serverWay) map[string]*serverGroup {
	out := map[string]*serverGroup{}
	for _, g := range t.AAAServers {
		asks := func(x spec.TunnelGroup) bool { return x.AuthenticationServers == g.Name }
		if !slices.ContainsFunc(t.TunnelGroups, asks) {
			continue
		}
		fresh := describeGroup(t, g)
		if old := before[g.Name]; old != nil && old.same(fresh) {
			out[g.Name] = old
			continue
		}
		fresh.Servers = aaa.NewServers(&aaa.ServersConfig{
			Tenant: t.Name, Group: fresh.spec, Keys: fresh.keys, Connect: w.sockets, Tell: w.teller(g.Name),
		})
		out[g.Name] = fresh
	}
	return out
}

// describeGroup returns g with what else makes it what it is.
func describeGroup(t *spec.Tenant, g spec.AAAServerGroup) *serverGroup {
	out := &serverGroup{spec: g}
	out.spec.Servers = slices.Clone(g.Servers)
	for i := range out.spec.Servers {
		s := &out.spec.Servers[i]
		out.keys = append(out.keys, secret.Copy(t.Secret(s.Key).Reveal()))
		s.Key = 0
		for _, x := range t.Interfaces {
			if x.Name == s.Interface {
				out.from = append(out.from, x.Addresses...)
			}
		}
	}
	return out
}

// same says whether g and o are asked alike, with the same sockets.
func (g *serverGroup) same(o *serverGroup) bool {
	return g.spec.MaxFailed == o.spec.MaxFailed && g.spec.DeadTime == o.spec.DeadTime &&
		slices.Equal(g.spec.Servers, o.spec.Servers) && slices.Equal(g.from, o.from) &&
		slices.EqualFunc(g.keys, o.keys, secret.Value.Equal)
}

// sockets makes sockets to a server.
func (w serverWay) sockets(ctx context.Context, server netip.AddrPort, count int) ([]net.Conn, error) {
	if w.connect == nil {
		return nil, errNoWay
	}
	return w.connect(ctx, control.Connect{Server: server, Sockets: count})
}

// teller tells what happens with the servers of a group.
func (w serverWay) teller(group string) func(radius.Event) {
	return func(e radius.Event) {
		if e.Kind == radius.Revived {
			w.tell(&control.ServerBack{ServerGroup: group, Server: e.Server})
			return
		}
		reason := e.Kind.String()
		if e.Detail != "" {
			reason += ": " + e.Detail
		}
		w.tell(&control.ServerTrouble{ServerGroup: group, Server: e.Server, Reason: reason, Hint: e.Kind.Hint(),
			Count: uint64(e.Muted)})
	}
}

// connect asks the supervisor for sockets to a server.
func (p *process) connect(ctx context.Context, c control.Connect) ([]net.Conn, error) {
	_, files, err := p.supervisors.fetch(ctx, control.KindConnect, c)
	if err != nil {
		return nil, err
	}
	var conns []net.Conn
	for _, f := range files {
		conn, failed := net.FileConn(f)
		err = errors.Join(err, failed, f.Close())
		if failed == nil {
			conns = append(conns, conn)
		}
	}
	if err != nil {
		for _, c := range conns {
			c.Close()
		}
		return nil, fmt.Errorf("worker: taking over sockets to %s: %w", c.Server, err)
	}
	return conns, nil
}

// serverRows describes the servers that are asked, in the order of the configuration.
func (l *logins) serverRows(tenant string) []control.AAAServer {
	rows := []control.AAAServer{}
	for _, g := range l.tenant.AAAServers {
		group := l.servers[g.Name]
		if group == nil { // no tunnel group asks it
			continue
		}
		for _, s := range group.Status() {
			row := control.AAAServer{Context: tenant, ServerGroup: g.Name, Server: s.Name, State: control.ServerUp,
				RetryAt: s.DeadUntil, Answered: s.Answered, Outstanding: s.Outstanding, Waiting: s.Waiting,
				Requests: s.Requests, Retransmissions: s.Retransmissions, Accepts: s.Accepts, Rejects: s.Rejects,
				Challenges: s.Challenges, Timeouts: s.Timeouts, Forged: s.Forged, Unsigned: s.Unsigned,
				Malformed: s.Malformed, Late: s.Late, Busy: s.Busy}
			switch {
			case s.Dead:
				row.State = control.ServerDead
			case s.Answered.IsZero():
				row.State = control.ServerUnknown
			}
			rows = append(rows, row)
		}
	}
	return rows
}
