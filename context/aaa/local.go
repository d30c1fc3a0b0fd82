package aaa

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/eap"
	"github.com/warrenvpn/warren/internal/password"
	"github.com/warrenvpn/warren/internal/secret"
)

// Local is the Authority that knows the users of a configuration (spec.LocalUsers). What
// takes milliseconds is done in a lane of its own, one after the other, so that it takes the
// memory of one: whoever asks for that delays nobody else.
type Local struct {
	known       atomic.Pointer[directory]
	decoy       *password.Hash
	quick, slow lane
}

// directory is what a configuration says of users. It is not changed.
type directory struct {
	name  string // of the gateway, for people
	users map[string]*localUser
}

// localUser is one user, made ready.
type localUser struct {
	eap.User
	spec.Attributes
}

// NewLocal returns the authority that knows the users of t. An error is one of the program:
// who read the configuration has read their hashes.
func NewLocal(t *spec.Tenant) (*Local, error) {
	l := &Local{quick: newLane(), slow: newLane()}
	var err error
	if l.decoy, err = password.NewDecoy(rand.Reader); err != nil {
		return nil, fmt.Errorf("aaa: %w", err)
	}
	return l, l.Configure(t)
}

// Configure takes the users of t in place of those that there were. Conversations go on. On an
// error nothing has changed.
func (l *Local) Configure(t *spec.Tenant) error {
	d := &directory{name: t.Name, users: map[string]*localUser{}}
	for _, u := range t.Users {
		ready := &localUser{eap.User{Name: u.Name, Password: t.Secret(u.Password), NTHash: t.Secret(u.NTHash)},
			u.Attributes}
		var hash *password.Hash
		switch {
		case u.Password != 0:
			ready.NTHash = eap.NTHash(string(ready.Password.Reveal()))
		case u.Argon2id != 0:
			var err error
			if hash, err = password.Parse(string(t.Secret(u.Argon2id).Reveal())); err != nil {
				return fmt.Errorf("aaa: user %s: %w", u.Name, err)
			}
		}
		ready.Verify = l.verifier(hash, ready.NTHash)
		d.users[u.Name] = ready
	}
	l.known.Store(d)
	return nil
}

// verifier verifies a password by its Argon2id hash, or else by its NT hash; empty: none is
// right. Whatever is known of the user, it does the work of an Argon2id hash.
func (l *Local) verifier(hash *password.Hash, nt secret.Value) func([]byte) bool {
	return func(b []byte) bool {
		if hash != nil {
			return hash.Verify(b)
		}
		l.decoy.Verify(b)
		return nt.Len() > 0 && eap.NTHash(string(b)).Equal(nt)
	}
}

// find returns the user called name, or by the name without a domain; nil: there is none.
func (l *Local) find(name string) *localUser {
	users := l.known.Load().users
	if u := users[name]; u != nil {
		return u
	}
	return users[eap.WithoutDomain(name)]
}

// lookup is find for a method of EAP.
func (l *Local) lookup(name string) eap.User {
	if u := l.find(name); u != nil {
		return u.User
	}
	return eap.User{Verify: l.verifier(nil, secret.Value{})}
}

// eapMethods are the types of the methods that a configuration names.
var eapMethods = map[spec.EAPMethod]eap.Type{
	spec.EAPMSCHAPv2: eap.TypeMSCHAPv2, spec.EAPGTC: eap.TypeGTC, spec.EAPMD5: eap.TypeMD5,
}

// Begin implements Authority.
func (l *Local) Begin(r *Request) Conversation {
	cfg := eap.Config{Name: l.known.Load().name, Lookup: l.lookup}
	for _, m := range r.EAP.Methods {
		if t, ok := eapMethods[m]; ok {
			cfg.Methods = append(cfg.Methods, t)
		}
	}
	return &localConversation{local: l, server: eap.NewServer(&cfg)}
}

// Run implements Authority.
func (l *Local) Run(ctx context.Context) error {
	var owned sync.WaitGroup
	defer owned.Wait()
	owned.Go(func() { l.slow.run(ctx) })
	l.quick.run(ctx)
	return context.Cause(ctx)
}

// localConversation is one login. It implements Conversation.
type localConversation struct {
	local  *Local
	server *eap.Server
	gone   atomic.Bool
}

// Next implements Conversation.
func (c *localConversation) Next(_ time.Time, message []byte, done func(Answer)) {
	lane := &c.local.quick
	if p, err := eap.ParsePacket(message); err == nil && p.Type == eap.TypeGTC {
		lane = &c.local.slow
	}
	lane.put(func() {
		if c.gone.Load() {
			return
		}
		answer := c.answer(message)
		if c.gone.Load() {
			answer.MSK.Clear()
			return
		}
		done(answer)
	})
}

// answer says what comes of a message.
func (c *localConversation) answer(message []byte) Answer {
	s := c.server.Next(message)
	a := Answer{Message: s.Message, MSK: s.MSK, User: s.User, Reason: s.Reason}
	switch s.Outcome {
	case eap.More:
	case eap.Rejected:
		a.Outcome = Rejected
	case eap.Accepted:
		a.Outcome = Accepted
		if u := c.local.find(s.User); u != nil {
			a.Attributes = u.Attributes
			break
		}
		a.MSK.Clear()
		return rejected(message, fmt.Sprintf("user %s was removed from the configuration meanwhile", s.User))
	}
	return a
}

// Abandon implements Conversation.
func (c *localConversation) Abandon() { c.gone.Store(true) }

// lane does one thing after the other. What waits is bounded by the conversations, each of
// which has at most one thing in it.
type lane struct {
	wake chan struct{} // has a value while there may be work
	mu   *sync.Mutex
	jobs []func() // guarded by mu
}

func newLane() lane { return lane{wake: make(chan struct{}, 1), mu: new(sync.Mutex)} }

// put has f done.
func (l *lane) put(f func()) {
	l.mu.Lock()
	l.jobs = append(l.jobs, f)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits.
func (l *lane) take() []func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := l.jobs
	l.jobs = nil
	return jobs
}

// run does what is put, until ctx ends.
func (l *lane) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		for _, f := range l.take() {
			if ctx.Err() != nil {
				return
			}
			f()
		}
	}
}
