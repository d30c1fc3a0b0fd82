package eap_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/ike/eap"
	"github.com/warrenvpn/warren/ike/eap/eaptest"
	"github.com/warrenvpn/warren/internal/secret"
)

// users are alice, whose password is known, bob, of whom the NT hash is, and carol, of whom
// neither is.
func users(name string) eap.User {
	is := func(want string) func([]byte) bool { return func(b []byte) bool { return string(b) == want } }
	switch name = eap.WithoutDomain(name); name {
	case "alice":
		return eap.User{Name: name, Password: secret.Copy([]byte("wonderland")), NTHash: eap.NTHash("wonderland"),
			Verify: is("wonderland")}
	case "bob":
		return eap.User{Name: name, NTHash: eap.NTHash("builder"), Verify: is("builder")}
	case "carol":
		return eap.User{Name: name, Verify: is("christmas")}
	}
	return eap.User{Verify: is("")}
}

func config(methods ...eap.Type) *eap.Config {
	return &eap.Config{Name: "gw", Methods: methods, Lookup: users, Rand: rand.NewChaCha8([32]byte{1})}
}

// login has p log in, and returns the last step and how many messages the client has sent.
func login(t *testing.T, cfg *eap.Config, p *eaptest.Peer) (eap.Step, int) {
	t.Helper()
	s := eap.NewServer(cfg)
	message := eap.IdentityRequest(9)
	for n := 1; ; n++ {
		response, _, err := p.Next(message)
		if err != nil {
			t.Fatal(err)
		}
		step := s.Next(response)
		if step.Outcome != eap.More {
			return step, n
		}
		message = step.Message
	}
}

// TestLogins: who knows the password comes in, by the method that it wants, and has the key
// of the server; nobody else does.
func TestLogins(t *testing.T) {
	all := []eap.Type{eap.TypeMSCHAPv2, eap.TypeGTC, eap.TypeMD5}
	for _, tt := range []struct {
		name     string
		methods  []eap.Type
		peer     eaptest.Peer
		user     string // "": it is refused
		messages int
		reason   string
	}{
		{"MSCHAPv2", all, eaptest.Peer{Identity: "alice", Password: "wonderland", Method: eap.TypeMSCHAPv2}, "alice",
			3, ""},
		{"an NT hash", all, eaptest.Peer{Identity: "bob", Password: "builder", Method: eap.TypeMSCHAPv2}, "bob", 3, ""},
		{"a domain", all, eaptest.Peer{Identity: `CORP\alice`, Password: "wonderland", Method: eap.TypeMSCHAPv2},
			"alice", 3, ""},
		{"another identity", all, eaptest.Peer{Identity: "anonymous", Name: "alice", Password: "wonderland",
			Method: eap.TypeMSCHAPv2}, "alice", 3, ""},
		{"GTC", all, eaptest.Peer{Identity: "carol", Password: "christmas", Method: eap.TypeGTC}, "carol", 3, ""},
		{"GTC first", all[1:], eaptest.Peer{Identity: "bob", Password: "builder", Method: eap.TypeGTC}, "bob", 2, ""},
		{"MD5", all, eaptest.Peer{Identity: "alice", Password: "wonderland", Method: eap.TypeMD5}, "alice", 3, ""},

		{"a wrong password", all, eaptest.Peer{Identity: "alice", Password: "Wonderland", Method: eap.TypeMSCHAPv2},
			"", 3,
			"wrong password of user alice"},
		{"nobody", all, eaptest.Peer{Identity: "dave", Password: "wonderland", Method: eap.TypeMSCHAPv2}, "", 3,
			"there is no user dave"},
		{"no NT hash", all, eaptest.Peer{Identity: "carol", Password: "christmas", Method: eap.TypeMSCHAPv2}, "", 3,
			"user carol has no password of a form that EAP-MSCHAPv2 can verify"},
		{"a wrong password, GTC", all, eaptest.Peer{Identity: "alice", Password: "x", Method: eap.TypeGTC}, "", 3,
			"wrong password of user alice"},
		{"nobody, GTC", all, eaptest.Peer{Identity: "dave", Password: "x", Method: eap.TypeGTC}, "", 3,
			"there is no user dave"},
		{"no password, GTC", all, eaptest.Peer{Identity: "alice", Method: eap.TypeGTC}, "", 3, "a password of 0 bytes"},
		{"a long password, GTC", all, eaptest.Peer{Identity: "alice", Method: eap.TypeGTC,
			Password: strings.Repeat("a", 300)}, "", 3, "a password of 300 bytes"},
		{"no password, MD5", all, eaptest.Peer{Identity: "bob", Password: "builder", Method: eap.TypeMD5}, "", 3,
			"user bob has no password of a form that EAP-MD5 can verify"},
		{"an empty password, MD5", all, eaptest.Peer{Identity: "dave", Method: eap.TypeMD5}, "", 3,
			"there is no user dave"},
		{"a method that is not offered", all[:2], eaptest.Peer{Identity: "alice", Method: eap.TypeMD5}, "", 2,
			"the client wants [MD5], this gateway offers [MSCHAPv2 GTC]"},
		{"no identity", all, eaptest.Peer{Method: eap.TypeMD5}, "", 1, "does not say what it is called"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			step, n := login(t, config(tt.methods...), &tt.peer)
			if step.User != tt.user || (step.Outcome == eap.Accepted) != (tt.user != "") || n != tt.messages ||
				!strings.Contains(step.Reason, tt.reason) || (step.Reason == "") != (tt.user != "") {
				t.Errorf("after %d messages: %+v", n, step)
			}
			want := eap.Failure
			if tt.user != "" {
				want = eap.Success
			}
			if p, err := eap.ParsePacket(step.Message); err != nil || p.Code != want {
				t.Errorf("the client is told %+v, %v", p, err)
			}
			if tt.user != "" && !bytes.Equal(step.MSK.Reveal(), tt.peer.MSK) || step.MSK.Len() != len(tt.peer.MSK) ||
				tt.user == "" && step.MSK.Len() > 0 {
				t.Errorf("the two have different keys: %x, %x", step.MSK.Reveal(), tt.peer.MSK)
			}
		})
	}
}

