package api

import (
	"context"
	"net/http"
	"time"
)

// Pairs is the part of a Backend about the other node of a failover pair.
type Pairs interface {
	// Failover describes this node's half of the pair; nil without failover. It
	// asks workers, each within the bounds of ctx, and goes on without those
	// that do not answer.
	Failover(ctx context.Context) (*Pair, error)

	// Switch makes the other unit active for a group, or with "" for every group
	// that is active here or, where none is, for all. It returns when they are.
	Switch(ctx context.Context, how Switch) (Switched, error)
}

// Failover answers `show failover`: one Pair, or none without failover.
type Failover struct {
	Failover []Pair `json:"failover"`
}

// Pair is this node's half of a failover pair.
type Pair struct {
	Unit       string               `json:"unit"` // "primary" or "secondary"
	Version    string               `json:"version"`
	Poll       float64              `json:"poll"` // seconds
	Hold       float64              `json:"hold"` // seconds
	Peer       Peer                 `json:"peer"`
	Links      []PairLink           `json:"links"`
	Interfaces []PairInterface      `json:"interfaces"`
	Groups     []PairGroup          `json:"groups"`
	Contexts   []ContextReplication `json:"replication"`
	History    []RoleChange         `json:"history"` // the last 20, oldest first
}

// Peer is the other node.
type Peer struct {
	// State is "never heard", "alive", "alive, links failed", "silent" or
	// "refused"; before the contexts have started, "not looked for yet".
	State     string    `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	Version   string    `json:"version,omitempty"`
	LastHeard time.Time `json:"last_heard,omitzero"`
}

// PairLink is one failover link.
type PairLink struct {
	Name          string    `json:"name"`
	Interface     string    `json:"interface"` // of the system
	Device        string    `json:"device"`    // of the kernel
	Address       string    `json:"address"`
	Peer          string    `json:"peer"`  // the address of the other node
	State         string    `json:"state"` // "up", "silent", "no carrier" or "refused"
	Reason        string    `json:"reason,omitempty"`
	LastHeartbeat time.Time `json:"last_heartbeat,omitzero"`
}

// PairInterface is one monitored interface of the system, on both nodes.
type PairInterface struct {
	Name  string `json:"name"`
	State string `json:"state"` // "up", "settling" or "down"
	Peer  string `json:"peer"`  // "up", "down" or "unknown"
}

// PairGroup is one failover group, on both nodes.
type PairGroup struct {
	Name string `json:"name"`
	// Role and PeerRole are "init", "negotiation", "standby-cold", "bulk-sync",
	// "standby-ready", "active" or "failed"; the peer's also "unknown".
	Role     string    `json:"role"`
	PeerRole string    `json:"peer_role"`
	Epoch    uint64    `json:"epoch"` // of the activation that counts
	Since    time.Time `json:"since,omitzero"`
	Reason   string    `json:"reason"` // of the last change
	// Replication is "none", "bulk" or "ready": of this unit's copy, or while it
	// is active of the peer's.
	Replication   string   `json:"replication"`
	Configuration string   `json:"configuration"` // "same", "different" or "not compared"
	Prefer        string   `json:"prefer"`
	Preempt       bool     `json:"preempt"`
	Contexts      []string `json:"contexts"`
}

// ContextReplication is how far the standby's copy of one context is.
type ContextReplication struct {
	Context   string  `json:"context"`
	Group     string  `json:"group"`
	Role      string  `json:"role"`  // "active" or "standby"
	State     string  `json:"state"` // "none", "bulk" or "ready"
	Connected bool    `json:"connected"`
	Reason    string  `json:"reason,omitempty"` // why the last session ended, or the worker says nothing
	Last      uint64  `json:"last"`             // position of the last record
	Acked     uint64  `json:"acknowledged"`     // or, on the standby, applied
	Pending   int     `json:"pending"`          // records that wait for the acknowledgement
	Backlog   int     `json:"backlog_bytes"`
	Lag       float64 `json:"lag"` // seconds since the standby last had everything
	// LastBulk is when the last snapshot was complete.
	LastBulk time.Time `json:"last_bulk,omitzero"`
}

// RoleChange is one of the last changes of a role.
type RoleChange struct {
	At     time.Time `json:"at"`
	Group  string    `json:"group"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Epoch  uint64    `json:"epoch"`
	Reason string    `json:"reason"`
}

// Switch asks for a change of the active unit.
type Switch struct {
	Group string `json:"group,omitempty"` // "": all that are active here, or else all
}

// Switched tells what became of it.
type Switched struct {
	Groups []PairGroup `json:"groups"`
}

func (s *Server) failover(r *http.Request) (any, error) {
	p, err := s.cfg.Backend.Failover(r.Context())
	out := Failover{Failover: []Pair{}}
	if p != nil {
		out.Failover = append(out.Failover, normalPair(*p))
	}
	return out, err
}

// normalPair replaces missing lists by empty ones.
func normalPair(p Pair) Pair {
	p.Links, p.Interfaces, p.Groups = orEmpty(p.Links), orEmpty(p.Interfaces), normalGroups(p.Groups)
	p.Contexts, p.History = orEmpty(p.Contexts), orEmpty(p.History)
	return p
}

func normalGroups(list []PairGroup) []PairGroup {
	out := []PairGroup{}
	for _, g := range list {
		g.Contexts = orEmpty(g.Contexts)
		out = append(out, g)
	}
	return out
}

func (s *Server) switchFailover(r *http.Request) (any, error) {
	var how Switch
	if err := decode(r, &how); err != nil {
		return nil, err
	}
	done, err := s.cfg.Backend.Switch(r.Context(), how)
	done.Groups = normalGroups(done.Groups)
	return done, err
}
