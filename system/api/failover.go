package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/warrenvpn/warren/system/fault"
)

const (
	// maxContextFiles bounds the files that the peer sends: those of some hundred
	// contexts.
	maxContextFiles = 64 << 20
	// maxPeerAnswer bounds what the peer answers to them.
	maxPeerAnswer = 16 << 20
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

	// AskPeer asks the peer's API, where this node may read. The caller closes
	// the answer's body.
	AskPeer(r *http.Request) (*http.Response, error)

	// SyncConfig gives what the units have in common, of the system file and with
	// the files of all contexts, to the peer, which checks and runs it: wholly or,
	// on any error, not at all. A program that is older gets the files alone.
	SyncConfig(ctx context.Context, by Author) (Synced, error)

	// TakeConfig is the other end of the SyncConfig of a program that is older.
	TakeConfig(ctx context.Context, take ContextFiles) (Synced, error)

	Joint
}

// ContextFiles are the files of contexts, secrets included, from one node to the
// other, which may be of a neighbouring version: a field that one does not know it
// passes over, so what must not be passed over needs a path of its own.
type ContextFiles struct {
	Author string        `json:"author"`
	Files  []ContextFile `json:"files"`
}

// ContextFile is one of them.
type ContextFile struct {
	Context string `json:"context"`
	Name    string `json:"name"` // "disk0:/path", beside the configuration, or absolute
	Config  bool   `json:"config"`
	Content []byte `json:"content"`
}

// Synced tells what a copy of the configuration has changed on the standby.
type Synced struct {
	Files    []string `json:"files"` // that were written
	Steps    []Step   `json:"steps"`
	Warnings []string `json:"warnings"`
	Version  int      `json:"version"` // that runs there now
	// Fetched are the contexts whose configuration each node has from a server.
	Fetched []string `json:"fetched"`
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
	Keys       PairKeys             `json:"keys"`
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
	// Skew is by how many seconds the peer's clock is ahead of this unit's.
	Skew float64 `json:"clock_skew"`
}

// PairKeys are the failover keys, each by an ID that tells nothing of it and is the
// same on both units. There is more than one while the key is changed.
type PairKeys struct {
	Used     string   `json:"used"`               // with the peer, at the moment
	Accepted []string `json:"accepted,omitempty"` // here, the preferred one first
	Peer     []string `json:"peer,omitempty"`     // there, as far as it is heard
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
	Configuration string   `json:"configuration"`    // "same", "different", "partly different" or "not compared"
	Differ        []string `json:"differ,omitempty"` // contexts, where it is partly different
	Prefer        string   `json:"prefer"`
	Preempt       bool     `json:"preempt"`
	Contexts      []string `json:"contexts"`
	Broken        int      `json:"broken"`      // contexts that cannot run on this unit
	PeerBroken    int      `json:"peer_broken"` // on the other one, as far as it is known
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
	// GivenUp are the IKE SAs that this unit's worker has given up since it started, or
	// had the last snapshot: a record of them could not be applied here.
	GivenUp int `json:"given_up"`
	// FilesKept is how many files on the context's disk are kept beside others, because both
	// units had changed them, and FilesPending says that something on it is not known to be
	// on the standby unit yet.
	FilesKept    int  `json:"files_kept,omitempty"`
	FilesPending bool `json:"files_pending,omitempty"`
}

// RoleChange is one of the last changes of a role.
type RoleChange struct {
	At     time.Time `json:"at"`
	Group  string    `json:"group"`
	Groups int       `json:"groups"` // that it befell at once: Group is the first
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

// peerPath is where a node's API begins in that of its peer.
const peerPath = "/v1/peer/"

// onBehalf is the header in which a node says that it passes on what a caller
// with a lesser role asks.
const onBehalf = "Warren-On-Behalf-Of"

// PeerURL is the URL of a path of the peer's API.
func PeerURL(path string) string { return "http://peer" + path }

// askPeer passes a question on to the peer and its answer back, whatever it is.
func (s *Server) askPeer(t *transfer, r *http.Request) error {
	path := "/v1/" + strings.TrimPrefix(r.URL.Path, peerPath)
	if strings.HasPrefix(path, peerPath) {
		return &fault.Error{Code: fault.CodeInvalid, Reason: "the peer's peer is this unit"}
	}
	url := PeerURL(path)
	if r.URL.RawQuery != "" {
		url += "?" + r.URL.RawQuery
	}
	q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("no path of an API: %v", err)}
	}
	q.Header.Set(onBehalf, string(RoleRead))
	resp, err := s.cfg.Backend.AskPeer(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	t.pass(resp)
	return nil
}

// ReadAnswer reads the answer of an API: what was asked for, or its *fault.Error.
func ReadAnswer[T any](resp *http.Response) (T, error) {
	var out T
	body := json.NewDecoder(io.LimitReader(resp.Body, maxPeerAnswer))
	if resp.StatusCode == http.StatusOK {
		if err := body.Decode(&out); err != nil {
			return out, fmt.Errorf("api: reading the peer's answer: %w", err)
		}
		return out, nil
	}
	var e fault.Error
	if err := body.Decode(&e); err != nil || e.Reason == "" {
		return out, fmt.Errorf("api: the peer answers with HTTP status %d", resp.StatusCode)
	}
	return out, &e
}

func (s *Server) syncConfig(r *http.Request) (any, error) {
	ctx, cancel := detached(r, reloadTimeout)
	defer cancel()
	done, err := s.cfg.Backend.SyncConfig(ctx, authorOf(r))
	return normalSynced(done), err
}

func (s *Server) takeConfig(r *http.Request) (any, error) {
	var take ContextFiles
	if err := decode(r, &take); err != nil {
		return nil, err
	}
	ctx, cancel := detached(r, reloadTimeout)
	defer cancel()
	done, err := s.cfg.Backend.TakeConfig(ctx, take)
	return normalSynced(done), err
}

func normalSynced(s Synced) Synced {
	s.Files, s.Warnings, s.Fetched, s.Steps = orEmpty(s.Files), orEmpty(s.Warnings), orEmpty(s.Fetched),
		normalSteps(s.Steps)
	return s
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
