// Package session is the sessions of one tenant, whatever made them: who has one,
// what it was granted, against which limit of the class it counts, when it ends by
// itself, and what it has carried. IKE is one source of sessions. A source asks
// (Table.Decide), tells what has become of a session (Rename, Active, Account, Close), and does
// what comes back in an Output: it tells peers that their session ends, makes
// claims of the supervisor, and gives answers to those who asked.
//
// Limits are those of the class and of the group policy: the sessions that a class
// promises, those that all contexts share, simultaneous logins of one identity.
// Addresses come from the tenant's pools (package pool), attributes from its group
// policies (package policy).
//
// The package does no I/O and reads no clock; time is an argument. A Table is not
// safe for concurrent use.
package session

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/pool"
	"github.com/warrenvpn/warren/context/spec"
)

// Handle is what a source calls a session. A source may give a session another
// one (Table.Rename): rekeying changes the SPI of an IKE SA.
type Handle struct {
	Protocol spec.Protocol // the source
	Number   uint64        // spec.IKEv2: our SPI of the IKE SA
}

// Subject is who asks for a session, and for what. The source has proven the
// identity; nobody has checked the wishes.
type Subject struct {
	Handle   Handle
	Question uint64 // the source's, which the answer names

	Said   *spec.Attributes // what an authentication server says of the user; nil: nothing
	User   string           // the identity; another tunnel group may have another user of this name
	Group  string           // the tunnel group
	Public netip.AddrPort   // where the peer is, for the log
	Local  netip.Addr       // where it has come in; invalid: it is not known

	// RemoteAccess: the peer is a client that is given addresses. Other peers are
	// counted, and get nothing.
	RemoteAccess bool
	// WantIPv4 and WantIPv6 say of which families the client asks for an address;
	// WantedIPv4 and WantedIPv6 for which one. Invalid: any.
	WantIPv4, WantIPv6     bool
	WantedIPv4, WantedIPv6 netip.Addr
	// Replaces are sessions of the same device that the source ends when this one
	// is granted (INITIAL_CONTACT, RFC 7296 section 2.4).
	Replaces []Handle
}

// Grant is what a session gets. That of a peer without remote access is empty.
type Grant struct {
	GroupPolicy string
	Addresses   []netip.Addr
	Mask        int // length of the netmask that is told with the IPv4 address; 0: none is
	DNS         []netip.Addr
	WINS        []netip.Addr
	Domain      string
	SplitDNS    []string       // domains for DNS; empty: all
	Split       []netip.Prefix // networks that the client may reach; empty: all
	Banner      string
	Expires     time.Time // zero: never
	// Said is what an authentication server has said of the user; nil: nothing.
	Said *spec.Attributes
}

// Session is one session. Others than this package read it only.
type Session struct {
	ID           uint64 // names it for as long as it lasts, in this Table
	Handle       Handle
	User, Group  string
	RemoteAccess bool
	Granted      Grant
	Since        time.Time
	// BytesIn and BytesOut are of child SAs that are gone.
	BytesIn, BytesOut uint64

	idle     time.Duration // ends after so long without traffic; 0: never
	active   time.Time     // when traffic was seen last
	ending   string        // why it was told to end: it counts as no login any more; "": it was not
	followed time.Time     // when a later login of the same device took its addresses; zero: none did
}

// holder is what the session is for the pools.
func (x *Session) holder() pool.Holder {
	return pool.Holder{Identity: x.User, Group: x.Group, Session: x.ID}
}

// has reports whether the session was given the address a.
func (x *Session) has(a netip.Addr) bool {
	for _, own := range x.Granted.Addresses {
		if a.IsValid() && own == a {
			return true
		}
	}
	return false
}

// Output is what the source of sessions has to do, in this order: tell the peers in
// End that their session ends, make the Claims, then give the Answers. Outside
// and Missed are for the log.
type Output struct {
	End     []Ending
	Claims  []Claim
	Answers []Answer
	Outside []Outside
	Missed  []Missed
}

// Missed is a client that has its session without an address of a family that it has asked
// for: all are leased, or no pool has any.
type Missed struct {
	Subject Subject
	Family  pool.Family
	Pools   []string
}

// Ending is a session whose peer is told that it ends. The session stays in the
// Table until its source closes it.
type Ending struct {
	Handle Handle
	Reason string
}

// Claim asks the supervisor for a share of what all contexts have together. There is
// one claim for a resource at a time.
type Claim struct {
	Resource string
	Held     int64 // sessions that there are beyond those that the class promises
	More     int64 // sessions that wait for the answer
}

// Outside is a session that holds an address which is in no pool, or somebody
// else's.
type Outside struct {
	User    string
	Address netip.Addr
}

// Answer is what becomes of a Subject that asked. Refused is nil where it has the
// session, with what was granted. A client that asks for no address gets an Answer
// and no session.
type Answer struct {
	Subject Subject
	Granted Grant
	Refused *Refusal
}

// Cause is why somebody gets no session.
type Cause uint8

// The causes.
const (
	CauseProtocol Cause = iota + 1 // the group policy does not allow the protocol, or there is no such group
	CauseNoLogins                  // simultaneous_logins is 0
	CauseMemory                    // the tenant has no memory for another one
	CauseLogins                    // the identity has all that simultaneous_logins allows, and they stay
	CauseClass                     // the limit of the class
	CauseShared                    // nothing is left of what the contexts share
	CauseAddress                   // no address is free
	CauseHours                     // it is not within the access hours
	CauseLock                      // the policy, or the user, is for another tunnel group
	CauseExpired                   // the user may log in no longer
)

// Reason says to an operator why there is no session; "": there is one.
func (a *Answer) Reason() string {
	if a.Refused == nil {
		return ""
	}
	switch a.Refused.Cause {
	case CauseProtocol:
		return "the group policy does not allow " + string(a.Subject.Handle.Protocol)
	case CauseNoLogins:
		return "nobody may log in: simultaneous_logins of the group policy, or of the user, is 0"
	case CauseMemory:
		return "the memory of the journal is used up"
	case CauseLogins:
		return "the identity has as many sessions as simultaneous_logins allows, and unique keeps them"
	case CauseClass:
		return "the limit of the context's class is reached"
	case CauseShared:
		return "nothing is left of what the contexts share"
	case CauseAddress:
		return "no address is free"
	case CauseHours:
		return "it is not within access_hours of the group policy"
	case CauseLock:
		return "group_lock of the group policy, or of the user, names another tunnel group"
	case CauseExpired:
		return "the user has expired"
	}
	return "unknown cause"
}

// Refusal says why there is no session, and what it was about: the fields that do
// not concern the Cause are empty.
type Refusal struct {
	Cause       Cause
	GroupPolicy string   // CauseProtocol, CauseNoLogins, CauseLogins, CauseHours, CauseLock
	Resource    string   // CauseClass, CauseShared: what is limited
	Limit       int64    // CauseLogins, CauseClass, CauseShared
	Pools       []string // CauseAddress
	Err         error    // CauseAddress: of package pool
}
