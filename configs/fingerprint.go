package configs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"

	"github.com/warrenvpn/warren/context/spec"
)

// Fingerprint returns a text that is the same for equal tenants and differs
// for others, secrets included. key is secret and random: without it nobody
// can test guesses of a secret against a fingerprint. Fingerprints under
// different keys cannot be compared.
func Fingerprint(t *spec.Tenant, key []byte) string {
	body, err := json.Marshal(t)
	if err != nil {
		panic("configs: internal error: a tenant has no JSON: " + err.Error())
	}
	mac := hmac.New(sha256.New, key)
	write := func(b []byte) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		mac.Write(b)
	}
	write(body)
	for _, s := range t.Secrets {
		write(s.Reveal())
	}
	return hex.EncodeToString(mac.Sum(nil))
}
