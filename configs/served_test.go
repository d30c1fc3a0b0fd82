package configs

import (
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/suite"
)

// TestKeyExchangesAreSupported: whatever a file may name can be done by the
// engine, also what is weak.
func TestKeyExchangesAreSupported(t *testing.T) {
	for _, k := range sa.Transforms(sa.KeyExchange) {
		if _, ok := suite.PublicLen(k.ID); !ok {
			t.Errorf("%s is in the language, and the engine does not know it", k.Name)
		}
	}
}