// TestNobodyLooksLikeSomebody: what a client without the password is told does not depend
// on whether the user exists, or on what is known of it, message by message.
func TestNobodyLooksLikeSomebody(t *testing.T) {
	for _, m := range []eap.Type{eap.TypeMSCHAPv2, eap.TypeGTC, eap.TypeMD5} {
		var first []eap.Packet
		for _, name := range []string{"alice", "carol", "david"} {
			p := eaptest.Peer{Identity: name, Password: "guess", Method: m}
			login(t, config(m), &p)
			if first == nil {
				first = p.Heard
			}
			if !slices.EqualFunc(first, p.Heard, func(a, b eap.Packet) bool {
				return a.Code == b.Code && a.Type == b.Type && a.Identifier == b.Identifier && bytes.Equal(a.Data,
					b.Data)
			}) {
				t.Errorf("%v: %s hears\n%v, alice\n%v", m, name, p.Heard, first)
			}
		}
	}
}

// TestHostileClients: a client that does not keep to the rules is told Failure, once, and
// has nothing of it.
func TestHostileClients(t *testing.T) {
	response := func(id uint8, t eap.Type, data ...byte) []byte {
		return eap.Packet{Code: eap.Response, Identifier: id, Type: t, Data: data}.AppendTo(nil)
	}
	me := eap.IdentityResponse(9, "alice")
	long := slices.Concat([]byte{2, 10, 0, 59, 49}, make([]byte, 49), []byte("alice"))
	for name, messages := range map[string][][]byte{
		"nothing":                     {nil},
		"a request":                   {eap.IdentityRequest(1)},
		"success":                     {{3, 1, 0, 4}},
		"a method first":              {response(9, eap.TypeMSCHAPv2, 3)},
		"another identifier":          {me, response(9, eap.TypeMSCHAPv2, 3)},
		"another method":              {me, response(10, eap.TypeMD5, 3)},
		"identity again":              {me, response(10, eap.TypeIdentity, 'b')},
		"success before the proof":    {me, response(10, eap.TypeMSCHAPv2, 3)},
		"failure before the proof":    {me, response(10, eap.TypeMSCHAPv2, 4)},
		"empty":                       {me, response(10, eap.TypeMSCHAPv2)},
		"short":                       {me, response(10, eap.TypeMSCHAPv2, long[:53]...)},
		"a wrong length":              {me, response(10, eap.TypeMSCHAPv2, append(long, 'x')...)},
		"another MSCHAPv2 identifier": {me, response(10, eap.TypeMSCHAPv2, append([]byte{2, 11}, long[2:]...)...)},
		"no name": {me, response(10, eap.TypeMSCHAPv2, append([]byte{2, 10, 0, 54},
			long[4:54]...)...)},
		"refusal of everything":       {me, response(10, eap.TypeNak)},
		"refusal for nothing":         {me, response(10, eap.TypeNak, 0)},
		"refusal for what it refuses": {me, response(10, eap.TypeNak, 26)},
		"expanded refusal":            {me, response(10, eap.TypeExpanded, 0, 0, 0, 0, 0, 0, 3)},
		"success after a wrong proof": {me, response(10, eap.TypeMSCHAPv2, long...), response(11, eap.TypeMSCHAPv2,
			3)},
		"a refusal after the proof": {me, response(10, eap.TypeMSCHAPv2, long...), response(11, eap.TypeNak, 6)},
		"another proof": {me, response(10, eap.TypeMSCHAPv2, long...), response(11, eap.TypeMSCHAPv2,
			long...)},
		"a change of the password": {me, response(10, eap.TypeMSCHAPv2, long...), response(11, eap.TypeMSCHAPv2,
			7)},
		"refusal of one after another": {me, response(10, eap.TypeNak, 6), response(11, eap.TypeNak, 26)},
	} {
		t.Run(name, func(t *testing.T) {
			s := eap.NewServer(config(eap.TypeMSCHAPv2, eap.TypeGTC))
			for i, b := range messages {
				step := s.Next(b)
				if last := i == len(messages)-1; last != (step.Outcome == eap.Rejected) ||
					step.Outcome == eap.Accepted ||
					last && (step.Reason == "" || eap.Code(step.Message[0]) != eap.Failure) {
					t.Fatalf("message %d: %+v", i, step)
				}
			}
			if step := s.Next(me); step.Outcome != eap.Rejected {
				t.Errorf("the conversation goes on: %+v", step)
			}
		})
	}
}

