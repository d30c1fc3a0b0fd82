package failover

import "time"

// resumes reports whether a node that looks for its peer has workers of an earlier
// supervisor, with SAs that a standby out of step may not have: they were active last, and
// have fallen silent.
func resumes(s GroupState, epoch, known uint64) bool {
	return s.Holds && s.Fit && epoch != 0 && epoch >= known
}

// Alone reports whether nobody but this node can serve, as far as is known: no peer has been
// heard for the time of Config.Wait (or ever, and Config.Alone), not even one that is refused.
// The workers of a group that is active here serve on then should this supervisor end
// (Tenure.OrphanedAlone).
func (n *Node) Alone(now time.Time) bool {
	away := now.Sub(n.unheard()) >= n.cfg.Wait || n.cfg.Alone && n.peer.instance == 0
	return !n.peer.alive && away && n.refusedPeer(now) == nil && n.twin(now) == nil
}

// unheard is since when a silent peer has not been heard by this life of the node.
func (n *Node) unheard() time.Time {
	if n.peer.since.Before(n.started) {
		return n.started
	}
	return n.peer.since
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
	since := n.unheard()
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
