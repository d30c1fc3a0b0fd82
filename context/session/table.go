package session

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/pool"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

// user is an identity in a tunnel group. In another group the name may be
// another's.
type user struct{ identity, group string }

// Table is the sessions of one tenant, counted against the limits of its class.
type Table struct {
	tenant   *spec.Tenant
	policies *policy.Set
	pools    *pool.Set

	last         uint64 // ID
	byHandle     map[Handle]*Session
	byUser       map[user][]*Session // in the order in which they were added
	remoteAccess admission
	siteToSite   admission
}

// New returns a Table for t without sessions. habits yields the addresses that came
// back, with the identities for which they are kept (Table.Habits); nil: none.
func New(t *spec.Tenant, habits iter.Seq2[netip.Addr, string]) (*Table, error) {
	x := &Table{
		byHandle:     make(map[Handle]*Session),
		byUser:       make(map[user][]*Session),
		remoteAccess: admission{promised: resource.Sessions, shared: resource.BurstSessions},
		siteToSite:   admission{promised: resource.SiteToSite, shared: resource.BurstSiteToSite},
	}
	if err := x.setTenant(t, habits); err != nil {
		return nil, err
	}
	return x, nil
}

// Configure makes the Table that of another configuration. Sessions stay, with the
// addresses that they have, which Reserve takes out of the new pools; Unfit tells which
// sessions should not stay. On an error nothing has changed.
func (t *Table) Configure(s *spec.Tenant) error { return t.setTenant(s, t.pools.Habits) }

// Reserve takes the addresses of all sessions out of the pools, behind Configure. It is
// for the node that leases addresses: a standby, whose sessions may have ended at its
// twin since, would lose those that the twin keeps for their identities.
func (t *Table) Reserve(out *Output) {
	for _, x := range t.byHandle {
		t.reserve(x, out)
	}
}

func (t *Table) setTenant(s *spec.Tenant, habits iter.Seq2[netip.Addr, string]) error {
	pools, err := NewPools(s, habits)
	if err != nil {
		return err
	}
	t.tenant, t.pools, t.policies = s, pools, policy.NewSet(s)
	t.remoteAccess.limit(s.Limits.Sessions, s.Limits.BurstSessions)
	t.siteToSite.limit(s.Limits.SiteToSite, s.Limits.BurstSiteToSite)
	return nil
}

// NewPools returns the pools of a tenant, with the addresses that came back.
func NewPools(s *spec.Tenant, habits iter.Seq2[netip.Addr, string]) (*pool.Set, error) {
	pools, err := pool.NewSet(s.Pools)
	if err != nil {
		return nil, fmt.Errorf("session: building pools: %w", err)
	}
	if habits != nil {
		for a, identity := range habits {
			pools.Remember(a, identity)
		}
	}
	return pools, nil
}

// SetPools replaces the pools: another node has said what came back to them. It is
// for a Table that leases nothing.
func (t *Table) SetPools(pools *pool.Set) { t.pools = pools }

// Pools returns the pools, for their habits and their usage.
func (t *Table) Pools() *pool.Set { return t.pools }

// Len returns the number of sessions.
func (t *Table) Len() int { return len(t.byHandle) }

// Lookup returns the session that its source calls h; nil: there is none.
func (t *Table) Lookup(h Handle) *Session { return t.byHandle[h] }

// admissionOf returns what a session of this kind counts against.
func (t *Table) admissionOf(remoteAccess bool) *admission {
	if remoteAccess {
		return &t.remoteAccess
	}
	return &t.siteToSite
}

// open returns a session that begins now and is not counted yet: see add.
func (t *Table) open(now time.Time, s Subject) *Session {
	t.last++
	return &Session{
		ID: t.last, Handle: s.Handle, User: s.User, Group: s.Group,
		RemoteAccess: s.RemoteAccess, Since: now, active: now,
	}
}

func (t *Table) add(x *Session) {
	t.remove(x.Handle)
	a := t.admissionOf(x.RemoteAccess)
	a.count(a.total() + 1)
	t.byHandle[x.Handle] = x
	u := user{x.User, x.Group}
	t.byUser[u] = append(t.byUser[u], x)
}

