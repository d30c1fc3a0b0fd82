package failover

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// Limits and defaults.
const (
	DefaultPoll = 50 * time.Millisecond
	DefaultHold = 150 * time.Millisecond
	// MinPoll and MinHold keep a busy machine from mistaking its own scheduler
	// for the death of the peer.
	MinPoll = 10 * time.Millisecond
	MinHold = 30 * time.Millisecond
	// formerPoll is the interval of a peer that does not say it: the default of programs
	// from before it was said. maxPoll bounds what a peer can say.
	formerPoll = 50 * time.Millisecond
	maxPoll    = 15 * time.Second
	// DefaultWait is how long a starting node looks for its peer: long enough
	// for a switch port to come up, short beside a boot.
	DefaultWait = time.Second
	// DefaultSettle is how long an interface must be up to count as up again:
	// bad news is believed at once, good news when it lasts.
	DefaultSettle = time.Second

	// MaxLinks, MaxGroups and MaxInterfaces bound what a node keeps, of itself and
	// of its peer: eight times what a pair is made for, each context a group with a
	// few interfaces. MaxName is the length of a name in bytes.
	MaxLinks      = 8
	MaxGroups     = 8192
	MaxInterfaces = 4 * MaxGroups
	MaxName       = 64
	maxEntries    = MaxGroups + MaxInterfaces + maxTenants
	maxTenants    = MaxGroups // of all groups

	// HistoryLength is how many role changes `show failover` remembers. What
	// befalls many groups at once is one of them.
	HistoryLength = 20

	// maxPages is how many heartbeats leave at once where the peer misses much:
	// they find room in the receive buffer of a socket. Over data interfaces it is
	// fewer, and while nobody answers one.
	maxPages     = 64
	maxDataPages = 4
	// maxAsked is on how many data interfaces a silent peer is asked at once; with
	// more, they take turns.
	maxAsked = 16

	// patience is how many times longer than Hold a silent peer is waited for
	// where its state has not been copied yet.
	patience = 10

	// quiesceLimit bounds how long a hand-over waits for the workers. After it
	// the peer takes over all the same: what was not acknowledged was not
	// answered either.
	quiesceLimit = 500 * time.Millisecond
	// announceInterval is how often an active node whose peer is silent repeats
	// whose the addresses are.
	announceInterval = time.Second
	// shortestGap is the part of a poll that lies between two heartbeats at least.
	shortestGap = 50
	// wantLimit is how long the wish for a switch is repeated to the peer, beyond
	// the hold time for which a new active does not hand over.
	wantLimit = 2 * time.Second
)

// Config is what a Node needs to know.
type Config struct {
	Unit Unit // UnitPrimary or UnitSecondary
	// Keys are the failover keys, at most MaxKeys, the preferred one first. Both
	// nodes have one in common; there is more than one only while it is changed.
	Keys    []secret.Value
	Version string // of the program, to be shown; that of the peer may be another
	// Protocol is what the program speaks. Zero: Protocol.
	Protocol record.Versions
	// Poll is the interval of heartbeats; a peer not heard for Hold, at least
	// three polls, is dead. One whose interval is longer is waited for for three of
	// its own. Zero: the defaults.
	Poll, Hold time.Duration
	// Wait is how long a starting node looks for its peer before it becomes
	// active. Zero: DefaultWait.
	Wait time.Duration
	// Settle is how long an interface must be up to count. Zero: DefaultSettle.
	Settle time.Duration
	// Adoption is how long this node waits, as the standby, for the next supervisor of a
	// peer whose workers serve on (Orphan). Zero: DefaultAdoption.
	Adoption time.Duration
	// Alone says that an earlier life of this node, whose workers serve, has not heard its peer:
	// what Node.Alone is until the peer is heard.
	Alone  bool
	Links  []string // names, the same on both nodes; at least one
	Groups []GroupConfig
	// Rand is read for the instance and the challenges; it must be
	// cryptographically strong. The caller passes crypto/rand.Reader.
	Rand io.Reader
}

