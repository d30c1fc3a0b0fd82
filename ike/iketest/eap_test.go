package iketest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/ike/eap"
	"github.com/warrenvpn/warren/ike/eap/eaptest"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// alice is the one user there is.
func alice(name string) eap.User {
	if eap.WithoutDomain(name) != "alice" {
		return eap.User{Verify: func([]byte) bool { return false }}
	}
	return eap.User{Name: "alice", Password: secret.Copy([]byte("wonderland")), NTHash: eap.NTHash("wonderland"),
		Verify: func(b []byte) bool { return string(b) == "wonderland" }}
}

// logIn makes a gateway that has users and a client that logs in with a password.
func logIn(l *Lab, password string, tune func(g, c *exchange.Config)) (g, c *Node) {
	g, c = l.Pair(func(g, c *exchange.Config) {
		g.Profiles[0].Remote = exchange.EAP{}
		c.Profiles[0].Local = Login{eaptest.Peer{Identity: `CORP\alice`, Password: password, Method: eap.TypeMSCHAPv2}}
		if tune != nil {
			tune(g, c)
		}
	})
	g.Users = alice
	return g, c
}

// quiet is a client that does not connect.
func quiet(_, c *exchange.Config) { c.Entries[0].Initiate = false }

// TestEAP: a user with a password comes in, at a gateway with a key or a certificate; the
// session is the user's, and what the authority says of it comes with the question for it.
func TestEAP(t *testing.T) {
	p := newClosed(pkitest.ECDSA)
	for name, tune := range map[string]func(g, c *exchange.Config){
		"a key": nil,
		"a certificate": func(g, c *exchange.Config) {
			g.Profiles[0].Local, c.Profiles[0].Remote = certificate(t, p.gateway), authorities(t, nil, p.root)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := New(1, Faults{Delay: 5 * time.Millisecond})
			g, c := logIn(l, "wonderland", tune)
			var asked exchange.AskSession
			g.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
				asked = q
				return Grant(q)
			}
			l.Run(900 * time.Millisecond)
			if !Up(g, c) {
				t.Fatalf("not up: %v, %v", turnedAway(g), turnedAway(c))
			}
			if asked.Peer.User != "alice" || asked.Accept != "by alice" || asked.Peer.RemoteID != "client@example" {
				t.Errorf("%+v", asked)
			}
			if s := g.Engine.Status(); len(s) != 1 || s[0].Peer.Name() != "alice" {
				t.Errorf("%+v", s)
			}
			g.Kill()
			if s := g.Engine.Status(); len(s) != 1 || s[0].Peer.User != "alice" {
				t.Errorf("after a kill: %+v", s)
			}
			if err := g.Command(exchange.RekeyIKE{SPI: g.Engine.Status()[0].Peer.SPI}); err != nil {
				t.Error(err)
			}
			l.Run(time.Second)
			for _, s := range g.Engine.Status() {
				if s.Peer.User != "alice" {
					t.Errorf("after a rekeying: %+v", s)
				}
			}
			g.CheckSnapshot()
			noTrouble(t, l)
		})
	}
}

// TestEAPRefused: who is not let in is told so in as many messages, and nothing is left of
// it but the refusal.
func TestEAPRefused(t *testing.T) {
	for _, tt := range []struct{ identity, password, want string }{
		{"alice", "Wonderland", "wrong password of user alice"},
		{"dave", "wonderland", "there is no user dave"},
	} {
		l := New(1, Faults{Delay: 5 * time.Millisecond})
		messages := 0
		l.Spy = func(from *Node, _ exchange.Datagram) { messages++ }
		g, c := logIn(l, "", func(_, c *exchange.Config) {
			c.Profiles[0].Local = Login{eaptest.Peer{Identity: tt.identity, Password: tt.password,
				Method: eap.TypeMSCHAPv2}}
		})
		l.Run(400 * time.Millisecond)
		want := "peer client@example is not let in by EAP (tunnel group staff): " + tt.want
		if got := turnedAway(g); Up(g, c) || !slices.Equal(got, []string{want}) {
			t.Errorf("%q, want %q", got, want)
		}
		if messages != 11 { // five exchanges, and that the client has understood
			t.Errorf("%s: %d messages", tt.identity, messages)
		}
		for _, s := range g.Engine.Status() {
			if !s.Rejected {
				t.Errorf("%+v is left", s)
			}
		}
		noTrouble(t, l)
	}
}