// FuzzServer: no client makes a server panic, or is let in without a password.
func FuzzServer(f *testing.F) {
	for _, m := range []eap.Type{eap.TypeMSCHAPv2, eap.TypeGTC, eap.TypeMD5} {
		p := eaptest.Peer{Identity: "alice", Password: "guess", Method: m}
		a, _, _ := p.Next(eap.IdentityRequest(1))
		b, _, _ := p.Next(eap.NewServer(config(eap.TypeMSCHAPv2, eap.TypeGTC, eap.TypeMD5)).Next(a).Message)
		f.Add(a, b, []byte{2, 3, 0, 6, 26, 3}, byte(m))
	}
	f.Fuzz(func(t *testing.T, a, b, c []byte, m byte) {
		s := eap.NewServer(config(eap.Type(m), eap.TypeMSCHAPv2, eap.TypeGTC, eap.TypeMD5))
		for _, message := range [][]byte{a, b, c, c} {
			step := s.Next(message)
			if step.Outcome == eap.Accepted && !bytes.Contains(b, []byte("wonderland")) &&
				!bytes.Contains(c, []byte("wonderland")) && !bytes.Contains(c, []byte("builder")) &&
				!bytes.Contains(b, []byte("builder")) && !bytes.Contains(c, []byte("christmas")) &&
				!bytes.Contains(b, []byte("christmas")) {
				t.Fatalf("%s is let in after %q, %q, %q", step.User, a, b, c)
			}
			if step.Outcome == eap.More {
				continue
			}
			return
		}
	})
}
