package suite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/wire"
)

// proposal reads "encr:aes-256-gcm prf:sha256 ke:x25519" and the like; "none" is
// transform ID 0, "type/id" anything.
func proposal(t *testing.T, text string) sa.Proposal {
	t.Helper()
	kinds := map[string]sa.TransformType{
		"encr": sa.Encryption, "prf": sa.PRF, "integ": sa.Integrity, "ke": sa.KeyExchange,
		"seq": sa.Sequence, "addke": 6,
	}
	var p sa.Proposal
	for _, f := range strings.Fields(text) {
		kind, name, _ := strings.Cut(f, ":")
		k, ok := sa.TransformByName(kinds[kind], name)
		if !ok {
			k.Transform = sa.Transform{Type: kinds[kind]}
			if name == "other" {
				k.ID = 999
			}
		}
		p = append(p, k.Transform)
	}
	return p
}

func TestChoose(t *testing.T) {
	const (
		gcm    = "encr:aes-256-gcm prf:sha256 ke:x25519"
		chacha = "encr:chacha20-poly1305 prf:sha256 ke:x25519"
		cbc    = "encr:aes-256-cbc prf:sha256 integ:sha256 ke:modp2048"
		many   = "encr:aes-128-gcm encr:aes-256-gcm prf:sha512 prf:sha256 ke:modp2048 ke:ecp256 ke:x25519"
	)
	tests := []struct {
		name     string
		policies []string
		offered  []string
		policy   int
		number   uint8
		want     string // empty: nothing is chosen
	}{
		{"the only one", []string{gcm}, []string{gcm}, 0, 1, gcm},
		{"our order of policies", []string{chacha, gcm}, []string{gcm, chacha}, 0, 2, chacha},
		{"our order of transforms",
			[]string{"encr:aes-256-gcm encr:aes-128-gcm prf:sha256 prf:sha512 ke:x25519 ke:modp2048"},
			[]string{many}, 0, 1, gcm},
		{"second policy", []string{gcm, cbc}, []string{cbc}, 1, 1, cbc},
		{"key length differs", []string{gcm}, []string{"encr:aes-128-gcm prf:sha256 ke:x25519"}, 0, 0, ""},
		{"PRF missing", []string{gcm}, []string{"encr:aes-256-gcm ke:x25519"}, 0, 0, ""},
		{"key exchange missing", []string{gcm}, []string{"encr:aes-256-gcm prf:sha256"}, 0, 0, ""},
		{"unknown alternatives beside known ones", []string{gcm},
			[]string{"encr:other encr:aes-256-gcm prf:other prf:sha256 ke:other ke:x25519"}, 0, 1, gcm},
		{"unknown type of transform", []string{gcm}, []string{gcm + " addke:none", gcm}, 0, 2, gcm},
		{"AEAD with integrity none", []string{gcm}, []string{gcm + " integ:none"}, 0, 1, gcm},
		{"AEAD with integrity", []string{gcm}, []string{gcm + " integ:sha256"}, 0, 0, ""},
		{"AEAD with integrity or none", []string{gcm}, []string{gcm + " integ:sha256 integ:none"}, 0, 1, gcm},
		{"CBC without integrity", []string{cbc}, []string{"encr:aes-256-cbc prf:sha256 ke:modp2048"}, 0, 0, ""},
		{"CBC with integrity none", []string{cbc}, []string{"encr:aes-256-cbc prf:sha256 integ:none ke:modp2048"}, 0, 0,
			""},
		{"AEAD and CBC in one", []string{"encr:aes-256-gcm encr:aes-256-cbc prf:sha256 integ:sha256 ke:modp2048"},
			[]string{cbc}, 0, 1, cbc},
		{"sequence type in an IKE proposal", []string{gcm}, []string{gcm + " seq:no-esn"}, 0, 0, ""},
		{"nothing offered", []string{gcm}, nil, 0, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var policies []sa.Proposal
			for _, p := range tt.policies {
				policies = append(policies, proposal(t, p))
			}
			var offered []wire.Proposal
			for i, p := range tt.offered {
				offered = append(offered, wire.Proposal{Number: uint8(i + 1), Protocol: wire.ProtocolIKE,
					Transforms: proposal(t, p)})
			}
			c, ok := Choose(policies, wire.ProtocolIKE, 0, offered)
			if ok != (tt.want != "") {
				t.Fatalf("chose %v %v", c, ok)
			}
			if !ok {
				return
			}
			if diff := cmp.Diff(proposal(t, tt.want), c.Proposal); diff != "" || c.Policy != tt.policy ||
				c.Number != tt.number {
				t.Errorf("policy %d, number %d, (-want +got):\n%s", c.Policy, c.Number, diff)
			}
			if _, err := CheckAnswer(policies[c.Policy:], wire.ProtocolIKE, 0,
				withNumber(c.Answer(nil), 1)); err != nil {
				t.Errorf("our own answer: %v", err)
			}
		})
	}
}