// TestEAPOverABadWire: repeats are answered in every round, and the gateway may be killed,
// or taken over from, before any datagram or after any commit: the client is told at once
// or begins anew, comes up, and no nonce comes twice.
func TestEAPOverABadWire(t *testing.T) {
	for seed := range uint64(60) {
		l := New(seed, Faults{Delay: 5 * time.Millisecond, Jitter: 50 * time.Millisecond, Drop: 0.15, Duplicate: 0.2,
			Corrupt: 0.02})
		g, c := logIn(l, "wonderland", nil)
		n := uint64(0)
		l.Before = func() {
			switch n++; {
			case n%20 != seed%20 || n > 40:
			case seed%3 == 0:
				g.Takeover(g.Epoch+1, 0)
			default:
				g.Kill()
			}
		}
		if !l.Until(5*time.Minute, func() bool { return Up(g, c) }) {
			t.Errorf("seed %d: not up: %v, %v", seed, turnedAway(g), turnedAway(c))
		}
		g.CheckSnapshot()
		for _, x := range l.Trouble {
			t.Errorf("seed %d: %s", seed, x)
		}
	}
}

// TestEAPKilledBetweenAnyTwo: on a good wire a client whose gateway dies at any moment is
// told so with its next message, begins anew, and is up within seconds.
func TestEAPKilledBetweenAnyTwo(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for at := 1; at <= 14; at++ {
			l := New(7, Faults{Delay: 5 * time.Millisecond})
			g, c := logIn(l, "wonderland", nil)
			n := 0
			hit := func() bool { n++; return n == at }
			if crash {
				l.Crash = func(who *Node) bool { return who == g && hit() }
			} else {
				l.Before = func() {
					if hit() {
						g.Kill()
					}
				}
			}
			if !l.Until(12*time.Second, func() bool { return Up(g, c) }) {
				t.Errorf("killed at %d (after a commit: %v): not up: %v, %v", at, crash, turnedAway(g), turnedAway(c))
			}
			noTrouble(t, l)
		}
	}
}

// loginStranger has a stranger ask for EAP.
func loginStranger(t *testing.T, g *Node) (*Stranger, wire.Payloads) {
	t.Helper()
	s := NewStranger(g, strangerAddr)
	if !s.Init() {
		t.Fatal("no IKE_SA_INIT")
	}
	ps := slices.DeleteFunc(s.AuthPayloads(identity.MustParse("phone@example"), "x"), func(p wire.Payload) bool {
		return p.PayloadType() == wire.TypeAuth
	})
	return s, s.Request(wire.IKEAuth, ps...)
}

// TestEAPMethodsWithoutKey: GTC and MD5 have no MSK, so that SK_pi and SK_pr prove both
// ends; a method that the client does not want is refused by it.
func TestEAPMethodsWithoutKey(t *testing.T) {
	for _, m := range []eap.Type{eap.TypeGTC, eap.TypeMD5, eap.TypeMSCHAPv2} {
		l := New(1, Faults{})
		g, _ := logIn(l, "", quiet)
		s, ps := loginStranger(t, g)
		got := s.LogIn(ps, &eaptest.Peer{Identity: "alice", Password: "wonderland", Method: m},
			identity.MustParse("phone@example"))
		if got.Count(wire.TypeSA) != 1 || got.Count(wire.TypeAuth) != 1 || got.Count(wire.TypeIDr) != 0 {
			t.Errorf("%v: %v, %v", m, got, turnedAway(g))
		}
		noTrouble(t, l)
	}
}

