package failover

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/pagetest"
)

// pairLoss is something that befalls a pair whose first node is active: a row of
// docs/recovery.md.
type pairLoss struct {
	what, does string
	befall     func(l *lab)
	takes      bool // the second node becomes active
	end        []string
}

var pairLosses = []pairLoss{
	{"the active unit loses its power, or its machine stops", "the other unit serves, with all SAs",
		func(l *lab) { l.nodes[0] = nil }, true, []string{"dead", "active"}},
	{"all processes of the active unit end, and its kernel lives",
		"the same: the sessions that the kernel has closed say so, and nothing answers",
		func(l *lab) { l.nodes[0] = nil; l.closes(1) }, true, []string{"dead", "active"}},
	{"the active unit is lost while the standby has not copied everything yet",
		"the other unit waits longer, and then serves with what it has",
		func(l *lab) {
			l.do(1, func(n *Node, out *Output) {
				n.Copy(l.now, "acme", false, out)
				n.Replication(l.now, "acme", ReplicationBulk, out)
			})
			l.nodes[0] = nil
		}, true, []string{"dead", "active"}},
	{"the standby unit is lost", "the active unit serves on", func(l *lab) { l.nodes[1] = nil }, false,
		[]string{"active", "dead"}},
	{"warrend of the active unit ends, and its workers live ([upgrade.md](upgrade.md))",
		"they serve on, as long as the other unit answers them", orphaned, false, []string{"dead", "standby-ready"}},
	{"the same, and no other warrend follows", "the other unit has them fall silent, and serves",
		func(l *lab) { orphaned(l); l.run(DefaultAdoption - time.Second) }, true, []string{"dead", "active"}},
	{"the active unit stands still, and goes on a second later",
		"the other unit serves; the one that stood still is its standby, and copies all again",
		func(l *lab) { l.still, l.nodes[0] = l.nodes[0], nil }, true, []string{"standby-cold", "active"}},
	{"the failover link is cut, in one direction or both", "the units hear each other over the data interfaces: " +
		"no role changes, and the standby is not ready where its copy has fallen behind",
		func(l *lab) { l.cut = [2]bool{true, true} }, false, []string{"active", "standby-ready"}},
	{"everything between the units is cut", "both serve. When they hear each other again the one whose epoch is " +
		"higher stays, and the other one is its standby",
		func(l *lab) { l.cut, l.data = [2]bool{true, true}, false }, true, []string{"standby-cold", "active"}},
	{"an interface of the active unit goes down", "the other unit serves, once the workers have finished what they do",
		func(l *lab) {
			l.do(0, func(n *Node, out *Output) { n.Interface(l.now, "outside", false, out) })
		}, true, []string{"failed", "active"}},
	{"an interface of the standby unit goes down", "the active unit serves on; there is no redundancy, which " +
		"`warren status` says", func(l *lab) {
		l.do(1, func(n *Node, out *Output) { n.Interface(l.now, "outside", false, out) })
	}, false, []string{"active", "failed"}},
	{"a worker of the active unit fails again and again", "the other unit serves its failover group, and no other one",
		func(l *lab) {
			l.do(0, func(n *Node, out *Output) { n.WorkerFailed(l.now, "acme", "it fails", out) })
		}, true, []string{"failed", "active"}},
	{"an operator switches (`warren failover switch`)", "the other unit serves; both do for the moment of one message",
		func(l *lab) { l.switched(0, nil) }, true, []string{"standby-cold", "active"}},
}

// orphaned ends the supervisor of the first node, whose worker serves on.
func orphaned(l *lab) {
	l.do(1, func(n *Node, out *Output) { n.Orphan(l.now, "acme", true, out) })
	l.nodes[0] = nil
}

// TestPairLosses has each of these befall a pair at every moment between two heartbeats. The
// rows are a table of docs/recovery.md, with how soon the other unit serves.
func TestPairLosses(t *testing.T) {
	table := "| what happens | what the pair does | the other unit serves after |\n|---|---|---|\n"
	for _, p := range pairLosses {
		least, most := time.Hour, time.Duration(0)
		for offset := time.Duration(0); offset < DefaultPoll; offset += 5 * time.Millisecond {
			took := p.play(t, offset)
			least, most = min(least, took), max(most, took)
		}
		after := "-"
		if p.takes {
			after = span(least, most)
		}
		table += fmt.Sprintf("| %s | %s | %s |\n", p.what, p.does, after)
	}
	update, _ := flag.Lookup("update").Value.(flag.Getter).Get().(bool) // of recordtest
	pagetest.Table{Page: "../docs/recovery.md", Name: "pair"}.Hold(t, table, update)
}

// play returns how soon the second node serves; 0 where it does not.
func (p *pairLoss) play(t *testing.T, offset time.Duration) time.Duration {
	t.Helper()
	l := settled(t)
	l.run(offset)
	before, began := len(l.seen[1].Changes), l.now
	p.befall(l)
	l.run(10 * time.Millisecond)
	if len(l.seen[0].Quiesce) > 0 { // the workers have finished
		l.do(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	}
	l.run(time.Second - 10*time.Millisecond)
	if l.still != nil {
		l.nodes[0] = l.still
	}
	l.run(time.Second)
	l.cut, l.data = [2]bool{}, true
	l.run(time.Second)
	l.want(p.end...)
	var took time.Duration
	for _, c := range l.seen[1].Changes[before:] {
		if c.To == RoleActive {
			took = c.At.Sub(began)
		}
	}
	if p.takes != (took > 0) {
		t.Errorf("%s: the other unit serves after %v", p.what, took)
	}
	return took
}

// span is a span of time as the table has it.
func span(least, most time.Duration) string {
	text, unit := func(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }, " ms"
	if most >= time.Second {
		text, unit = func(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }, " s"
	}
	if text(least) == text(most) {
		return text(most) + unit
	}
	return text(least) + " to " + text(most) + unit
}
