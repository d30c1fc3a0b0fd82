package configs

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/secret"
)

// GroupHash is what the two nodes of a pair compare of a failover group: equal
// for equal contexts, secrets included. It is keyed with the failover key, so
// that nobody else can test guesses against it. What depends on the machine,
// such as limits that are a percentage of its memory, does not count.
func GroupHash(s *System, group string) [16]byte {
	var key secret.Value
	if s.Failover != nil {
		key = s.Failover.Key
	}
	derived, err := hkdf.Key(sha256.New, key.Reveal(), nil, "warren failover configuration 1", sha256.Size)
	if err != nil {
		panic("configs: internal error: " + err.Error())
	}
	mac := hmac.New(sha256.New, derived)
	write := func(text string) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		mac.Write([]byte(text))
	}
	for _, c := range s.Group(group) {
		t := *c.Spec
		t.Limits = spec.Limits{}
		write(fmt.Sprint(c.Name, " ", c.Suspended))
		write(Fingerprint(&t, derived))
		for _, a := range c.Allocations {
			write(a.Interface)
			write(a.Name)
		}
	}
	return [16]byte(mac.Sum(nil)[:16])
}

// Group returns the contexts of a failover group in the order of their names.
func (s *System) Group(name string) []Tenant {
	var list []Tenant
	for _, c := range s.Contexts {
		if s.Failover != nil && c.FailoverGroup == name {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Tenant) int { return strings.Compare(a.Name, b.Name) })
	return list
}
