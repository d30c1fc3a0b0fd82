package sa

import (
	"slices"
	"testing"
)

// TestNamed: a proposal gets the transforms of one type by their names, in their order, and an
// unknown one is an error.
func TestNamed(t *testing.T) {
	p, err := Proposal(nil).Named(Encryption, "aes-256-gcm", "aes-256-cbc")
	if err == nil {
		p, err = p.Named(PRF, "sha384")
	}
	var got []string
	for _, one := range p {
		got = append(got, one.String())
	}
	if want := []string{"aes-256-gcm", "aes-256-cbc", "sha384"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := p.Named(PRF, "aes-256-gcm"); err == nil {
		t.Error("a cipher is a PRF")
	}
}