// TestClientsLogIn: each model of a shipping client logs in with a name and a password, as it
// calls itself in IKE.
func TestClientsLogIn(t *testing.T) {
	p := newClosed(pkitest.ECDSA)
	for i, c := range Clients() {
		id := "phone@example"
		if strings.HasPrefix(c.Name, "Windows") { // it says its address
			id = strangerAddr.Addr().String()
		}
		l := New(uint64(i), Faults{})
		g, _ := logIn(l, "", func(g, c2 *exchange.Config) {
			quiet(g, c2)
			g.Profiles[0].RemoteIdentities, g.Profiles[0].Local = nil, certificate(t, p.gateway)
			g.Policies, g.Entries[0].Proposals = nil, nil
			for _, p := range c.IKE {
				g.Policies = append(g.Policies, exchange.Policy{Name: "p", Proposal: p})
			}
			for _, p := range c.ESP {
				g.Entries[0].Proposals = append(g.Entries[0].Proposals, exchange.ChildProposal{Name: "p", Proposal: p})
			}
		})
		peer := eaptest.Peer{Identity: "alice", Password: "wonderland", Method: eap.TypeMSCHAPv2}
		if _, err := c.LogIn(NewStranger(g, strangerAddr), identity.MustParse(id), &peer); err != nil {
			t.Errorf("%s: %v; %v", c.Name, err, turnedAway(g))
		}
		if up := g.Established(); len(up) != 1 || up[0].Peer.User != "alice" || up[0].Peer.RemoteID != id {
			t.Errorf("%s: %+v", c.Name, up)
		}
		noTrouble(t, l)
	}
}

// TestHostileEAP: a client that does not keep to the rules is refused, and gets no session.
func TestHostileEAP(t *testing.T) {
	me := wire.EAP{Message: eap.IdentityResponse(1, "alice")}
	request := func(x wire.ExchangeType, ps ...wire.Payload) func(*Stranger) wire.Payloads {
		return func(s *Stranger) wire.Payloads { return s.Request(x, ps...) }
	}
	for name, tt := range map[string]struct {
		does func(*Stranger) wire.Payloads
		want wire.Payload // the answer to the last one; nil: there is none
	}{
		"nothing": {request(wire.IKEAuth), wire.Notify{Type: wire.InvalidSyntax}},
		"AUTH before Success": {request(wire.IKEAuth, wire.Auth{Method: 2, Data: []byte{1}}),
			wire.Notify{Type: wire.InvalidSyntax}},
		"AUTH beside EAP": {request(wire.IKEAuth, me, wire.Auth{Method: 2, Data: []byte{1}}),
			wire.Notify{Type: wire.InvalidSyntax}},
		"two messages": {request(wire.IKEAuth, me, me), wire.Notify{Type: wire.InvalidSyntax}},
		"Success of its own": {request(wire.IKEAuth, wire.EAP{Message: []byte{3, 1, 0, 4}}),
			wire.EAP{Message: []byte{4, 1, 0, 4}}},
		"a child SA": {request(wire.CreateChildSA, wire.Nonce{Data: make([]byte, 32)}), nil},
		"a message of its own length": {request(wire.IKEAuth, wire.EAP{Message: []byte{2, 1, 0, 5}}),
			wire.Notify{Type: wire.InvalidSyntax}},
		"AUTHENTICATION_FAILED": {request(wire.Informational, wire.Notify{Type: wire.AuthenticationFailed}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := New(1, Faults{})
			g, _ := logIn(l, "", quiet)
			s, ps := loginStranger(t, g)
			if ps.Count(wire.TypeEAP) != 1 || ps.Count(wire.TypeAuth) != 1 {
				t.Fatalf("%v", ps)
			}
			var want wire.Payloads
			if tt.want != nil {
				want = wire.Payloads{tt.want}
			}
			if got := tt.does(s); !cmp.Equal(slices.Clone(got), want) && (len(got) != 0 || want != nil) {
				t.Errorf("%v, want %v", got, want)
			}
			for _, e := range g.Events {
				if q, ok := e.(exchange.AskSession); ok {
					t.Errorf("%+v", q)
				}
			}
			noTrouble(t, l)
		})
	}
	t.Run("a wrong key", func(t *testing.T) {
		l := New(1, Faults{})
		g, _ := logIn(l, "", quiet)
		s, ps := loginStranger(t, g)
		other := identity.MustParse("laptop@example")
		got := s.LogIn(ps, &eaptest.Peer{Identity: "alice", Password: "wonderland", Method: eap.TypeMD5}, other)
		if len(got) != 1 || !isError(got[0]) {
			t.Errorf("%v", got)
		}
	})
}

