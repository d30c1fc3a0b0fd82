package worker

import (
	"maps"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/pool"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/resource"
)

// session is what one responder IKE SA was granted.
type session struct {
	id           uint64 // names it for as long as it lasts; rekeying changes its SPI
	peer         exchange.Peer
	remoteAccess bool
	granted      exchange.Session
	since        time.Time
	idle         time.Duration // ends after so long without traffic; 0: never
	active       time.Time     // when traffic was seen last
	ending       string        // why a DELETE was asked for: it counts as no login any more; "": none was
	followed     time.Time     // when a later login of the same device took its addresses; zero: none did

	bytesIn, bytesOut uint64 // of child SAs that are gone
}

// user is an identity in a tunnel group. In another group the name may be
// another's.
type user struct{ identity, profile string }

func userOf(p exchange.Peer) user { return user{p.RemoteID, p.Profile} }

// sessions are the sessions of the tenant, by our SPI of the IKE SA, counted
// against the limits of its class.
type sessions struct {
	last         uint64 // id
	bySPI        map[uint64]*session
	byUser       map[user][]*session // in the order in which they were added
	remoteAccess admission
	siteToSite   admission
}

func newSessions() *sessions {
	return &sessions{
		bySPI:        make(map[uint64]*session),
		byUser:       make(map[user][]*session),
		remoteAccess: admission{promised: resource.Sessions, shared: resource.BurstSessions},
		siteToSite:   admission{promised: resource.SiteToSite, shared: resource.BurstSiteToSite},
	}
}

// keepSession makes durable what the IKE SA of a session does not say.
func (w *Worker) keepSession(s *session) {
	if !w.twin.speaks() {
		return // what the twin says counts
	}
	w.past[s.peer.SPI] = sessionEntry{spi: s.peer.SPI, since: s.since, bytesIn: s.bytesIn, bytesOut: s.bytesOut}
	w.record(appendSession(nil, w.clock.now(), w.past[s.peer.SPI]))
}

// limit sets the caps; sessions that are there already stay.
func (s *sessions) limit(l spec.Limits) {
	s.remoteAccess.limit(l.Sessions, l.BurstSessions)
	s.siteToSite.limit(l.SiteToSite, l.BurstSiteToSite)
}

// admissionOf returns what a session of this kind counts against.
func (s *sessions) admissionOf(remoteAccess bool) *admission {
	if remoteAccess {
		return &s.remoteAccess
	}
	return &s.siteToSite
}

// open returns a session that begins now and is not counted yet: see add.
func (s *sessions) open(p exchange.Peer, now time.Time) *session {
	s.last++
	return &session{id: s.last, peer: p, since: now, active: now}
}

// holder is what the session is for the pools.
func (x *session) holder() pool.Holder {
	return pool.Holder{Identity: x.peer.RemoteID, Session: x.id}
}

func (s *sessions) add(x *session) {
	s.remove(x.peer.SPI)
	a := s.admissionOf(x.remoteAccess)
	a.count(a.total() + 1)
	s.bySPI[x.peer.SPI] = x
	s.byUser[userOf(x.peer)] = append(s.byUser[userOf(x.peer)], x)
}

// remove takes a session out, and returns nil where there is none.
func (s *sessions) remove(spi uint64) *session {
	x := s.bySPI[spi]
	if x == nil {
		return nil
	}
	delete(s.bySPI, spi)
	a := s.admissionOf(x.remoteAccess)
	a.count(a.total() - 1)
	u := userOf(x.peer)
	if left := slices.DeleteFunc(s.byUser[u], func(o *session) bool { return o == x }); len(left) > 0 {
		s.byUser[u] = left
	} else {
		delete(s.byUser, u)
	}
	return x
}

// rename follows an IKE SA that was rekeyed: it has another SPI now.
func (s *sessions) rename(from uint64, peer exchange.Peer) {
	if x := s.bySPI[from]; x != nil {
		delete(s.bySPI, from)
		x.peer = peer
		s.bySPI[peer.SPI] = x
	}
}

// all returns the sessions in no particular order.
func (s *sessions) all() []*session {
	return slices.Collect(maps.Values(s.bySPI))
}

// of returns the sessions of the same identity in the same tunnel group, the
// oldest first.
func (s *sessions) of(p exchange.Peer) []*session {
	mine := slices.Clone(s.byUser[userOf(p)])
	slices.SortStableFunc(mine, func(a, b *session) int { return a.since.Compare(b.since) })
	return mine
}
