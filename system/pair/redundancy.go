package pair

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/failover"
)

// Redundancy says in sentences what stands against a takeover at the moment; nothing for a
// node alone.
func (p *Pair) Redundancy() []string {
	if p == nil {
		return nil
	}
	return p.redundancy.sentences()
}

// redundancy is what stands against a takeover, as it was at the last look.
type redundancy struct {
	*machine
	mu   sync.Mutex // protects gone
	gone []string   // what of the redundancy is gone, in sentences
}

// look looks for it again. It is for the goroutine of run.
func (r *redundancy) look(now time.Time) {
	gone := r.gaps(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = gone
}

// sentences returns what the last look found.
func (r *redundancy) sentences() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.gone)
}

// gaps looks for what of the redundancy is gone.
func (r *redundancy) gaps(now time.Time) (list []string) {
	if r.node == nil {
		return []string{"the other unit was not looked for yet"}
	}
	st := r.node.Status(now)
	switch st.Peer.State {
	case "alive":
	case "never heard":
		list = append(list, "the other unit was never heard")
	case "refused":
		list = append(list, "the other unit is refused: "+st.Peer.Reason)
	default:
		list = append(list, "the other unit is "+st.Peer.State)
	}
	for _, l := range st.Links {
		if l.State != "up" && st.Peer.State == "alive" {
			list = append(list, fmt.Sprintf("failover link %s: %s", l.Name, l.State))
		}
	}
	var without []string
	for _, g := range st.Groups {
		roles := []string{g.Role, g.PeerRole}
		if !slices.Contains(roles, failover.RoleActive.String()) ||
			!slices.Contains(roles, failover.RoleStandbyReady.String()) {
			without = append(without, g.Name)
		}
	}
	list = append(list, differences(st)...)
	if len(without) > 0 {
		list = append(list, someOf(without, len(st.Groups), "failover groups without a standby that is ready"))
	}
	return list
}

// differences says in sentences which groups, or contexts of groups, have another
// configuration on the other unit, as far as that is heard, and what helps.
func differences(st failover.Status) []string {
	var differ, contexts []string
	for _, g := range st.Groups {
		if g.Configuration == "different" {
			differ = append(differ, g.Name)
		}
		contexts = append(contexts, g.Differ...)
	}
	if st.Peer.State != "alive" {
		return nil
	}
	var list []string
	if len(differ) > 0 {
		list = append(list, someOf(differ, len(st.Groups), "failover groups with "+otherConfiguration))
	}
	if len(contexts) > 0 {
		list = append(list, fmt.Sprintf("contexts with %s: %s", otherConfiguration, strings.Join(contexts, ", ")))
	}
	return list
}

// otherConfiguration says of what the standby is not ready, and what shows it.
const otherConfiguration = "another configuration on the other unit (`warren failover diff` shows it)"

// Differences says what of this unit's configuration the other one does not have.
func (p *Pair) Differences() (list []string) {
	if p == nil {
		return nil
	}
	p.do(func(now time.Time, _ *failover.Output) {
		if p.node != nil {
			list = differences(p.node.Status(now))
		}
	})
	return list
}

// someOf says how many of all failover groups something holds for, and names the
// first of them.
func someOf(groups []string, all int, what string) string {
	text := fmt.Sprintf("%d of %d %s: %s", len(groups), all, what, groups[0])
	if len(groups) > 1 {
		text += ", ..."
	}
	return text
}
