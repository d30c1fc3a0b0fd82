package failover

import (
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/warrenvpn/warren/internal/secret"
)

// TenantKey derives the key that the two workers of a context authenticate each
// other with. Workers get nothing else of the failover key.
func TenantKey(key secret.Value, context string) secret.Value {
	k, err := hkdf.Key(sha256.New, key.Reveal(), nil, "warren failover context 1 "+context, sha256.Size)
	if err != nil {
		panic("failover: internal error: " + err.Error())
	}
	return secret.New(k)
}
