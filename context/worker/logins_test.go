package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/eap"
	"github.com/warrenvpn/warren/ike/eap/eaptest"
	"github.com/warrenvpn/warren/ike/exchange"
)

// eapTenant is a gateway that lets in alice, whose password is that of the client key.
func eapTenant() *spec.Tenant {
	t := gatewayTenant(4)
	t.Users = []spec.User{{Name: "alice", Password: 2, Attributes: spec.Attributes{GroupPolicy: "staff"}}}
	g := &t.TunnelGroups[0]
	g.AuthenticationServers = spec.LocalUsers
	g.Remote = spec.EAP{QueryIdentity: true, Methods: []spec.EAPMethod{spec.EAPMSCHAPv2}}
	return t
}

// TestLogins: messages of a client go to the authority of its tunnel group, and answers come
// back through the loop; with the last one, and when its IKE SA is gone, the conversation
// is over.
func TestLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox()
		answers := make(chan exchange.AnswerEAP, 1)
		l, err := newLogins(eapTenant(), in, serverWay{},
			func(_ time.Time, _ *ike.Engine, a exchange.AnswerEAP) { answers <- a })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = l.Run(ctx) }()
		ask := func(q exchange.AskEAP) exchange.AnswerEAP {
			a, known := l.ask(time.Now(), nil, q)
			if !known {
				_ = (<-in.calls)(time.Now())
				a = <-answers
			}
			if a.Question != q.Question {
				t.Errorf("%+v", a)
			}
			return a
		}
		p := eaptest.Peer{Identity: "alice", Password: "client key", Method: eap.TypeMSCHAPv2}
		q := exchange.AskEAP{Question: 7, Peer: exchange.Peer{SPI: 9, Profile: "DefaultRAGroup"}}
		a := ask(q)
		for ; a.Outcome == exchange.EAPMore; a = ask(q) {
			q.Question++
			if q.Message, _, err = p.Next(a.Message); err != nil {
				t.Fatal(err)
			}
		}
		said, _ := a.Accept.(spec.Attributes)
		if a.Outcome != exchange.EAPAccepted || a.User != "alice" || a.MSK.Len() != 64 || said.GroupPolicy != "staff" ||
			l.Len() != 0 {
			t.Errorf("%+v", a)
		}
		q.Message = nil
		ask(q)
		q.Message = eap.IdentityResponse(1, "alice")
		if l.note(9, true); l.Len() != 1 {
			t.Errorf("%d conversations", l.Len())
		}
		if l.note(9, false); l.Len() != 0 {
			t.Errorf("%d conversations after the IKE SA", l.Len())
		}
		q.Peer.Profile = "nobody's"
		if a := ask(q); a.Outcome != exchange.EAPRejected {
			t.Errorf("%+v", a)
		}
		// An answer that comes when the loop has ended waits for nobody.
		q.Peer.Profile, q.Message = "DefaultRAGroup", nil
		ask(q)
		q.Message = eap.IdentityResponse(1, "alice")
		l.ask(time.Now(), nil, q)
		close(l.ended)
		cancel()
		<-ended
	})
}

// TestReconfigureKeepsLogins: what another configuration knows of users holds at once, and a
// group that has other authorities now has those.
func TestReconfigureKeepsLogins(t *testing.T) {
	l, err := newLogins(eapTenant(), newInbox(), serverWay{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := l.local
	next := eapTenant()
	next.Users = nil
	if err := l.configure(next); err != nil || l.local != first {
		t.Errorf("%v; the same authority %v", err, l.local == first)
	}
	broken := eapTenant()
	broken.Users[0] = spec.User{Name: "bob", Argon2id: 1}
	if err := l.configure(broken); err == nil || l.tenant != next {
		t.Errorf("%v", err)
	}
}
