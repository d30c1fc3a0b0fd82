package suite

import (
	"slices"

	"github.com/warrenvpn/warren/esp/sa"
)

// Successors returns what may take the place of the suite current when its IKE
// SA is rekeyed, in order of preference: current itself, as far as policies
// still have it, and then what each of policies has with the same PRF and
// nothing weaker than current. from holds, for each, the index of its policy.
// Without such a policy both are empty.
//
// The PRF stays because peers disagree about one that changes: RFC 7296 section
// 2.18 makes SKEYSEED with the PRF of the old SA and section 2.14 all keys with
// that of the new one, and widespread peers use the old one for both. Their SA
// would be dead as soon as it is born.
func Successors(policies []sa.Proposal, current sa.Proposal) (kept []sa.Proposal, from []int) {
	for i, p := range policies {
		if contains(p, current) {
			kept, from = append(kept, current), append(from, i)
			break
		}
	}
	for i, p := range policies {
		if p := keep(p, current); p != nil &&
			!slices.ContainsFunc(kept, func(o sa.Proposal) bool { return slices.Equal(o, p) }) {
			kept, from = append(kept, p), append(from, i)
		}
	}
	return kept, from
}

// contains reports whether the policy p could give the suite s.
func contains(p, s sa.Proposal) bool {
	for _, t := range s {
		if !slices.Contains(p, t) {
			return false
		}
	}
	return true
}

// keep returns the policy p without other PRFs than that of current and without
// what is weaker; nil where nothing is left of a type.
func keep(p, current sa.Proposal) sa.Proposal {
	aead := func(t sa.Transform) bool { k, _ := t.Lookup(); return k.AEAD }
	var out sa.Proposal
	for _, t := range p {
		if t.Type == sa.PRF && t != current.One(sa.PRF) || strength(t) < strengthOf(current, t.Type) {
			continue
		}
		out = append(out, t)
	}
	if len(out.OfType(sa.Integrity)) == 0 { // then only an AEAD protects at all
		out = slices.DeleteFunc(out, func(t sa.Transform) bool { return t.Type == sa.Encryption && !aead(t) })
	}
	for _, kind := range []sa.TransformType{sa.Encryption, sa.PRF, sa.KeyExchange} {
		if len(out.OfType(kind)) == 0 {
			return nil
		}
	}
	return out
}

// aeadIntegrity is the strength of the integrity of an AEAD, whose tag has 128
// bits.
const aeadIntegrity = 128

// strengthOf returns the strength of the suite current in one respect.
func strengthOf(current sa.Proposal, kind sa.TransformType) int {
	t := current.One(kind)
	if kind == sa.Integrity && t.ID == sa.IntegNone {
		return aeadIntegrity
	}
	return strength(t)
}

// strength orders the transforms of one type, in bits. Key exchanges have the
// estimates of RFC 3766 and NIST SP 800-57; what is not known has none.
func strength(t sa.Transform) int {
	switch t.Type {
	case sa.Encryption:
		if t.ID == sa.EncrChaCha20Poly1305 {
			return 256
		}
		return max(int(t.KeyBits), map[uint16]int{sa.Encr3DES: 112, sa.EncrDES: 56}[t.ID])
	case sa.Integrity:
		i, _ := integrityOf(t)
		return 8 * i.icvLen
	case sa.KeyExchange:
		return map[uint16]int{
			sa.KEModp768: 64, sa.KEModp1024: 80, sa.KEModp1536: 96, sa.KEModp2048: 112, sa.KEModp3072: 128,
			sa.KEModp4096: 152,
			sa.KEX25519:   128, sa.KEECP256: 128, sa.KEECP384: 192, sa.KEECP521: 256,
		}[t.ID]
	case sa.PRF, sa.Sequence:
	}
	return 0
}
