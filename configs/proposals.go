package configs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/resource"
)

// kinds names the transform types as the language does.
var kinds = map[sa.TransformType]string{
	sa.Encryption: "encryption", sa.Integrity: "integrity", sa.PRF: "prf", sa.KeyExchange: "group", sa.Sequence: "esn",
}

// readPolicies reads the proposals for IKE SAs, in the order of their
// priorities.
func (t *tenantReader) readPolicies() {
	nodes := slices.Clone(t.each("ikev2_policy"))
	nodes = slices.DeleteFunc(nodes, func(n *node) bool {
		_, ok := priority(n.label.text)
		if !ok {
			n.problem(n.label.at, "Unusable priority",
				"%q is no priority: the label of ikev2_policy is a number from 1 to 65535.", n.label.text)
		}
		return !ok
	})
	slices.SortStableFunc(nodes, func(a, b *node) int {
		pa, _ := priority(a.label.text)
		pb, _ := priority(b.label.text)
		return pa - pb
	})
	for _, n := range nodes {
		p := n.cipher(sa.Proposal{})
		p = n.transforms(p, sa.PRF)
		p = n.transforms(p, sa.KeyExchange)
		t.t.IKEPolicies = append(t.t.IKEPolicies, spec.IKEPolicy{
			Name: n.label.text, Proposal: p,
			Lifetime: n.duration("lifetime"),
		})
	}
	if len(t.each("ikev2_policy")) == 0 {
		t.t.IKEPolicies = builtInPolicies()
	}
}

func priority(text string) (int, bool) {
	p, err := strconv.Atoi(text)
	return p, err == nil && p >= 1 && p <= 65535 && strconv.Itoa(p) == text
}

// builtInPolicies are used where a context has no ikev2_policy.
func builtInPolicies() (list []spec.IKEPolicy) {
	for _, b := range builtIn {
		p := named(nil, sa.Encryption, b.encryption)
		p = named(p, sa.Integrity, b.integrity)
		p = named(p, sa.PRF, b.prf)
		p = named(p, sa.KeyExchange, b.keyExchange)
		list = append(list, spec.IKEPolicy{Name: b.name, Proposal: p, Lifetime: ikeLifetime.def})
	}
	return list
}

// builtInProposals are used where a crypto map entry names no ipsec_proposal and
// the context has none.
func builtInProposals() (list []spec.IPsecProposal) {
	for _, b := range builtIn {
		p := named(nil, sa.Encryption, b.encryption)
		p = named(p, sa.Integrity, b.integrity)
		p = named(p, sa.Sequence, defaultSequence)
		list = append(list, spec.IPsecProposal{Name: b.name, Proposal: p, Lifetime: ipsecLifetime.def})
	}
	return list
}

// named appends the transforms with the names, which are known.
func named(p sa.Proposal, kind sa.TransformType, names []string) sa.Proposal {
	p, err := p.Named(kind, names...)
	if err != nil {
		panic("configs: internal error: " + err.Error())
	}
	return p
}

// readProposals reads the proposals for child SAs.
func (t *tenantReader) readProposals() {
	for _, n := range t.each("ipsec_proposal") {
		if !n.checkLabel() {
			continue
		}
		p := n.cipher(sa.Proposal{})
		t.proposals[n.label.text] = spec.IPsecProposal{
			Name:          n.label.text,
			Proposal:      n.transforms(p, sa.Sequence),
			Lifetime:      n.duration("lifetime"),
			LifetimeBytes: n.volume("lifetime_bytes"),
		}
	}
}

// volume returns an attribute that is an amount of traffic; 0 is no limit.
func (n *node) volume(name string) uint64 {
	v, ok := n.get(name)
	if !ok {
		return 0
	}
	size, ok := amountOf(v, resource.Bytes)
	if !ok || size != 0 && size < minBytes {
		n.problem(v.at, "Volume out of range", `%s is a size of 1 MiB or more, such as "4GiB", or 0: no limit.`, name)
		return 0
	}
	return uint64(size)
}

