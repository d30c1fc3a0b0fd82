package pair

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// rekeyed returns the configuration of a unit with other failover keys.
func rekeyed(u *pairUnit, key, previous secret.Value) *configs.System {
	conf, f := *u.conf, *u.conf.Failover
	f.Key, f.PreviousKey = key, previous
	conf.Failover = &f
	return &conf
}

// TestKeyRotation gives a running pair another failover key, on one unit after the
// other. No role changes, the present key is used until both have the new one, and a
// unit that would lose its peer by it refuses the change.
func TestKeyRotation(t *testing.T) {
	a, b := newUnits(t)
	older, newer := a.conf.Failover.Key, secret.Copy([]byte("the next key of the pair"))
	a.boot()
	b.boot()
	formed(a, b)
	var before int
	a.shows("its history", func(st *Status) bool { before = len(st.History); return true })

	if err := a.pair.Refuses(rekeyed(a, newer, secret.Value{})); err == nil {
		t.Error("the key may be changed at once, and the peer does not know it")
	}
	for _, s := range []struct {
		unit          *pairUnit
		key, previous secret.Value
		used          secret.Value
	}{
		{b, newer, older, older},
		{a, newer, older, newer},
		{b, newer, secret.Value{}, newer},
		{a, newer, secret.Value{}, newer},
	} {
		conf := rekeyed(s.unit, s.key, s.previous)
		if err := s.unit.pair.Refuses(conf); err != nil {
			t.Fatal(err)
		}
		s.unit.pair.Configure(conf)
		want := failover.KeyIDOf(s.used)
		for _, u := range []*pairUnit{a, b} {
			u.shows("key "+want.String()+" in use", func(st *Status) bool {
				return st.Keys.Used == want && st.Peer.State == "alive"
			})
		}
		// A new session with the twin, with whatever key is in use.
		b.losesSession()
		formed(a, b)
	}
	a.shows("no change of a role", func(st *Status) bool {
		if len(st.History) != before {
			t.Errorf("history: %+v", st.History)
		}
		return true
	})
	if err := a.pair.Refuses(rekeyed(a, older, newer)); err != nil {
		t.Errorf("back to the key before, beside the present one: %v", err)
	}
	a.kill()
	b.kill()
}

// losesSession ends the session of a standby's worker with its twin, and waits until the unit
// has taken that in, which is in its history: it may be in step again at once.
func (u *pairUnit) losesSession() {
	u.t.Helper()
	cold := func(st *Status) (n int) {
		for _, c := range st.History {
			if c.To == failover.RoleStandbyCold.String() {
				n++
			}
		}
		return n
	}
	before := cold(u.pair.Status(u.t.Context()))
	u.worker.reports <- lostSession
	u.shows("that its copy is not in step", func(st *Status) bool { return cold(st) > before })
}

// TestKeyThatHasGoneEndsCalls: what the peer's supervisor has connected with a key lives
// as long as the key is taken.
func TestKeyThatHasGoneEndsCalls(t *testing.T) {
	a, b := newUnits(t)
	older, newer := a.conf.Failover.Key, secret.Copy([]byte("the next key of the pair"))
	a.boot()
	b.boot()
	formed(a, b)
	call := func() (caller, called net.Conn) {
		t.Helper()
		caller, err := b.pair.peer.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { caller.Close() })
		if called, err = a.pair.Callers().Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { called.Close() })
		return caller, called
	}
	speaks := func(what string, from, to net.Conn) {
		t.Helper()
		if _, err := from.Write([]byte{1}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	before, beforeHere := call()
	for _, u := range []*pairUnit{b, a} {
		u.pair.Configure(rekeyed(u, newer, older))
	}
	b.shows("the new key in use", func(st *Status) bool { return st.Keys.Used == failover.KeyIDOf(newer) })
	after, afterHere := call()
	speaks("while both keys are taken", beforeHere, before)
	for _, u := range []*pairUnit{b, a} {
		u.pair.Configure(rekeyed(u, newer, secret.Value{}))
	}
	if n, err := before.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the key has gone: %d bytes, %v", n, err)
	}
	speaks("the key has stayed", afterHere, after)
	a.kill()
	b.kill()
}
