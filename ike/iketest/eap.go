package iketest

import (
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/eap"
	"github.com/warrenvpn/warren/ike/eap/eaptest"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// Login is the credential of a client that logs in by EAP, by a method that has an MSK.
type Login struct{ Peer eaptest.Peer }

// Same implements exchange.Credential.
func (l Login) Same(o exchange.Credential) bool {
	p, ok := o.(Login)
	return ok && l.Peer.Identity == p.Peer.Identity && l.Peer.Password == p.Peer.Password
}

// Prove implements auth.Prover: before EAP there is no proof.
func (Login) Prove(suite.PRF, []byte) (wire.Auth, error) { return wire.Auth{}, auth.ErrFailed }

// Reply implements auth.Challenged.
func (l Login) Reply() auth.Reply { return &loginReply{peer: l.Peer} }

// loginReply is one conversation of a Login. It verifies the gateway's last proof, too.
type loginReply struct{ peer eaptest.Peer }

// Next implements auth.Reply.
func (r *loginReply) Next(ask wire.Payloads) ([]wire.Payload, bool, error) {
	m, ok := wire.Find[wire.EAP](ask)
	if !ok {
		return nil, false, auth.ErrFailed
	}
	answer, done, err := r.peer.Next(m.Message)
	if err != nil || done {
		return nil, done, err
	}
	return []wire.Payload{wire.EAP{Message: answer}}, false, nil
}

func (r *loginReply) psk() auth.PSK { return auth.PSK{Key: secret.Copy(r.peer.MSK)} }

// Prove implements auth.Prover.
func (r *loginReply) Prove(prf suite.PRF, octets []byte) (wire.Auth, error) {
	return r.psk().Prove(prf, octets)
}

// VerifyLast implements auth.Mutual.
func (r *loginReply) VerifyLast(prf suite.PRF, octets []byte, proof wire.Auth) error {
	return r.psk().Verify(prf, octets, proof)
}

// Authority answers the EAP messages of one life of a node.
type Authority struct {
	cfg           eap.Config
	conversations map[uint64]*eap.Server
}

// Answer answers q.
func (a *Authority) Answer(q exchange.AskEAP) exchange.AnswerEAP {
	r := exchange.AnswerEAP{Question: q.Question}
	if q.Message == nil {
		a.conversations[q.Peer.SPI] = eap.NewServer(&a.cfg)
		r.Message = eap.IdentityRequest(1)
		return r
	}
	s := a.conversations[q.Peer.SPI].Next(q.Message)
	r.Message, r.MSK, r.User, r.Reason, r.Accept = s.Message, s.MSK, s.User, s.Reason, "by "+s.User
	r.Outcome = map[eap.Outcome]exchange.EAPOutcome{eap.More: exchange.EAPMore, eap.Accepted: exchange.EAPAccepted,
		eap.Rejected: exchange.EAPRejected}[s.Outcome]
	return r
}

// eap has a message answered, now or later.
func (n *Node) eap(q exchange.AskEAP, out *exchange.Output) {
	if n.SlowEAP {
		n.Unsaid = append(n.Unsaid, q)
		return
	}
	if err := n.Engine.Answer(n.lab.Now, n.Authority.Answer(q), out); err != nil {
		n.lab.trouble("%s: EAP: %v", n.Name, err)
	}
}