// cipher appends encryption and integrity. AEADs have no integrity algorithm,
// other ciphers need one, and a proposal has ciphers of one sort (RFC 7296
// section 3.3, RFC 5282 section 8).
func (n *node) cipher(p sa.Proposal) sa.Proposal {
	p = n.transforms(p, sa.Encryption)
	var aead, plain []string
	for _, tr := range p.OfType(sa.Encryption) {
		if k, _ := tr.Lookup(); k.AEAD {
			aead = append(aead, k.Name)
		} else {
			plain = append(plain, k.Name)
		}
	}
	encryption := n.where("encryption")
	switch {
	case len(aead) > 0 && len(plain) > 0:
		n.problem(encryption, "Ciphers of two sorts",
			"%s brings its own integrity and %s does not; make two blocks, one for each sort.",
			strings.Join(aead, ", "), strings.Join(plain, ", "))
	case len(aead) > 0 && n.written("integrity"):
		n.problem(n.where("integrity"), "Integrity with an AEAD",
			"%s (%s) brings its own integrity; remove integrity, or choose a CBC cipher.", strings.Join(aead, ", "),
			place(encryption))
	case len(plain) > 0 && !n.written("integrity"):
		n.problem(encryption, "Cipher without integrity",
			`%s needs an integrity algorithm; add, for example, integrity = ["sha256"], or choose aes-256-gcm.`,
			strings.Join(plain, ", "))
	case n.written("integrity"): // also where no cipher is any good: all problems at once
		p = n.transforms(p, sa.Integrity)
	}
	return p
}

// transforms appends the transforms that the attribute for the type names, or
// the defaults. A weak one needs allow_weak beside it.
func (n *node) transforms(p sa.Proposal, kind sa.TransformType) sa.Proposal {
	name := kinds[kind]
	allowWeak := n.boolean("allow_weak")
	items := n.list(name)
	if len(items) == 0 && n.written(name) {
		n.problem(n.where(name), "Empty list", "%s needs at least one algorithm; remove it for the default.", name)
	}
	for _, it := range items {
		k, ok := sa.TransformByName(kind, it.text)
		switch {
		case !ok:
			n.problem(it.at, "Unknown algorithm", "%q is no algorithm for %s.%s", it.text, name,
				suggestAlgorithm(it.text, kind))
			continue
		case k.Weak && !allowWeak:
			n.problem(it.at, "Weak algorithm",
				"%s is broken or too short. Use %s; or, for a peer that has nothing else, set allow_weak = true in %s.",
				k.Name, strings.Join(offered(kind)[:1], ""), n)
			continue
		case k.Weak:
			n.warnWeak(it.at, k.Name, name)
		}
		p = append(p, k.Transform)
	}
	return p
}

func (n *node) warnWeak(at hcl.Range, algorithm, name string) {
	n.warning(at, "Weak algorithm",
		"%s is allowed for %s in %s. What it protects can be read or forged by an able attacker.", algorithm, name, n)
}

// suggestAlgorithm is suggest for what other products call an algorithm: its number
// ("14", "dh14", "group14"), or its name with other hyphens ("aes256", "sha2-256").
func suggestAlgorithm(text string, kind sa.TransformType) string {
	plain := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(text))
	for _, prefix := range []string{"esp", "prf", "hmac", "dh", "group"} {
		plain = strings.TrimPrefix(plain, prefix)
	}
	if bits, ok := strings.CutPrefix(plain, "sha2"); ok && len(bits) == 3 { // sha2-256
		plain = "sha" + bits
	}
	number, err := strconv.ParseUint(plain, 10, 16)
	var near []string
	for _, k := range sa.Transforms(kind) {
		name := strings.ReplaceAll(k.Name, "-", "")
		if err == nil && kind == sa.KeyExchange && uint64(k.ID) == number || err != nil && plain != "" &&
			(strings.HasPrefix(name, plain) || strings.HasPrefix(plain, name)) {
			near = append(near, strconv.Quote(k.Name))
		}
	}
	if near == nil {
		return suggest(text, offered(kind))
	}
	return " Did you mean " + strings.Join(near, " or ") + "?"
}

// offered returns the names of the algorithms of a type that are not weak.
func offered(kind sa.TransformType) []string {
	var out []string
	for _, k := range sa.Transforms(kind) {
		if !k.Weak {
			out = append(out, k.Name)
		}
	}
	return out
}
