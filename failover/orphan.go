package failover

import "time"

// resumes reports whether a node that looks for its peer has workers of an earlier
// supervisor, with SAs that a standby out of step may not have: they were active last, and
// have fallen silent.
func resumes(s GroupState, epoch, known uint64) bool {
	return s.Holds && s.Fit && epoch != 0 && epoch >= known
}

// orphaned reports whether the workers of a silent peer are known to serve a group on
// without their supervisor, and are to be left alone: another one may take them up. That
// takes every context that runs here; one of which nothing is known may be down there.
func (n *Node) orphaned(now time.Time, g *group, out *Output) bool {
	serving := 0
	for _, t := range g.tenants {
		switch {
		case t.broken != "": // nobody here could be told
		case t.orphan:
			serving++
		default:
			return false
		}
	}
	since := n.peer.since // the silence
	if since.Before(n.started) {
		since = n.started
	}
	if serving == 0 || now.Sub(since) >= n.cfg.Adoption {
		return false
	}
	if !g.spared.Equal(since) {
		g.spared = since
		out.event(Event{At: now, Kind: EventTakeoverDenied, Group: g.cfg.Name, Epoch: g.epoch,
			Text: "the peer is silent, but its workers serve on: another supervisor may take them up"})
	}
	return true
}