// TestClientGivesUp: what a client says instead of going on is answered, and its SA is gone
// (strongSwan does that with a password that it does not have).
func TestClientGivesUp(t *testing.T) {
	l := New(1, Faults{})
	g, _ := logIn(l, "", quiet)
	s, _ := loginStranger(t, g)
	got := s.Request(wire.Informational, wire.Notify{Type: wire.AuthenticationFailed})
	if got == nil || len(got) != 0 {
		t.Errorf("%v", got)
	}
	if r := turnedAway(g); len(r) != 1 || !strings.Contains(r[0], "gives up") {
		t.Errorf("%q", r)
	}
	noTrouble(t, l)
}

// TestWrongPasswordIsTold: who does not wait for its rejection has tried a password
// nevertheless.
func TestWrongPasswordIsTold(t *testing.T) {
	for name, goOn := range map[string]func(*Stranger){
		"falls silent": func(s *Stranger) { s.to.lab.Run(time.Minute) },
		"gives up": func(s *Stranger) {
			s.Request(wire.Informational, wire.Notify{Type: wire.AuthenticationFailed})
		},
		"waits": func(s *Stranger) {
			s.Request(wire.IKEAuth, wire.EAP{Message: eap.Packet{Code: eap.Response, Identifier: 3,
				Type: eap.TypeMSCHAPv2, Data: []byte{4}}.AppendTo(nil)})
		},
	} {
		l := New(1, Faults{})
		g, _ := logIn(l, "", quiet)
		s, ps := loginStranger(t, g)
		p := eaptest.Peer{Identity: "alice", Password: "guess", Method: eap.TypeMSCHAPv2}
		for range 2 {
			m, _ := wire.Find[wire.EAP](ps)
			answer, _, err := p.Next(m.Message)
			if err != nil {
				t.Fatal(err)
			}
			ps = s.Request(wire.IKEAuth, wire.EAP{Message: answer})
		}
		goOn(s)
		if got := refusedFor(g); len(got) != 1 || !strings.Contains(got[0], "wrong password of user alice") {
			t.Errorf("%s: %q", name, got)
		}
		noTrouble(t, l)
	}
}

// refusedFor is all that a node has told.
func refusedFor(n *Node) (out []string) {
	for _, e := range n.Events {
		if r, ok := e.(exchange.Refused); ok {
			out = append(out, r.Reason)
		}
	}
	return out
}

