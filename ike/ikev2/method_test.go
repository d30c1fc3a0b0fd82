package ikev2_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/iketest"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// word is an authentication method of this test, for private use: whoever knows the
// word is let in.
type word string

const methodWord wire.AuthMethod = 201

// Same implements exchange.Credential.
func (w word) Same(o exchange.Credential) bool { return w == o }

// Method implements auth.Verifier.
func (w word) Method() wire.AuthMethod { return methodWord }

// Prove implements auth.Prover.
func (w word) Prove(_ suite.PRF, octets []byte) (wire.Auth, error) {
	sum := sha256.Sum256(append([]byte(w), octets...))
	return wire.Auth{Method: methodWord, Data: sum[:]}, nil
}

// Verify implements auth.Verifier.
func (w word) Verify(prf suite.PRF, octets []byte, proof wire.Auth) error {
	if want, _ := w.Prove(prf, octets); proof.Method != methodWord || !bytes.Equal(want.Data, proof.Data) {
		return auth.ErrFailed
	}
	return nil
}

// quiz is a method in which the peer is asked the letters of a word one by one
// before it proves that it knows all of it.
type quiz struct{ word }

// Same implements exchange.Credential.
func (q quiz) Same(o exchange.Credential) bool { return q == o }

// Challenge implements auth.Challenger.
func (q quiz) Challenge() auth.Challenge { return &asking{word: q.word} }

// Reply implements auth.Challenged.
func (q quiz) Reply() auth.Reply { return &answering{word: q.word} }

// letter is the notification that asks for a letter, and answers with it.
const letter wire.NotifyType = 40961

// asking is one conversation of the side that asks.
type asking struct {
	word
	next int
}

// Next implements auth.Challenge.
func (a *asking) Next(answer wire.Payloads) ([]wire.Payload, error) {
	if n, ok := answer.Notify(letter); answer != nil && (!ok || string(n.Data) != string(a.word[a.next-1:a.next])) {
		return nil, fmt.Errorf("letter %d is wrong", a.next)
	}
	a.next++
	return []wire.Payload{wire.Notify{Type: letter, Data: []byte{byte(a.next)}}}, nil
}

// answering is one conversation of the side that is asked.
type answering struct{ word }

// Next implements auth.Reply.
func (a *answering) Next(ask wire.Payloads) ([]wire.Payload, bool, error) {
	n, ok := ask.Notify(letter)
	if !ok || len(n.Data) != 1 {
		return nil, false, fmt.Errorf("nothing is asked")
	}
	if int(n.Data[0]) > len(a.word) {
		return nil, true, nil
	}
	return []wire.Payload{wire.Notify{Type: letter, Data: []byte(a.word[n.Data[0]-1 : n.Data[0]])}}, false, nil
}

// authenticate has the client prove itself with ours, and the gateway verify that
// with theirs.
func authenticate(l *iketest.Lab, theirs, ours exchange.Credential) (g, c *iketest.Node) {
	return l.Pair(func(g, c *exchange.Config) {
		g.Profiles[0].Remote, c.Profiles[0].Local = theirs, ours
	})
}

// refusals are what the gateway has turned the client away for.
func refusals(n *iketest.Node) []string {
	var out []string
	for _, e := range n.Events {
		if r, ok := e.(exchange.Refused); ok && !slices.Contains(out, r.Reason) {
			out = append(out, r.Reason)
		}
	}
	return out
}