// withNumber renumbers an answer.
func withNumber(p wire.SA, n uint8) wire.SA {
	p.Proposals[0].Number = n
	return p
}

func TestChooseChild(t *testing.T) {
	policy := []sa.Proposal{proposal(t, "encr:aes-256-gcm seq:esn seq:no-esn")}
	extended := []sa.Proposal{proposal(t, "encr:aes-256-gcm seq:esn")}
	plain := []sa.Proposal{proposal(t, "encr:aes-256-gcm")}
	pfs := []sa.Proposal{proposal(t, "encr:aes-256-gcm ke:x25519 seq:no-esn")}
	tests := []struct {
		name         string
		policies     []sa.Proposal
		offered      string
		want, answer string
	}{
		{"ESN", policy, "encr:aes-256-gcm seq:no-esn seq:esn", "encr:aes-256-gcm seq:esn", "encr:aes-256-gcm seq:esn"},
		{"no ESN", policy, "encr:aes-256-gcm seq:no-esn", "encr:aes-256-gcm seq:no-esn", "encr:aes-256-gcm seq:no-esn"},
		{"not said", policy, "encr:aes-256-gcm", "encr:aes-256-gcm seq:no-esn", "encr:aes-256-gcm"},
		{"not said but needed", extended, "encr:aes-256-gcm", "", ""},
		{"policy does not say", plain, "encr:aes-256-gcm seq:esn seq:no-esn", "encr:aes-256-gcm seq:no-esn",
			"encr:aes-256-gcm seq:no-esn"},
		{"key exchange none", policy, "encr:aes-256-gcm ke:none ke:x25519 seq:no-esn", "encr:aes-256-gcm seq:no-esn",
			"encr:aes-256-gcm seq:no-esn"},
		{"key exchange unwanted", policy, "encr:aes-256-gcm ke:x25519 seq:no-esn", "", ""},
		{"key exchange wanted", pfs, "encr:aes-256-gcm ke:ecp256 ke:x25519 seq:no-esn",
			"encr:aes-256-gcm ke:x25519 seq:no-esn", "encr:aes-256-gcm ke:x25519 seq:no-esn"},
		{"PRF in a child proposal", policy, "encr:aes-256-gcm prf:sha256 seq:no-esn", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := wire.Proposal{Number: 3, Protocol: wire.ProtocolESP, SPI: []byte{1, 2, 3, 4},
				Transforms: proposal(t, tt.offered)}
			ah, long := o, o
			ah.Protocol, long.SPI = wire.ProtocolAH, make([]byte, 8)
			c, ok := Choose(tt.policies, wire.ProtocolESP, 4, []wire.Proposal{ah, long, o})
			if ok != (tt.want != "") {
				t.Fatalf("chose %v %v", c, ok)
			}
			if !ok {
				return
			}
			if diff := cmp.Diff(proposal(t, tt.want), c.Proposal); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			want := wire.SA{Proposals: []wire.Proposal{{
				Number: 3, Protocol: wire.ProtocolESP, SPI: []byte{5, 6, 7, 8}, Transforms: proposal(t, tt.answer),
			}}}
			if diff := cmp.Diff(want, c.Answer([]byte{5, 6, 7, 8})); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOddTransform passes over a transform with an attribute that is unknown,
// and takes one without.
func TestOddTransform(t *testing.T) {
	p := proposal(t, "encr:chacha20-poly1305 encr:aes-256-gcm prf:sha256 ke:x25519")
	o := []wire.Proposal{{Number: 1, Protocol: wire.ProtocolIKE, Transforms: p,
		Odd: map[int][]byte{0: {0x80, 0x99, 0, 1}}}}
	c, ok := Choose([]sa.Proposal{p}, wire.ProtocolIKE, 0, o)
	if !ok || c.Proposal.One(sa.Encryption) != p[1] {
		t.Errorf("chose %v %v", c.Proposal, ok)
	}
}

func TestCheckAnswer(t *testing.T) {
	policies := []sa.Proposal{
		proposal(t, "encr:aes-256-gcm encr:aes-128-gcm prf:sha256 ke:x25519"),
		proposal(t, "encr:aes-256-cbc integ:sha256 prf:sha256 ke:x25519"),
	}
	good := "encr:aes-256-cbc integ:sha256 prf:sha256 ke:x25519"
	tests := []struct {
		name   string
		number uint8
		text   string
		ok     bool
	}{
		{"second", 2, good, true},
		{"of the other number", 1, good, false},
		{"number 0", 0, good, false},
		{"number too high", 3, good, false},
		{"not offered", 2, "encr:aes-256-cbc integ:sha512 prf:sha256 ke:x25519", false},
		{"two of a type", 1, "encr:aes-256-gcm encr:aes-128-gcm prf:sha256 ke:x25519", false},
		{"one missing", 2, "encr:aes-256-cbc prf:sha256 ke:x25519", false},
		{"weaker", 1, "encr:des prf:sha256 ke:x25519", false},
	}
	for _, tt := range tests {
		answer := wire.SA{
			Proposals: []wire.Proposal{{Number: tt.number, Protocol: wire.ProtocolIKE,
				Transforms: proposal(t, tt.text)}}}
		c, err := CheckAnswer(policies, wire.ProtocolIKE, 0, answer)
		if (err == nil) != tt.ok || err == nil && c.Policy != int(tt.number)-1 {
			t.Errorf("%s: %v %v", tt.name, c, err)
		}
	}
	if _, err := CheckAnswer(policies, wire.ProtocolIKE, 0, wire.SA{Proposals: make([]wire.Proposal, 2)}); err == nil {
		t.Error("two proposals accepted")
	}
	if got := Offer(policies, wire.ProtocolIKE, nil); len(got.Proposals) != 2 || got.Proposals[1].Number != 2 {
		t.Errorf("offer %v", got)
	}
}

func TestWrongGroup(t *testing.T) {
	x := Choice{Proposal: proposal(t, "encr:aes-256-gcm ke:x25519")}
	none := Choice{Proposal: proposal(t, "encr:aes-256-gcm")}
	tests := []struct {
		name  string
		c     Choice
		group uint16
		have  bool
		wrong bool
	}{
		{"right", x, sa.KEX25519, true, false},
		{"wrong", x, sa.KEModp2048, true, true},
		{"missing", x, 0, false, true},
		{"none and none", none, 0, false, false},
		{"none but sent", none, sa.KEX25519, true, true},
	}
	for _, tt := range tests {
		n, wrong := tt.c.WrongGroup(wire.KE{Group: tt.group}, tt.have)
		if wrong != tt.wrong {
			t.Errorf("%s: %v", tt.name, wrong)
		}
		if tt.name == "wrong" && (n.Type != wire.InvalidKEPayload || string(n.Data) != "\x00\x1f") {
			t.Errorf("%s: %v", tt.name, n)
		}
	}
}

func TestDescribe(t *testing.T) {
	o := make([]wire.Proposal, 64)
	for i := range o {
		o[i].Transforms = make(sa.Proposal, wire.MaxTransforms)
	}
	if got := Describe(o); len(got) > 1000 {
		t.Errorf("%d bytes for the log", len(got))
	}
	o[0].Transforms = proposal(t, "encr:aes-256-gcm prf:sha256 ke:other")
	if got, want := Describe(o[:1]), "aes-256-gcm/sha256/4/999/0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWithoutExchange: what is left is offered as before, odd attributes too.
func TestWithoutExchange(t *testing.T) {
	p := proposal(t, "ke:x25519 encr:aes-256-gcm ke:modp2048 seq:esn seq:no-esn")
	offered := []wire.Proposal{{Number: 7, Protocol: wire.ProtocolESP, SPI: []byte{1, 2, 3, 4}, Transforms: p,
		Odd: map[int][]byte{2: {1}, 3: {2}}}}
	want := []wire.Proposal{{Number: 7, Protocol: wire.ProtocolESP, SPI: []byte{1, 2, 3, 4},
		Transforms: proposal(t, "encr:aes-256-gcm seq:esn seq:no-esn"), Odd: map[int][]byte{1: {2}}}}
	if diff := cmp.Diff(want, WithoutExchange(offered)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(offered[0].Transforms) != 5 || len(offered[0].Odd) != 2 {
		t.Error("the offer was changed")
	}
}
