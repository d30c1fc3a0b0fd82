package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// showFailover is `warren show failover`.
var showFailover = query[api.Failover]{
	use:     "failover",
	short:   "Show unit, roles, peer, links, replication",
	example: "  warren show failover\n  warren show failover --detail",
	detail:  "also interfaces, timers, positions and the last 20 role changes",
	ask:     unnamed((*client.Client).Failover),
	text: func(e *env, w io.Writer, a *api.Failover) {
		if len(a.Failover) == 0 {
			fmt.Fprintln(w, "failover is not configured")
		}
		for i := range a.Failover {
			e.pair(w, &a.Failover[i])
		}
	},
}

// pair prints one node's half of a pair.
func (e *env) pair(w io.Writer, p *api.Pair) {
	e.pairPeer(w, p)
	groupTable.write(e, w, p.Groups)
	fmt.Fprintln(w)
	linkTable.write(e, w, p.Links)
	if e.detail && len(p.Interfaces) > 0 {
		fmt.Fprintln(w)
		monitoredTable.write(e, w, p.Interfaces)
	}
	if len(p.Contexts) > 0 {
		fmt.Fprintln(w)
		replicationTable.write(e, w, p.Contexts)
	}
	if e.detail {
		fmt.Fprintln(w)
		roleChangeTable.write(e, w, p.History)
	}
}

// pairPeer prints the unit, what is known of its peer, and the last change.
func (e *env) pairPeer(w io.Writer, p *api.Pair) {
	fmt.Fprintf(w, "Unit: %s\n", plain(p.Unit))
	fmt.Fprintf(w, "Peer: %s", plain(p.Peer.State))
	if p.Peer.Reason != "" {
		fmt.Fprintf(w, " (%s)", plain(p.Peer.Reason))
	}
	fmt.Fprintf(w, ", last heard %s\n", e.ago(p.Peer.LastHeard))
	if e.detail || math.Abs(p.Peer.Skew) > skewShown {
		fmt.Fprintf(w, "Clocks: %s\n", skew(p.Peer.Skew))
	}
	if e.detail {
		fmt.Fprintf(w, "Poll %s, hold %s; version %s here, %s there\n", seconds(p.Poll), seconds(p.Hold),
			plain(p.Version), plain(orDash(p.Peer.Version)))
	}
	if e.detail || len(p.Keys.Accepted) > 1 || len(p.Keys.Peer) > 1 {
		fmt.Fprintf(w, "Failover key: %s in use; taken here: %s; there: %s\n", plain(orDash(p.Keys.Used)),
			plain(orDash(strings.Join(p.Keys.Accepted, ", "))), plain(orDash(strings.Join(p.Keys.Peer, ", "))))
	}
	last := ""
	if n := len(p.History); n > 0 {
		c := &p.History[n-1]
		last = fmt.Sprintf("Last change: %s, group %s, %s -> %s: %s", moment(c.At), changed(c), c.From, c.To, c.Reason)
	}
	fmt.Fprintf(w, "%s\n\n", plain(orDash(last)))
}

var groupTable = table[api.PairGroup]{
	columns: []column[api.PairGroup]{
		{"Group", func(_ *env, g *api.PairGroup) string { return g.Name }},
		{"This Unit", func(_ *env, g *api.PairGroup) string { return g.Role }},
		{"Peer", func(_ *env, g *api.PairGroup) string { return g.PeerRole }},
		{"Epoch", func(_ *env, g *api.PairGroup) string { return fmt.Sprint(g.Epoch) }},
		{"For", func(e *env, g *api.PairGroup) string { return e.since(g.Since) }},
		{"Replication", func(_ *env, g *api.PairGroup) string { return g.Replication }},
		{"Configuration", func(_ *env, g *api.PairGroup) string { return g.Configuration }},
		{"Contexts", func(_ *env, g *api.PairGroup) string { return strings.Join(g.Contexts, ",") }},
	},
	notes: func(e *env, g *api.PairGroup, note func(string, ...any)) {
		if g.Broken > 0 || g.PeerBroken > 0 {
			note("contexts that cannot run: %d here, %d on the peer", g.Broken, g.PeerBroken)
		}
		if len(g.Differ) > 0 {
			note("contexts with another configuration on the peer: %s", strings.Join(g.Differ, ", "))
		}
		if e.detail {
			preempt := "no preemption"
			if g.Preempt {
				preempt = "preempts"
			}
			note("%s; prefers %s, %s", g.Reason, g.Prefer, preempt)
		}
	},
}

