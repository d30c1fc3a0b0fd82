package identity

import "math"

// The ranks of the patterns that name no part of an identity and all of it.
const (
	rankEverybody = 0
	rankExact     = math.MaxInt
)

// Rank says how much of an identity the pattern names: where several profiles
// accept an identity, the one with the higher rank is for it. An exact identity
// is before a longer pattern, that before a shorter one, and "*", of rank 0, is
// last. The zero Pattern, which matches nobody, is below all.
func (p Pattern) Rank() int {
	switch {
	case p.any:
		return rankEverybody
	case p.dn != nil:
		return 1 + p.dn.fixed
	case p.kind != 0:
		return len(p.suffix)
	case p.exact.IsZero():
		return -1
	}
	return rankExact
}

// Everybody reports whether the pattern is "*": it says nothing about who the
// peer is.
func (p Pattern) Everybody() bool { return p.any }

// Identity returns the one identity that the pattern accepts, and false where it
// accepts others, too.
func (p Pattern) Identity() (Identity, bool) { return p.exact, p.Rank() == rankExact }

// Ambiguous reports whether some identity is accepted by both patterns with the
// same rank, so that nothing says which of them it is for. It is symmetric.
func (p Pattern) Ambiguous(o Pattern) bool {
	if p.Rank() != o.Rank() || p.Rank() < 0 {
		return false
	}
	switch {
	case p.any:
		return true
	case p.dn != nil:
		return o.dn != nil && p.dn.overlaps(o.dn)
	case p.kind != 0:
		return p.kind == o.kind && p.suffix == o.suffix
	}
	return p.exact.Equal(o.exact)
}
