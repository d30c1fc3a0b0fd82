package configs

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
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
//
// The programs of the two nodes may be neighbouring versions: what is zero does
// not count, either. So what a newer program adds to a tenant must be zero where the
// configuration says nothing of it; a default that is not has to be left out by
// plain. Otherwise its nodes are no pair with older ones.
func GroupHash(s *System, group string, key secret.Value) [16]byte {
	return hashOf(s.Group(group), key)
}

// TenantHash is GroupHash of one context alone.
func TenantHash(c Tenant, key secret.Value) [16]byte { return hashOf([]Tenant{c}, key) }

func hashOf(contexts []Tenant, key secret.Value) [16]byte {
	derived, err := hkdf.Key(sha256.New, key.Reveal(), nil, "warren failover configuration 1", sha256.Size)
	if err != nil {
		panic("configs: internal error: " + err.Error())
	}
	mac := hmac.New(sha256.New, derived)
	write := func(text string) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		mac.Write([]byte(text))
	}
	for _, c := range contexts {
		t := *c.Spec
		t.Limits = spec.Limits{}
		write(fmt.Sprint(c.Name, " ", c.Suspended))
		write(string(plain(&t)))
		for _, s := range t.Secrets {
			write(string(s.Reveal()))
		}
		for _, a := range c.Allocations {
			write(a.Interface)
			write(a.Name)
		}
	}
	return [16]byte(mac.Sum(nil)[:16])
}

// plain returns the tenant as JSON without what is zero or empty, without its secrets,
// and without the built-in proposals that an older program does not have.
func plain(t *spec.Tenant) []byte {
	body, err := json.Marshal(t)
	if err != nil {
		panic("configs: internal error: a tenant has no JSON: " + err.Error())
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // an integer stays what it is
	if err = d.Decode(&v); err == nil {
		body, err = json.Marshal(pruned(v))
	}
	if err != nil {
		panic("configs: internal error: the JSON of a tenant: " + err.Error())
	}
	return body
}

// pruned returns v without the fields of its objects that are zero or empty, and
// nil where nothing is left. Other elements of lists stay: their number counts.
func pruned(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for name, field := range x {
			if x[name] = pruned(field); x[name] == nil {
				delete(x, name)
			}
		}
		if len(x) == 0 {
			return nil
		}
	case []any:
		x = slices.DeleteFunc(x, isOlder)
		v = x
		for i := range x {
			x[i] = pruned(x[i])
		}
		if len(x) == 0 {
			return nil
		}
	case string:
		if x == "" {
			return nil
		}
	case bool:
		if !x {
			return nil
		}
	case json.Number:
		if x == "0" {
			return nil
		}
	}
	return v
}

// isOlder reports whether v is one of the proposals for older clients.
func isOlder(v any) bool {
	object, _ := v.(map[string]any)
	return object["Name"] == olderProposalName
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
