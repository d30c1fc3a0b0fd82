package aaa

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/eap"
	"github.com/warrenvpn/warren/ike/eap/eaptest"
	"github.com/warrenvpn/warren/internal/password"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestMain fails where a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tenant has alice with a password, bob with an NT hash and carol with an Argon2id hash.
func tenant(t *testing.T) *spec.Tenant {
	t.Helper()
	h, err := password.New([]byte("christmas"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &spec.Tenant{
		Name:    "acme",
		Secrets: []secret.Value{secret.Copy([]byte("wonderland")), eap.NTHash("builder"), h.Text()},
		Users: []spec.User{{Name: "alice", Password: 1, Attributes: spec.Attributes{GroupPolicy: "staff"}},
			{Name: "bob", NTHash: 2}, {Name: "carol", Argon2id: 3}},
	}
}

// begin returns logins against the users of a tenant, which run until the test ends.
func begin(t *testing.T, authorities map[string]Authority) *Logins {
	t.Helper()
	l := NewLogins()
	l.Configure(authorities)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return l
}

func local(t *testing.T) map[string]Authority {
	t.Helper()
	a, err := NewLocal(tenant(t))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]Authority{spec.LocalUsers: a}
}

// ask has a message answered.
func ask(t *testing.T, l *Logins, c *Client, message []byte) Answer {
	t.Helper()
	later := make(chan Answer, 1)
	answer, known := l.Next(time.Time{}, c, message, func(a Answer) { later <- a })
	if known {
		return answer
	}
	return <-later
}

// logIn has p log in.
func logIn(t *testing.T, l *Logins, c *Client, p *eaptest.Peer) Answer {
	t.Helper()
	var message []byte
	for {
		a := ask(t, l, c, message)
		if a.Outcome != More {
			l.Forget(c.ID)
			return a
		}
		var err error
		if message, _, err = p.Next(a.Message); err != nil {
			t.Fatal(err)
		}
	}
}

var methods = []spec.EAPMethod{spec.EAPMSCHAPv2, spec.EAPGTC, spec.EAPMD5}

func client(query bool) *Client {
	return &Client{ID: 7, Group: "staff", Servers: spec.LocalUsers, IKEIdentity: "alice",
		EAP: spec.EAP{QueryIdentity: query, Methods: methods}}
}

// TestLocal: each user comes in by every method that its password is good for, and with
// what is said of it.
func TestLocal(t *testing.T) {
	l := begin(t, local(t))
	for _, tt := range []struct {
		user, password string
		method         eap.Type
		ok             bool
	}{
		{"alice", "wonderland", eap.TypeMSCHAPv2, true}, {"alice", "wonderland", eap.TypeGTC, true},
		{"alice", "wonderland", eap.TypeMD5, true}, {`CORP\alice`, "wonderland", eap.TypeMSCHAPv2, true},
		{`CORP\alice`, "wonderland", eap.TypeGTC, true},
		{"bob", "builder", eap.TypeMSCHAPv2, true}, {"bob", "builder", eap.TypeGTC, true},
		{"bob", "builder", eap.TypeMD5, false},
		{"carol", "christmas", eap.TypeGTC, true}, {"carol", "christmas", eap.TypeMSCHAPv2, false},
		{"alice", "Wonderland", eap.TypeMSCHAPv2, false}, {"alice", "Wonderland", eap.TypeGTC, false},
		{"carol", "Christmas", eap.TypeGTC, false}, {"dave", "wonderland", eap.TypeGTC, false},
		{"Alice", "wonderland", eap.TypeMSCHAPv2, false},
	} {
		p := &eaptest.Peer{Identity: tt.user, Password: tt.password, Method: tt.method}
		a := logIn(t, l, client(true), p)
		if (a.Outcome == Accepted) != tt.ok || tt.ok && a.User != eap.WithoutDomain(tt.user) ||
			tt.ok == (a.Reason != "") {
			t.Errorf("%+v: %+v", tt, a)
		}
		if a.User == "alice" && a.Attributes.GroupPolicy != "staff" {
			t.Errorf("%+v", a.Attributes)
		}
	}
	if l.Len() != 0 {
		t.Errorf("%d conversations are left", l.Len())
	}
}

// TestIdentityOfIKE: where a client is not asked what it is called, that is its identity in
// IKE.
func TestIdentityOfIKE(t *testing.T) {
	l := begin(t, local(t))
	p := &eaptest.Peer{Identity: "nobody asks", Name: "alice", Password: "wonderland", Method: eap.TypeGTC}
	if a := logIn(t, l, client(false), p); a.User != "alice" {
		t.Errorf("%+v", a)
	}
	if p.Heard[0].Type == eap.TypeIdentity {
		t.Error("it is asked")
	}
}

// TestNoAuthority: a client of a tunnel group whose servers are not there is refused, as is
// one that does not say what it is called.
func TestNoAuthority(t *testing.T) {
	l := begin(t, local(t))
	for name, tt := range map[string]struct {
		servers  string
		messages [][]byte
		want     string
	}{
		"no server": {"ISE", [][]byte{nil, eap.IdentityResponse(1, "alice")},
			"no authentication_server_group ISE"},
		"no conversation":  {spec.LocalUsers, [][]byte{eap.IdentityResponse(1, "alice")}, "is over"},
		"no identity":      {spec.LocalUsers, [][]byte{nil, {2, 1, 0, 5, 3}}, "does not say"},
		"no packet":        {spec.LocalUsers, [][]byte{nil, {9}}, "no EAP packet"},
		"a wrong question": {spec.LocalUsers, [][]byte{nil, eap.IdentityResponse(2, "alice")}, "does not say"},
	} {
		c := client(true)
		c.Servers = tt.servers
		var a Answer
		for _, b := range tt.messages {
			a = ask(t, l, c, b)
		}
		if a.Outcome != Rejected || !strings.Contains(a.Reason, tt.want) {
			t.Errorf("%s: %+v", name, a)
		}
		if p, err := eap.ParsePacket(a.Message); err != nil || p.Code != eap.Failure {
			t.Errorf("%s: the client is told % x", name, a.Message)
		}
		l.Forget(c.ID)
	}
}

// silent is an Authority that says nothing. It tells what becomes of it.
type silent struct{ runs, ends, abandoned chan bool }

func newSilent() *silent {
	return &silent{make(chan bool, 9), make(chan bool, 9), make(chan bool, 9)}
}

func (s *silent) Begin(*Request) Conversation          { return s }
func (s *silent) Next(time.Time, []byte, func(Answer)) {}
func (s *silent) Abandon()                             { s.abandoned <- true }
func (s *silent) Run(ctx context.Context) error {
	s.runs <- true
	<-ctx.Done()
	s.ends <- true
	return ctx.Err()
}

// TestConfigure: an authority runs while the configuration has it; conversations with one that
// goes are over, and those with one that stays go on.
func TestConfigure(t *testing.T) {
	a, b := newSilent(), newSilent()
	l := begin(t, map[string]Authority{"a": a, "b": b})
	<-a.runs
	<-b.runs
	begins := func(id uint64, servers string) {
		c := client(false)
		c.ID, c.Servers = id, servers
		if _, known := l.Next(time.Time{}, c, nil, nil); known {
			t.Error("it is answered at once")
		}
	}
	begins(1, "a")
	begins(2, "b")
	l.Configure(map[string]Authority{"b": b})
	<-a.abandoned
	<-a.ends
	if l.Len() != 1 || len(b.abandoned) != 0 || len(b.ends) != 0 {
		t.Errorf("%d are left", l.Len())
	}
	c := client(false)
	c.ID = 1
	if answer := ask(t, l, c, eap.IdentityResponse(1, "alice")); answer.Outcome != Rejected {
		t.Errorf("%+v", answer)
	}
	l.Forget(2)
	<-b.abandoned
	l.Forget(2)
}

// TestAbandonedIsNotAnswered: who is gone gets no answer, and its key is not left.
func TestAbandonedIsNotAnswered(t *testing.T) {
	a, err := NewLocal(tenant(t))
	if err != nil {
		t.Fatal(err)
	}
	c := a.Begin(&Request{EAP: spec.EAP{Methods: methods}})
	answered := false
	c.Next(time.Time{}, eap.IdentityResponse(1, "alice"), func(Answer) { answered = true })
	c.Abandon()
	for _, f := range a.quick.take() {
		f()
	}
	if answered {
		t.Error("it was answered")
	}
}

// TestUsersChange: a conversation goes on when users change, with what is known of them by
// then; one whose user is gone is refused.
func TestUsersChange(t *testing.T) {
	a, err := NewLocal(tenant(t))
	if err != nil {
		t.Fatal(err)
	}
	l := begin(t, map[string]Authority{spec.LocalUsers: a})
	for _, tt := range []struct {
		change func(*spec.Tenant)
		want   Outcome
	}{
		{func(n *spec.Tenant) { n.Users[1].Name = "bert" }, Accepted},
		{func(n *spec.Tenant) { n.Users[0].Name = "alicia" }, Rejected},
	} {
		p := &eaptest.Peer{Identity: "alice", Password: "wonderland", Method: eap.TypeMSCHAPv2}
		var message []byte
		var answer Answer
		for n := range 4 { // the question, the challenge, Success, and that it was understood
			if n == 3 {
				next := tenant(t)
				tt.change(next)
				if err := a.Configure(next); err != nil {
					t.Fatal(err)
				}
			}
			answer = ask(t, l, client(true), message)
			if message, _, err = p.Next(answer.Message); err != nil && tt.want == Accepted {
				t.Fatal(err)
			}
		}
		if answer.Outcome != tt.want {
			t.Errorf("%+v", answer)
		}
	}
}

func TestNewLocalRefusesWhatIsNoHash(t *testing.T) {
	x := tenant(t)
	x.Users[2].Argon2id = 1
	if _, err := NewLocal(x); err == nil || !strings.Contains(err.Error(), "carol") {
		t.Errorf("%v", err)
	}
}

// BenchmarkUnknownUser shows what an unknown user costs beside a wrong password and one that
// another method would verify: the same.
func BenchmarkUnknownUser(b *testing.B) {
	a, err := NewLocal(&spec.Tenant{Secrets: []secret.Value{secret.Copy([]byte("wonderland"))},
		Users: []spec.User{{Name: "alice", Password: 1}}})
	if err != nil {
		b.Fatal(err)
	}
	for _, method := range []eap.Type{eap.TypeMSCHAPv2, eap.TypeGTC} {
		for _, user := range []string{"alice", "nobody"} {
			b.Run(method.String()+"/"+user, func(b *testing.B) {
				for b.Loop() {
					p := &eaptest.Peer{Identity: user, Password: "guess", Method: method}
					c := a.Begin(&Request{EAP: spec.EAP{Methods: methods}}).(*localConversation)
					answer := Answer{Message: eap.IdentityRequest(1)}
					for answer.Outcome == More {
						message, _, err := p.Next(answer.Message)
						if err != nil {
							b.Fatal(err)
						}
						answer = c.answer(message)
					}
				}
			})
		}
	}
}
