package worker

import (
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/aaa"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// logins takes EAP messages of clients to the authorities of their tunnel groups, which work
// beside the loop, and brings the answers back into it.
type logins struct {
	*aaa.Logins
	tenant *spec.Tenant
	local  *aaa.Local // nil: no tunnel group has asked for it yet
	// servers are the server groups that tunnel groups ask, and way how they are reached.
	servers map[string]*serverGroup
	way     serverWay
	inbox   *inbox
	ended   chan struct{} // closed when the loop takes nothing any more
	// answered takes an answer for an engine, in the loop.
	answered func(now time.Time, e *ike.Engine, a exchange.AnswerEAP)
}

// newLogins returns the logins of a tenant.
func newLogins(
	t *spec.Tenant, in *inbox, way serverWay, answered func(time.Time, *ike.Engine, exchange.AnswerEAP),
) (*logins, error) {
	l := &logins{Logins: aaa.NewLogins(), way: way, inbox: in, ended: make(chan struct{}), answered: answered}
	return l, l.configure(t)
}

// configure makes t what tunnel groups and users are looked up in. An authority that was there
// before stays, so that conversations with it go on.
func (l *logins) configure(t *spec.Tenant) error {
	all := map[string]aaa.Authority{}
	isLocal := func(g spec.TunnelGroup) bool { return g.AuthenticationServers == spec.LocalUsers }
	if slices.ContainsFunc(t.TunnelGroups, isLocal) {
		var err error
		if l.local == nil {
			l.local, err = aaa.NewLocal(t)
		} else {
			err = l.local.Configure(t)
		}
		if err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		all[spec.LocalUsers] = l.local
	}
	l.servers = serverGroups(t, l.servers, l.way)
	for name, g := range l.servers {
		all[name] = g.Servers
	}
	l.tenant = t
	l.Configure(all)
	return nil
}

// ask has an EAP message of a client answered, at once or later.
func (l *logins) ask(now time.Time, e *ike.Engine, q exchange.AskEAP) (a exchange.AnswerEAP, known bool) {
	answer, known := l.Next(now, l.clientOf(q), q.Message, func(a aaa.Answer) {
		err := l.inbox.post(l.ended, func(now time.Time) error {
			l.answered(now, e, l.reply(q, a))
			return nil
		})
		if err != nil {
			a.MSK.Clear()
		}
	})
	if !known {
		return exchange.AnswerEAP{}, false
	}
	return l.reply(q, answer), true
}

// clientOf is who asks q, in the words of an authority.
func (l *logins) clientOf(q exchange.AskEAP) *aaa.Client {
	c := &aaa.Client{ID: q.Peer.SPI, Group: q.Peer.Profile, IKEIdentity: q.Peer.RemoteID, Local: q.Peer.Local,
		Remote: q.Peer.Remote}
	for i := range l.tenant.TunnelGroups {
		if g := &l.tenant.TunnelGroups[i]; g.Name == c.Group {
			c.Servers = g.AuthenticationServers
			c.EAP, _ = g.Remote.(spec.EAP)
		}
	}
	return c
}

// outcomes are those of an authority in the words of the engine.
var outcomes = map[aaa.Outcome]exchange.EAPOutcome{
	aaa.More: exchange.EAPMore, aaa.Accepted: exchange.EAPAccepted, aaa.Rejected: exchange.EAPRejected,
}

// reply is the answer to q in the words of the engine. One that is the last ends the
// conversation.
func (l *logins) reply(q exchange.AskEAP, a aaa.Answer) exchange.AnswerEAP {
	reply := exchange.AnswerEAP{Question: q.Question, Outcome: outcomes[a.Outcome], Message: a.Message,
		MSK: a.MSK, User: a.User, Reason: a.Reason}
	if a.Outcome != aaa.More {
		l.Forget(q.Peer.SPI)
	}
	if a.Outcome == aaa.Accepted {
		reply.Accept = a.Attributes
	}
	return reply
}

// note is told by an engine that an IKE SA of ours with the SPI begins, or is gone.
func (l *logins) note(spi uint64, there bool) {
	l.inbox.note(spi, there)
	if !there {
		l.Forget(spi)
	}
}

// answerEAP gives an engine an answer, for which nobody may wait any more.
func answerEAP(e *ike.Engine, now time.Time, a exchange.AnswerEAP, out *exchange.Output) {
	if e.Answer(now, a, out) != nil {
		a.MSK.Clear()
	}
}