// TestAuthorityTakesTime: what a client repeats meanwhile is passed over; nobody else waits;
// and where there is no answer in time, the client is told.
func TestAuthorityTakesTime(t *testing.T) {
	l := New(1, Faults{})
	g, _ := logIn(l, "", quiet)
	g.SlowEAP = true
	s, ps := loginStranger(t, g)
	if ps != nil || len(g.Unsaid) != 1 {
		t.Fatalf("%v, %v", ps, g.Unsaid)
	}
	l.Run(10 * time.Second)
	g.SlowEAP = false
	q := g.Unsaid[0]
	var out exchange.Output
	if err := g.Engine.Answer(l.Now, exchange.AnswerEAP{Question: q.Question + 1}, &out); err == nil {
		t.Error("an answer to another question is taken")
	}
	g.Do(func(out *exchange.Output) error { return g.Engine.Answer(l.Now, g.Authority.Answer(q), out) })
	if err := g.Engine.Answer(l.Now, exchange.AnswerEAP{Question: q.Question}, &out); err == nil {
		t.Error("a second answer is taken")
	}
	g.SlowEAP = true
	s.Request(wire.IKEAuth, wire.EAP{Message: eap.IdentityResponse(1, "alice")})
	if len(g.Unsaid) != 2 {
		t.Fatalf("%v", g.Unsaid)
	}
	var told wire.Payloads
	l.Spy = func(from *Node, d exchange.Datagram) {
		if d.Remote == s.Addr {
			told = s.Open(d.Payload)
		}
	}
	l.Run(exchange.DefaultHalfOpenTimeout + time.Second)
	if n, ok := told.Notify(wire.AuthenticationFailed); !ok {
		t.Errorf("the client is told %v (%v)", told, n)
	}
	noTrouble(t, l)
}

// TestEAPOnly: a gateway that may leave out its proof does so for those who ask.
func TestEAPOnly(t *testing.T) {
	for _, tt := range []struct{ allowed, asked, proves bool }{
		{false, false, true}, {false, true, true}, {true, false, true}, {true, true, false},
	} {
		l := New(1, Faults{})
		g, _ := logIn(l, "", func(g, _ *exchange.Config) { g.Profiles[0].Remote = exchange.EAP{Only: tt.allowed} })
		s := NewStranger(g, strangerAddr)
		s.Init()
		id := identity.MustParse("phone@example")
		ps := slices.DeleteFunc(s.AuthPayloads(id, "x"),
			func(p wire.Payload) bool { return p.PayloadType() == wire.TypeAuth })
		if tt.asked {
			ps = append(ps, wire.Notify{Type: wire.EAPOnlyAuthentication})
		}
		answer := s.Request(wire.IKEAuth, ps...)
		if got := answer.Count(wire.TypeAuth) == 1; got != tt.proves || answer.Count(wire.TypeIDr) != 1 {
			t.Errorf("%+v: %v", tt, answer)
		}
		p := eaptest.Peer{Identity: "alice", Password: "wonderland", Method: eap.TypeMSCHAPv2}
		if got := s.LogIn(answer, &p, id); got.Count(wire.TypeSA) != 1 {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// TestContactOfUsers: INITIAL_CONTACT is about sessions of the same user, whatever they call
// themselves in IKE.
func TestContactOfUsers(t *testing.T) {
	l := New(1, Faults{})
	g, _ := logIn(l, "", quiet)
	connect := func(id, password string) {
		t.Helper()
		s := NewStranger(g, strangerAddr)
		s.Init()
		ps := slices.DeleteFunc(s.AuthPayloads(identity.MustParse(id), "x"),
			func(p wire.Payload) bool { return p.PayloadType() == wire.TypeAuth })
		answer := s.Request(wire.IKEAuth, append(ps, wire.Notify{Type: wire.InitialContact})...)
		p := eaptest.Peer{Identity: "alice", Password: password, Method: eap.TypeMSCHAPv2}
		s.LogIn(answer, &p, identity.MustParse(id))
	}
	up := func() (n int) {
		for _, s := range g.Engine.Status() {
			if !s.Established.IsZero() {
				n++
			}
		}
		return n
	}
	connect("phone@example", "wonderland")
	connect("laptop@example", "guess")
	if up() != 1 {
		t.Errorf("%d are up: who does not know the password ends something", up())
	}
	connect("laptop@example", "wonderland")
	if up() != 1 {
		t.Errorf("%d are up: %v", up(), g.Engine.Status())
	}
}
