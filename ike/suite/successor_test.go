package suite

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/sa"
)

// TestSuccessors: a rekeying keeps the PRF, begins with the suite that there is,
// and offers nothing weaker.
func TestSuccessors(t *testing.T) {
	const defaults = "encr:aes-256-gcm encr:aes-128-gcm encr:chacha20-poly1305 prf:sha384 prf:sha256 ke:x25519 " +
		"ke:ecp384 ke:ecp256"
	tests := []struct {
		name     string
		policies []string
		current  string
		want     []string
		from     []int
	}{
		{"the defaults", []string{defaults}, "encr:aes-256-gcm prf:sha384 ke:x25519",
			[]string{"encr:aes-256-gcm prf:sha384 ke:x25519",
				"encr:aes-256-gcm encr:chacha20-poly1305 prf:sha384 ke:x25519 ke:ecp384 ke:ecp256"}, []int{0, 0}},
		{"a weaker one may become stronger", []string{defaults}, "encr:aes-128-gcm prf:sha256 ke:ecp384",
			[]string{"encr:aes-128-gcm prf:sha256 ke:ecp384",
				"encr:aes-256-gcm encr:aes-128-gcm encr:chacha20-poly1305 prf:sha256 ke:ecp384"}, []int{0, 0}},
		{"its policy comes second", []string{"encr:aes-256-gcm prf:sha512 ke:x25519", defaults},
			"encr:aes-256-gcm prf:sha384 ke:ecp384",
			[]string{"encr:aes-256-gcm prf:sha384 ke:ecp384",
				"encr:aes-256-gcm encr:chacha20-poly1305 prf:sha384 ke:ecp384"}, []int{1, 1}},
		{"said once", []string{"encr:aes-256-gcm prf:sha384 ke:x25519"}, "encr:aes-256-gcm prf:sha384 ke:x25519",
			[]string{"encr:aes-256-gcm prf:sha384 ke:x25519"}, []int{0}},
		{"configured away, the PRF is not", []string{"encr:chacha20-poly1305 prf:sha384 ke:ecp384"},
			"encr:aes-256-gcm prf:sha384 ke:x25519",
			[]string{"encr:chacha20-poly1305 prf:sha384 ke:ecp384"}, []int{0}},
		{"configured away with its PRF", []string{"encr:aes-256-gcm prf:sha512 ke:x25519"},
			"encr:aes-256-gcm prf:sha384 ke:x25519", nil, nil},
		{"only weaker ones are left", []string{"encr:aes-128-gcm prf:sha384 ke:x25519"},
			"encr:aes-256-gcm prf:sha384 ke:x25519", nil, nil},
		{"integrity of an AEAD", []string{"encr:aes-256-cbc integ:sha1 integ:sha256 prf:sha256 ke:x25519"},
			"encr:aes-256-gcm prf:sha256 ke:x25519",
			[]string{"encr:aes-256-cbc integ:sha256 prf:sha256 ke:x25519"}, []int{0}},
		{"without integrity only an AEAD",
			[]string{"encr:aes-256-cbc encr:aes-256-gcm integ:sha1 prf:sha256 ke:x25519"},
			"encr:aes-128-cbc integ:sha256 prf:sha256 ke:x25519",
			[]string{"encr:aes-256-gcm prf:sha256 ke:x25519"}, []int{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var policies, want []sa.Proposal
			for _, p := range tt.policies {
				policies = append(policies, proposal(t, p))
			}
			for _, p := range tt.want {
				want = append(want, proposal(t, p))
			}
			got, from := Successors(policies, proposal(t, tt.current))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.from, from); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
			for i, p := range policies {
				if diff := cmp.Diff(proposal(t, tt.policies[i]), p); diff != "" {
					t.Errorf("policy %d was changed:\n%s", i, diff)
				}
			}
		})
	}
}