// TestMethodFromOutside adds authentication methods without a change to this
// package, of one round and of several: who knows the word comes up, also where
// messages are lost, and nobody else does.
func TestMethodFromOutside(t *testing.T) {
	for _, tt := range []struct {
		name         string
		theirs, ours exchange.Credential
		messages     int    // of IKE_AUTH, of the client
		want         string // why it is refused; "": it is up
	}{
		{"one round", word("sesame"), word("sesame"), 1, ""},
		{"another word", word("sesame"), word("barley"), 1,
			"wrong authentication method 201 or identity of peer client@example (tunnel group staff)"},
		{"another method", word("sesame"), iketest.ClientConfig().Profiles[0].Local, 1,
			"peer client@example authenticates with shared key; tunnel group staff has authentication method 201"},
		{"several rounds", quiz{"sesame"}, quiz{"sesame"}, 8, ""},
		{"a wrong letter", quiz{"sesame"}, quiz{"sesban"}, 5,
			"peer client@example does not prove its identity (tunnel group staff): letter 4 is wrong"},
		{"several rounds instead of one", word("sesame"), quiz{"sesame"}, 1,
			"peer client@example wants EAP, which tunnel group staff does not have"},
		{"one round instead of several", quiz{"sesame"}, word("sesame"), 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := iketest.New(1, iketest.Faults{Delay: 5 * time.Millisecond})
			sent := map[string]bool{}
			l.Spy = func(from *iketest.Node, d exchange.Datagram) {
				if from.Name == "client" && wire.ExchangeType(d.Payload[18]) == wire.IKEAuth {
					sent[string(d.Payload)] = true
				}
			}
			g, c := authenticate(l, tt.theirs, tt.ours)
			l.Run(900 * time.Millisecond) // one attempt
			if iketest.Up(g, c) != (tt.want == "") || tt.want != "" && !slices.Equal(refusals(g), []string{tt.want}) {
				t.Errorf("up %v, refused for %q; want %q", iketest.Up(g, c), refusals(g), tt.want)
			}
			if len(sent) != tt.messages {
				t.Errorf("%d IKE_AUTH requests, want %d", len(sent), tt.messages)
			}
			for _, x := range l.Trouble {
				t.Error(x)
			}
		})
	}
}

// TestSeveralRoundsOverABadWire: repeats are answered in every round, the gateway
// may be killed between any two datagrams, and no nonce comes twice.
func TestSeveralRoundsOverABadWire(t *testing.T) {
	for seed := range uint64(20) {
		l := iketest.New(seed, iketest.Faults{Delay: 5 * time.Millisecond, Jitter: 50 * time.Millisecond, Drop: 0.2,
			Duplicate: 0.2})
		g, c := authenticate(l, quiz{"sesame"}, quiz{"sesame"})
		n := uint64(0)
		l.Before = func() {
			if n++; n == seed {
				g.Kill()
			}
		}
		if !l.Until(5*time.Minute, func() bool { return iketest.Up(g, c) }) {
			t.Errorf("seed %d: not up: %v", seed, refusals(g))
		}
		g.CheckSnapshot()
		for _, x := range l.Trouble {
			t.Errorf("seed %d: %s", seed, x)
		}
	}
}

// TestRoundsAreBounded: a conversation without an end is given up, by the initiator
// first; the gateway has let nobody in.
func TestRoundsAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name     string
		word     word
		messages int    // of IKE_AUTH, of the client
		want     string // why the client gives up; "": it is up
	}{
		{"the longest that ends", word(bytes.Repeat([]byte("a"), 31)), 33, ""},
		{"one round more", word(bytes.Repeat([]byte("a"), 32)), 33,
			"peer gw.example still asks after 32 rounds (tunnel group gateway)"},
		{"no end", word(bytes.Repeat([]byte("a"), 200)), 33,
			"peer gw.example still asks after 32 rounds (tunnel group gateway)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := iketest.New(1, iketest.Faults{Delay: time.Millisecond})
			sent := map[string]bool{}
			l.Spy = func(from *iketest.Node, d exchange.Datagram) {
				if from.Name == "client" && wire.ExchangeType(d.Payload[18]) == wire.IKEAuth {
					sent[string(d.Payload)] = true
				}
			}
			g, c := authenticate(l, quiz{tt.word}, quiz{tt.word})
			l.Run(900 * time.Millisecond) // one attempt
			if iketest.Up(g, c) != (tt.want == "") || tt.want != "" && !slices.Equal(refusals(c), []string{tt.want}) {
				t.Errorf("up %v, refused for %q; want %q", iketest.Up(g, c), refusals(c), tt.want)
			}
			if len(sent) != tt.messages {
				t.Errorf("%d IKE_AUTH requests, want %d", len(sent), tt.messages)
			}
			for _, x := range l.Trouble {
				t.Error(x)
			}
		})
	}
}
