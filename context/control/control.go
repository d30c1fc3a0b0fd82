// Package control is the language between the supervisor (context/spawn) and a
// worker (context/worker): the messages that both know. It does no I/O; package
// context/pipe frames messages, and moves them with the descriptors that belong to
// them.
//
// A worker parses hostile packets, so the supervisor treats every message of a
// worker as hostile too: frames are bounded, bodies are JSON, and nothing in a
// body is a path, a command or a descriptor number.
package control

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/resource"
)

// Version of the protocol. A worker and the supervisor that has started it come from
// one build, so another version is an error; a later supervisor replaces a worker
// that speaks another one.
const Version = 1

// Kind names what a Message is about.
type Kind string

// Requests of the supervisor. Each is answered by a Message with the same ID
// and kind KindAnswer or KindError.
const (
	KindBoot      Kind = "boot"      // Boot, with descriptors; the first, to a new worker; answered by Booted
	KindConfigure Kind = "configure" // Configuration: the same tenant, changed
	KindLogoff    Kind = "logoff"    // Logoff; answered by LogoffDone
	KindRekey     Kind = "rekey"     // Logoff, which says whose SAs are rekeyed; answered by Rekeyed
	KindPing      Kind = "ping"      // nothing; answered when the worker's event loop turns
	KindStop      Kind = "stop"      // nothing; the worker says goodbye to its peers and exits
	KindRole      Kind = "role"      // Activation; answered when the worker serves, or is silent
	KindQuiesce   Kind = "quiesce"   // Quiesce; KindQuiesced follows
	KindCapture   Kind = "capture"   // CaptureOrder, with descriptors: see there; answered when it has begun
	KindLink      Kind = "link"      // Link, with one descriptor: a connection to the twin; answered at once
	KindAdopt     Kind = "adopt"     // Adopt; the first of a later supervisor; answered by Booted
	KindLeave     Kind = "leave"     // nothing; this supervisor ends in order, and may be the last
)

// Questions of the supervisor, one for each fact, with an empty body: who asks for
// counters every few seconds does not get 10,000 SAs with them.
const (
	KindIKESAs    Kind = "ike_sas"     // answered by a list of IKESA, with their child SAs
	KindSessions  Kind = "sessions"    // answered by a list of Session
	KindServers   Kind = "aaa_servers" // answered by a list of AAAServer
	KindResources Kind = "resources"   // answered by a list of Resource: what the worker counts
	KindIPsec     Kind = "ipsec_stats" // answered by IPsecStats
	KindProgress  Kind = "progress"    // answered by Replication, or null: there is no twin
	KindKeys      Kind = "keys"        // answered by Keys (debugging, root only)
)

// Requests of the worker, answered in the same way.
const (
	KindAddress Kind = "address" // Address: put it on the tunnel device, or take it away
	KindRoutes  Kind = "routes"  // Routes: what the child SAs carry that stand
	KindClaim   Kind = "claim"   // Claim; answered by Grant, at once
	KindConnect Kind = "connect" // Connect; answered with descriptors: a socket for each
	// KindReplication is a Replication: it has changed.
	KindReplication Kind = "replication"
	// KindQuiesced says that what Quiesce asked for is done.
	KindQuiesced Kind = "quiesced"
)

// Answers.
const (
	KindAnswer Kind = "answer"
	KindError  Kind = "error" // Failure
)

