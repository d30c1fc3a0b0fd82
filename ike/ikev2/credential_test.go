package ikev2

import (
	"strings"
	"testing"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// useless is a credential that no method of IKEv2 works with.
type useless struct{}

func (useless) Same(exchange.Credential) bool { return true }

// TestCompileRefusesUselessCredentials: a credential that nothing can be proven or
// verified with is an error of the configuration.
func TestCompileRefusesUselessCredentials(t *testing.T) {
	key := exchange.PSK{Key: secret.Copy([]byte("key"))}
	for want, p := range map[string]exchange.Profile{
		"":                 {Local: key, Remote: key},
		"proves nothing":   {Local: useless{}, Remote: key},
		"verifies nothing": {Local: key, Remote: useless{}},
		"of alice@x verifie": {Local: key,
			Remotes: []exchange.IdentityCredential{{Identity: identity.MustParse("alice@x"),
				Credential: useless{}}}},
	} {
		_, err := Compile(&exchange.Config{Profiles: []exchange.Profile{p}})
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}