var linkTable = table[api.PairLink]{
	columns: []column[api.PairLink]{
		{"Link", func(_ *env, l *api.PairLink) string { return l.Name }},
		{"Interface", func(_ *env, l *api.PairLink) string { return l.Interface }},
		{"Device", func(_ *env, l *api.PairLink) string { return l.Device }},
		{"State", func(_ *env, l *api.PairLink) string { return l.State }},
		{"Last Heartbeat", func(e *env, l *api.PairLink) string { return e.ago(l.LastHeartbeat) }},
		{"Address", func(_ *env, l *api.PairLink) string { return l.Address }},
		{"Peer", func(_ *env, l *api.PairLink) string { return l.Peer }},
	},
	notes: func(_ *env, l *api.PairLink, note func(string, ...any)) {
		if l.Reason != "" {
			note("%s", l.Reason)
		}
	},
}

// monitoredTable is of the interfaces whose health decides about roles.
var monitoredTable = table[api.PairInterface]{columns: []column[api.PairInterface]{
	{"Interface", func(_ *env, i *api.PairInterface) string { return i.Name }},
	{"This Unit", func(_ *env, i *api.PairInterface) string { return i.State }},
	{"Peer", func(_ *env, i *api.PairInterface) string { return i.Peer }},
}}

// replicationTable says how far the copies are.
var replicationTable = table[api.ContextReplication]{
	columns: []column[api.ContextReplication]{
		{"Context", func(_ *env, c *api.ContextReplication) string { return c.Context }},
		{"Role", func(_ *env, c *api.ContextReplication) string { return c.Role }},
		{"Replication", func(_ *env, c *api.ContextReplication) string { return c.State }},
		{"Acknowledged", func(_ *env, c *api.ContextReplication) string {
			return fmt.Sprintf("%d/%d", c.Acked, c.Last)
		}},
		{"Pending", func(_ *env, c *api.ContextReplication) string { return fmt.Sprint(c.Pending) }},
		{"Lag", func(_ *env, c *api.ContextReplication) string { return seconds(c.Lag) }},
		{"Last Bulk Sync", func(_ *env, c *api.ContextReplication) string { return moment(c.LastBulk) }},
	},
	notes: func(e *env, c *api.ContextReplication, note func(string, ...any)) {
		if c.Reason != "" {
			note("%s", c.Reason)
		}
		if e.detail && c.Backlog > 0 {
			note("%d bytes wait", c.Backlog)
		}
		if e.detail && c.GivenUp > 0 {
			note("%d IKE SAs given up: records could not be applied, see warrend's log", c.GivenUp)
		}
		if c.FilesPending {
			note("files on disk0: are not yet on the standby unit")
		}
		if c.FilesKept > 0 {
			note("%s on disk0: kept beside others, because both units had changed them: `warren dir %s:disk0:/`",
				count(c.FilesKept, "file", "files"), c.Context)
		}
	},
}

var roleChangeTable = table[api.RoleChange]{columns: []column[api.RoleChange]{
	{"Time", func(_ *env, c *api.RoleChange) string { return moment(c.At) }},
	{"Group", func(_ *env, c *api.RoleChange) string { return changed(c) }},
	{"From", func(_ *env, c *api.RoleChange) string { return c.From }},
	{"To", func(_ *env, c *api.RoleChange) string { return c.To }},
	{"Epoch", func(_ *env, c *api.RoleChange) string { return fmt.Sprint(c.Epoch) }},
	{"Reason", func(_ *env, c *api.RoleChange) string { return c.Reason }},
}}

// skewShown is from how many seconds on a difference of the clocks is shown
// without being asked for: the one that is warned about.
const skewShown = 5

// skew prints by how much the peer's clock differs.
func skew(s float64) string {
	switch {
	case math.Abs(s) < 0.1:
		return "the same, to a tenth of a second"
	case s < 0:
		return "the peer's is " + seconds(-s) + " behind"
	}
	return "the peer's is " + seconds(s) + " ahead"
}

// changed names the group, or the groups, of a change of roles.
func changed(c *api.RoleChange) string {
	if c.Groups > 1 {
		return fmt.Sprintf("%s and %d more", c.Group, c.Groups-1)
	}
	return c.Group
}

// ago prints how long ago something was, to the millisecond below a second.
func (e *env) ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := max(e.now().Sub(t), 0)
	if d < time.Second {
		return d.Round(time.Millisecond).String() + " ago"
	}
	return span(d) + " ago"
}

// seconds prints a number of seconds as a duration.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond).String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