// GroupConfig is one failover group.
type GroupConfig struct {
	Name         string
	Prefer       Unit          // active when both start at once; UnitNone: the primary
	Preempt      bool          // the preferred unit takes the role back
	PreemptDelay time.Duration // once it has been standby-ready for so long
	// Monitor are the interfaces of the system whose health counts. A unit with
	// InterfacePolicy of them down has failed; 0 means 1.
	Monitor         []string
	InterfacePolicy int
	Tenants         []string // the contexts of the group
	// Hashes are those of the configuration of its contexts, one for each of
	// Config.Keys. Two nodes that have one in common have the same configuration.
	Hashes [MaxKeys][16]byte
	// TenantHashes are those of each context alone, in the order of Tenants, where the
	// group has several: a context that differs is not ready, and the others are.
	TenantHashes [][MaxKeys][16]byte
	// Tolerated are those of other configurations that count as the same: both nodes
	// change from one to the other, one after the other. Configure leaves them alone.
	Tolerated [][MaxKeys][16]byte
	// Epoch is the highest that Output.Remember told an earlier life of this
	// node, 0 for none.
	Epoch uint64
	// Adopted is the epoch of the activation that workers of an earlier life know, 0 for
	// none. With Active they were found serving: the group goes on as active with it.
	// Known says that this is so of the workers of all its contexts: then no higher epoch
	// than Adopted was used here, although one may have been written down ahead.
	Adopted uint64
	Active  bool
	Known   bool
}

// withDefaults returns c with defaults filled in, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Poll, DefaultPoll)
	setDefault(&c.Hold, DefaultHold)
	setDefault(&c.Wait, DefaultWait)
	setDefault(&c.Settle, DefaultSettle)
	setDefault(&c.Adoption, DefaultAdoption)
	if c.Protocol == (record.Versions{}) {
		c.Protocol = Protocol
	}
	switch {
	case c.Unit != UnitPrimary && c.Unit != UnitSecondary:
		return c, errors.New("failover: unit must be primary or secondary")
	case c.Poll < MinPoll || c.Hold < MinHold || c.Hold < 3*c.Poll:
		return c, fmt.Errorf("failover: poll %v and hold %v: poll is at least %v, hold at least %v and three polls",
			c.Poll, c.Hold, MinPoll, MinHold)
	case len(c.Links) == 0 || len(c.Links) > MaxLinks:
		return c, fmt.Errorf("failover: %d links: from 1 to %d are possible", len(c.Links), MaxLinks)
	case c.Rand == nil:
		return c, errors.New("failover: no source of randomness")
	case len(c.Version) > MaxName:
		return c, errors.New("failover: version is too long")
	case !c.Protocol.IsValid():
		return c, fmt.Errorf("failover: no versions %v of the protocol", c.Protocol)
	}
	if err := checkKeys(c.Keys); err != nil {
		return c, err
	}
	if err := checkGroups(c.Groups); err != nil {
		return c, err
	}
	for _, name := range c.Links {
		if name == "" || len(name) > MaxName {
			return c, fmt.Errorf("failover: link %q: name is empty or too long", name)
		}
	}
	return c, nil
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// checkGroups says what is wrong with a list of groups.
func checkGroups(groups []GroupConfig) error {
	if len(groups) > MaxGroups {
		return fmt.Errorf("failover: %d groups: %d are possible", len(groups), MaxGroups)
	}
	names, monitored := map[string]bool{}, map[string]bool{}
	for _, g := range groups {
		if g.Name == "" || len(g.Name) > MaxName || names[g.Name] {
			return fmt.Errorf("failover: group %q: name is empty, too long or there twice", g.Name)
		}
		names[g.Name] = true
		if n := len(g.TenantHashes); n != 0 && n != len(g.Tenants) {
			return fmt.Errorf("failover: group %q: %d hashes of %d contexts", g.Name, n, len(g.Tenants))
		}
		for _, name := range g.Monitor {
			if name == "" || len(name) > MaxName {
				return fmt.Errorf("failover: interface %q: name is empty or too long", name)
			}
			monitored[name] = true
		}
	}
	if len(monitored) > MaxInterfaces {
		return fmt.Errorf("failover: %d monitored interfaces: %d are possible", len(monitored), MaxInterfaces)
	}
	return nil
}
