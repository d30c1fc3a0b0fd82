package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newShowFailover is `warren show failover`.
func newShowFailover(e *env) *cobra.Command {
	var detail bool
	c := &cobra.Command{
		Use:     "failover",
		Short:   "Show unit, roles, peer, links, replication",
		Example: "  warren show failover\n  warren show failover --detail",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			f, err := e.client().Failover(ctx)
			if err != nil {
				return err
			}
			return e.print(f, func(w io.Writer) {
				if len(f.Failover) == 0 {
					fmt.Fprintln(w, "failover is not configured")
				}
				for _, p := range f.Failover {
					e.pair(w, p, detail)
				}
			})
		}),
	}
	c.Flags().BoolVar(&detail, "detail", false, "also interfaces, timers, positions and the last 20 role changes")
	return c
}

// pair prints one node's half of a pair.
func (e *env) pair(w io.Writer, p api.Pair, detail bool) {
	fmt.Fprintf(w, "Unit: %s\n", plain(p.Unit))
	fmt.Fprintf(w, "Peer: %s", plain(p.Peer.State))
	if p.Peer.Reason != "" {
		fmt.Fprintf(w, " (%s)", plain(p.Peer.Reason))
	}
	fmt.Fprintf(w, ", last heard %s\n", e.ago(p.Peer.LastHeard))
	if detail || math.Abs(p.Peer.Skew) > skewShown {
		fmt.Fprintf(w, "Clocks: %s\n", skew(p.Peer.Skew))
	}
	if detail {
		fmt.Fprintf(w, "Poll %s, hold %s; version %s here, %s there\n", seconds(p.Poll), seconds(p.Hold),
			plain(p.Version), plain(orDash(p.Peer.Version)))
	}
	if detail || len(p.Keys.Accepted) > 1 || len(p.Keys.Peer) > 1 {
		fmt.Fprintf(w, "Failover key: %s in use; taken here: %s; there: %s\n", plain(orDash(p.Keys.Used)),
			plain(orDash(strings.Join(p.Keys.Accepted, ", "))), plain(orDash(strings.Join(p.Keys.Peer, ", "))))
	}
	last := ""
	if n := len(p.History); n > 0 {
		c := p.History[n-1]
		last = fmt.Sprintf("Last change: %s, group %s, %s -> %s: %s", moment(c.At), changed(c), c.From, c.To, c.Reason)
	}
	fmt.Fprintf(w, "%s\n\n", plain(orDash(last)))

	t := newTable("Group", "This Unit", "Peer", "Epoch", "For", "Replication", "Configuration", "Contexts")
	for _, g := range p.Groups {
		t.row(g.Name, g.Role, g.PeerRole, fmt.Sprint(g.Epoch), e.since(g.Since), g.Replication, g.Configuration,
			strings.Join(g.Contexts, ","))
		if g.Broken > 0 || g.PeerBroken > 0 {
			t.notef("contexts that cannot run: %d here, %d on the peer", g.Broken, g.PeerBroken)
		}
		if detail {
			preempt := "no preemption"
			if g.Preempt {
				preempt = "preempts"
			}
			t.notef("%s; prefers %s, %s", g.Reason, g.Prefer, preempt)
		}
	}
	t.write(w)
	e.pairPaths(w, p, detail)
	e.replication(w, p.Contexts, detail)
	if !detail {
		return
	}
	fmt.Fprintln(w)
	t = newTable("Time", "Group", "From", "To", "Epoch", "Reason")
	for _, c := range p.History {
		t.row(moment(c.At), changed(c), c.From, c.To, fmt.Sprint(c.Epoch), c.Reason)
	}
	t.write(w)
}

// pairPaths prints links and interfaces.
func (e *env) pairPaths(w io.Writer, p api.Pair, detail bool) {
	fmt.Fprintln(w)
	t := newTable("Link", "Interface", "Device", "State", "Last Heartbeat", "Address", "Peer")
	for _, l := range p.Links {
		t.row(l.Name, l.Interface, l.Device, l.State, e.ago(l.LastHeartbeat), l.Address, l.Peer)
		if l.Reason != "" {
			t.notef("%s", l.Reason)
		}
	}
	t.write(w)
	if !detail || len(p.Interfaces) == 0 {
		return
	}
	fmt.Fprintln(w)
	t = newTable("Interface", "This Unit", "Peer")
	for _, i := range p.Interfaces {
		t.row(i.Name, i.State, i.Peer)
	}
	t.write(w)
}

// replication prints how far the copies are.
func (e *env) replication(w io.Writer, list []api.ContextReplication, detail bool) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable("Context", "Role", "Replication", "Acknowledged", "Pending", "Lag", "Last Bulk Sync")
	for _, c := range list {
		t.row(c.Context, c.Role, c.State, fmt.Sprintf("%d/%d", c.Acked, c.Last), fmt.Sprint(c.Pending), seconds(c.Lag),
			moment(c.LastBulk))
		if c.Reason != "" {
			t.notef("%s", c.Reason)
		}
		if detail && c.Backlog > 0 {
			t.notef("%d bytes wait", c.Backlog)
		}
		if detail && c.GivenUp > 0 {
			t.notef("%d IKE SAs given up: records could not be applied, see warrend's log", c.GivenUp)
		}
	}
	t.write(w)
}

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
func changed(c api.RoleChange) string {
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