// remove takes a session out, and returns nil where there is none.
func (t *Table) remove(h Handle) *Session {
	x := t.byHandle[h]
	if x == nil {
		return nil
	}
	delete(t.byHandle, h)
	a := t.admissionOf(x.RemoteAccess)
	a.count(a.total() - 1)
	u := user{x.User, x.Group}
	if left := slices.DeleteFunc(t.byUser[u], func(o *Session) bool { return o == x }); len(left) > 0 {
		t.byUser[u] = left
	} else {
		delete(t.byUser, u)
	}
	return x
}

// of returns the sessions of one identity in one tunnel group, the oldest first.
func (t *Table) of(identity, group string) []*Session {
	mine := slices.Clone(t.byUser[user{identity, group}])
	slices.SortStableFunc(mine, func(a, b *Session) int { return a.Since.Compare(b.Since) })
	return mine
}

// Rename gives a session another handle. It returns the session; nil: there is none.
func (t *Table) Rename(from, to Handle) *Session {
	x := t.byHandle[from]
	if x != nil {
		delete(t.byHandle, from)
		x.Handle = to
		t.byHandle[to] = x
	}
	return x
}

// Active notes that a session has traffic.
func (t *Table) Active(now time.Time, h Handle) {
	if x := t.byHandle[h]; x != nil {
		x.active = now
	}
}

// Account adds bytes that a session has carried, of a child SA that is gone. It
// returns the session; nil: there is none.
func (t *Table) Account(h Handle, in, out uint64) *Session {
	x := t.byHandle[h]
	if x != nil {
		x.BytesIn += in
		x.BytesOut += out
	}
	return x
}

// Close takes a session out and gives its addresses back. It returns the session,
// nil where there is none, and those of its addresses that are free now and kept
// for its identity.
func (t *Table) Close(h Handle) (x *Session, free []netip.Addr) {
	if x = t.remove(h); x == nil {
		return nil, nil
	}
	for _, a := range x.Granted.Addresses {
		if t.pools.Release(a, x.ID) {
			free = append(free, a)
		}
	}
	return x, free
}

// reserve takes the addresses of a session out of the pools.
func (t *Table) reserve(x *Session, out *Output) {
	for _, a := range x.Granted.Addresses {
		said := x.Granted.Said
		if said != nil && slices.Contains(said.Addresses, a) && t.pools.LeaseNamed(a, x.holder(), a) {
			continue
		}
		if err := t.pools.Reserve(a, x.holder()); err != nil {
			out.Outside = append(out.Outside, Outside{User: x.User, Address: a})
		}
	}
}

// followedLife is how long two sessions may have one address. A client that logs
// in before it logs out (make before break) ends the earlier one within seconds.
const followedLife = time.Minute

// The reasons for the end of a session.
const (
	reasonIdle     = "idle timeout of the group policy"
	reasonFollowed = "a later login of the same device has taken its address"
	reasonReplaced = "the same user has logged in again, and simultaneous_logins allows no more"
)

// Expire ends sessions that had no traffic for too long, and those whose address a
// later login has had for too long. What was told to end is told again: a rekeying
// may have come between. Early or repeated calls do no harm.
func (t *Table) Expire(now time.Time, out *Output) {
	t.pools.Tick(now)
	first := len(out.End)
	for _, x := range t.byHandle {
		switch {
		case x.ending != "":
			x.end(x.ending, out)
		case x.idle > 0 && now.Sub(x.active) > x.idle:
			x.end(reasonIdle, out)
		case !x.followed.IsZero() && now.Sub(x.followed) > followedLife:
			x.end(reasonFollowed, out)
		}
	}
	slices.SortFunc(out.End[first:], func(a, b Ending) int {
		return cmp.Compare(t.byHandle[a.Handle].ID, t.byHandle[b.Handle].ID)
	})
}

// end has the peer of a session told that it ends.
func (x *Session) end(reason string, out *Output) {
	x.ending = reason
	out.End = append(out.End, Ending{Handle: x.Handle, Reason: reason})
}