// Message is one frame. ID is chosen by the side that asks, and is unique among
// its open questions.
type Message struct {
	ID   uint64          `json:"id"`
	Kind Kind            `json:"kind"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Failure is the body of KindError.
type Failure struct {
	Reason string `json:"reason"` // for people
	Cause  Cause  `json:"cause,omitempty"`
}

// Cause is what the side that asked can act on in a Failure; empty: nothing.
type Cause string

// CauseMemory is the cause of a refused boot: the memory files hold what this
// worker cannot read, for it is damaged or another version's. No later worker of
// the same program would fare better.
const CauseMemory Cause = "memory"

// Error is an error whose Failure has a cause.
type Error struct {
	Cause Cause
	Err   error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error without the cause.
func (e *Error) Unwrap() error { return e.Err }

// DescriptorKind says what a passed descriptor is.
type DescriptorKind string

// The kinds of descriptors.
const (
	DescriptorIKE      DescriptorKind = "ike"      // UDP socket, port 500
	DescriptorNATT     DescriptorKind = "natt"     // UDP socket, port 4500
	DescriptorESP      DescriptorKind = "esp"      // raw socket, protocol 50
	DescriptorTUN      DescriptorKind = "tun"      // TUN queue with vnet_hdr
	DescriptorJournal  DescriptorKind = "journal"  // memory file: the SA journal
	DescriptorCounters DescriptorKind = "counters" // memory file: counters of child SAs
)

// Descriptor describes one descriptor of a frame; they are in the same order.
type Descriptor struct {
	Kind DescriptorKind `json:"kind"`
	// Local is the bound address of a socket.
	Local netip.AddrPort `json:"local,omitzero"`
	// Interface is the tenant's name of the socket's interface, and the name of
	// the device for a TUN.
	Interface string `json:"interface,omitempty"`
	MTU       int    `json:"mtu,omitempty"` // of a TUN, or of the socket's interface
}

// Boot is everything a worker needs to begin, or to go on with after a change.
type Boot struct {
	Version int `json:"version"`
	Configuration
	Descriptors []Descriptor `json:"descriptors"`
	LogFormat   string       `json:"log_format"` // "text" or "json"
	LogLevel    string       `json:"log_level"`
	// Events says that the supervisor takes events on the worker's standard error;
	// otherwise what happens is lines of the log like all else.
	Events   bool      `json:"events,omitempty"`
	Failover *Failover `json:"failover,omitempty"` // nil: there is no other node

	// Clock is what the clock of all workers showed, in nanoseconds since 1970,
	// when the machine was started: lifetimes go on from worker to worker whatever
	// becomes of the wall clock. 0: the worker begins one of its own.
	Clock int64 `json:"clock,omitempty"`
	// Filters are seccomp programs, lists of struct sock_filter: the worker puts
	// them upon itself, in this order, before it looks at anything else.
	Filters [][]byte `json:"filters,omitempty"`
	// RequireSandbox makes a worker refuse to boot where it could not confine
	// itself.
	RequireSandbox bool `json:"require_sandbox,omitempty"`
}

// Configuration is what a tenant is, as its worker gets it.
type Configuration struct {
	Tenant  *spec.Tenant `json:"tenant"`
	Secrets [][]byte     `json:"secrets"` // Tenant.Secrets: the one place where they travel
}

// ConfigurationOf returns the configuration of t. It holds the secrets.
func ConfigurationOf(t *spec.Tenant) Configuration {
	c := Configuration{Tenant: t}
	for _, s := range t.Secrets {
		c.Secrets = append(c.Secrets, s.Reveal())
	}
	return c
}

// Booted answers Boot, and Adopt.
type Booted struct {
	Sandbox Sandbox `json:"sandbox"`
	Build   string  `json:"build,omitempty"` // of the worker's program
	// Activation is what the worker of a pair plays, whoever has told it.
	Activation Activation `json:"role,omitzero"`
}

// Adopt is what a worker gets from a supervisor that has not started it. The worker
// becomes what the configuration says, without harm to an SA that is not concerned,
// and tells everything that it has ever asked for anew: addresses, routes, its share of
// what the contexts have together.
type Adopt struct {
	Version int `json:"version"`
	Configuration
}

// Sandbox is what confines a worker.
type Sandbox struct {
	Reached []string `json:"reached"` // "seccomp", "landlock 7", "pid namespace"
	Missing []string `json:"missing"` // the same, with the reason: "landlock: the kernel has none"
}

// Reach adds a part of the sandbox, which err, if not nil, says why it is not
// there.
func (s *Sandbox) Reach(part string, err error) {
	if err != nil {
		s.Missing = append(s.Missing, part+": "+err.Error())
		return
	}
	s.Reached = append(s.Reached, part)
}

// String lists what is reached, and what is missing.
func (s Sandbox) String() string {
	text := strings.Join(s.Reached, ", ")
	if len(s.Missing) > 0 {
		text += "; missing: " + strings.Join(s.Missing, ", ")
	}
	return text
}

// Failover makes a tenant one of a pair of twins. It begins as the standby
// unless Activation says otherwise.
type Failover struct {
	Unit       failover.Unit `json:"unit"`
	Activation Activation    `json:"role"`
	Hold       time.Duration `json:"hold"` // of the pair, in nanoseconds; 0: failover.DefaultHold
}

// Link says how the worker and its twin prove to each other who they are.
type Link struct {
	Key []byte `json:"key"` // failover.TenantKey of the context, of the key that both nodes have
}

// Activation is what a worker of a pair knows of the role of its group
// (failover.Role): the latest activation, and whether it is the one that serves or
// the one that follows its twin in silence.
type Activation struct {
	Active bool   `json:"active"` // the activation is on this node
	Epoch  uint64 `json:"epoch"`
	// Alone says that the other node is away (failover.Node.Alone): a worker that is told
	// so last, and serves, may do so for a while without a supervisor.
	Alone bool `json:"alone,omitempty"`
}

// Quiesce asks for the end of all exchanges that have begun, and for silence
// until the role changes; Cancel takes it back.
type Quiesce struct {
	Cancel bool `json:"cancel,omitempty"`
}

// Replication is how far the copy of a tenant is, seen from the worker that
// tells.
type Replication struct {
	State     failover.Replication `json:"state"`
	Active    bool                 `json:"active"`    // what the worker was when it told
	Connected bool                 `json:"connected"` // there is a session with the twin
	// Closed says that the last session ended because the twin's kernel closed it.
	Closed bool `json:"closed,omitempty"`
	// Orphan says that the twin serves although its supervisor has gone (failover.Vigil).
	Orphan bool `json:"orphan,omitempty"`
	// Holds says that the worker has a complete copy, however old, or serves.
	Holds    bool      `json:"holds"`
	Reason   string    `json:"reason,omitempty"` // why the last session ended
	Stream   string    `json:"stream"`
	Last     uint64    `json:"last"`    // position of the last record
	Acked    uint64    `json:"acked"`   // acknowledged, or applied on the standby
	Pending  int       `json:"pending"` // records that wait for the acknowledgement
	Backlog  int       `json:"backlog_bytes"`
	Lag      float64   `json:"lag"`                // seconds since the standby last had everything
	LastBulk time.Time `json:"last_bulk,omitzero"` // when the last snapshot was complete
	// GivenUp are the IKE SAs that the worker has given up since it started, or had
	// the last snapshot: a record of them could not be applied.
	GivenUp int `json:"given_up,omitempty"`
}

// Connect asks for UDP sockets that are connected to a server of the tenant's
// configuration, each from a port of its own. Whatever is not one is refused.
type Connect struct {
	Server netip.AddrPort `json:"server"`
	// Sockets is how many; at most MaxSockets.
	Sockets int `json:"sockets"`
}

// MaxSockets bounds the sockets of one Connect.
const MaxSockets = 4

// Address asks for an address on the tunnel device: what a gateway gave us as
// its client.
type Address struct {
	Add    bool         `json:"add"`
	Prefix netip.Prefix `json:"prefix"`
}

// Routes tells what child SAs that stand carry, as they come and go; what lies
// within an address pool need not be told. Reset, which comes first, forgets all
// that was told before. What is added twice counts once.
type Routes struct {
	Reset bool `json:"reset,omitempty"`
	// More says that another one follows at once: what was there before the Reset
	// stays until the last one.
	More   bool           `json:"more,omitempty"`
	Add    []Route        `json:"add,omitempty"`
	Remove []netip.Prefix `json:"remove,omitempty"`
	// Answer are IPv6 addresses of clients that may lie within the subnet of an
	// interface, which answers neighbour solicitations for them; Silence are
	// those that have gone.
	Answer  []netip.Addr `json:"answer,omitempty"`
	Silence []netip.Addr `json:"silence,omitempty"`
}

// MaxChanges bounds the changes of one Routes.
const MaxChanges = 256

// Changes is how many changes it asks for.
func (r Routes) Changes() int { return len(r.Add) + len(r.Remove) + len(r.Answer) + len(r.Silence) }

// Route is a network behind the tunnel. Source, where valid, is the one address
// that the SA carries packets from.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Source      netip.Addr   `json:"source,omitzero"`
}

// Logoff says which sessions end; exactly one field is set.
type Logoff struct {
	User    string     `json:"user,omitempty"` // remote identity
	Address netip.Addr `json:"address,omitzero"`
	All     bool       `json:"all,omitempty"`
}

// Rekeyed tells for how many IKE SAs, and child SAs of those, the exchange that replaces
// each of them has been begun.
type Rekeyed struct {
	IKESAs   int `json:"ike_sas"`
	ChildSAs int `json:"child_sas"`
}

// LogoffDone tells how many sessions were ended.
type LogoffDone struct {
	Sessions int `json:"sessions"`
}

// Keys are the lines of Wireshark's ikev2_decryption_table and esp_sa files.
type Keys struct {
	IKE []string `json:"ike"`
	ESP []string `json:"esp"`
}

// IKESA is one row of `show crypto ikev2 sa`; the keys are those of the
// contract, in snake case.
type IKESA struct {
	Context     string       `json:"context"`
	SPIi        string       `json:"spi_i"`
	SPIr        string       `json:"spi_r"`
	Role        string       `json:"role"` // "initiator" or "responder"
	Local       string       `json:"local"`
	Remote      string       `json:"remote"`
	LocalID     string       `json:"local_id"`
	RemoteID    string       `json:"remote_id"`
	State       string       `json:"state"`
	TunnelGroup string       `json:"tunnel_group"`
	Encryption  string       `json:"encryption"`
	Integrity   string       `json:"integrity"` // "" with an AEAD
	PRF         string       `json:"prf"`
	KeyExchange string       `json:"key_exchange"`
	NATT        bool         `json:"natt"`
	MOBIKE      bool         `json:"mobike"`
	Assigned    []netip.Addr `json:"assigned"`
	Established time.Time    `json:"established"`
	// IntegrityFailed counts messages for this IKE SA whose checksum was wrong.
	IntegrityFailed uint64 `json:"integrity_failed"`
	// Excess counts requests of the peer that were dropped because there were too many.
	Excess   uint64    `json:"excess"`
	ChildSAs []ChildSA `json:"child_sas"`
}

// ChildSA is one row of `show crypto ipsec sa`.
type ChildSA struct {
	Context         string    `json:"context"`
	SPIIn           string    `json:"spi_in"`
	SPIOut          string    `json:"spi_out"`
	Local           string    `json:"local"`
	Remote          string    `json:"remote"`
	Encapsulation   string    `json:"encapsulation"`
	Encryption      string    `json:"encryption"`
	Integrity       string    `json:"integrity"`
	ESN             bool      `json:"esn"`
	ReplayWindow    uint32    `json:"replay_window"`
	LocalTS         []string  `json:"local_ts"`
	RemoteTS        []string  `json:"remote_ts"`
	BytesIn         uint64    `json:"bytes_in"`
	BytesOut        uint64    `json:"bytes_out"`
	PacketsIn       uint64    `json:"packets_in"`
	PacketsOut      uint64    `json:"packets_out"`
	ReplayDropped   uint64    `json:"replay_dropped"`
	IntegrityFailed uint64    `json:"integrity_failed"`
	SequenceOut     uint64    `json:"sequence_out"`
	Expires         time.Time `json:"expires,omitzero"`
}

// Session is one row of `show vpn-sessiondb`.
type Session struct {
	Context     string       `json:"context"`
	User        string       `json:"user"`
	TunnelGroup string       `json:"tunnel_group"`
	GroupPolicy string       `json:"group_policy"`
	Assigned    []netip.Addr `json:"assigned"`
	Public      string       `json:"public"`
	Protocol    string       `json:"protocol"`
	BytesIn     uint64       `json:"bytes_in"`
	BytesOut    uint64       `json:"bytes_out"`
	LoginTime   time.Time    `json:"login_time"`
	Duration    float64      `json:"duration"` // seconds
	// Standby: the context is standby here, so that this is the copy of a session
	// that the other unit serves.
	Standby bool `json:"standby"`
}

// Resource is one row of `show resource usage`.
type Resource struct {
	Context  string        `json:"context"`
	Resource string        `json:"resource"`
	Unit     resource.Unit `json:"unit"` // of Current, Peak and Limit
	Current  int64         `json:"current"`
	Peak     int64         `json:"peak"`
	Limit    int64         `json:"limit"` // 0: unlimited; -1: nothing at all
	// Denied is how often something was refused: sessions, set-ups, packets,
	// lines, routes, requests; of memory, processes that were killed; of cpu,
	// periods of 20 ms in which the worker was held back.
	Denied int64 `json:"denied"`
}

// Claim tells what a worker holds of a resource that the contexts share beyond
// what each is promised, and how much more it wants. What it holds is told anew
// each time, so that nothing has to be remembered when a worker is replaced.
type Claim struct {
	Resource string `json:"resource"`
	Held     int64  `json:"held"`
	More     int64  `json:"more"`
}

// Grant answers a Claim: how much the worker may hold from now on.
type Grant struct {
	Most int64 `json:"most"`
}
