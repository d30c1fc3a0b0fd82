package iketest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/esp/sa"
)

// proposal reads transforms of any types by the names of configuration files. What is the
// name of two is that of a PRF.
func proposal(text string) (out sa.Proposal, err error) {
	kinds := []sa.TransformType{sa.Encryption, sa.PRF, sa.KeyExchange, sa.Sequence}
	for _, name := range strings.Fields(text) {
		i := slices.IndexFunc(kinds, func(k sa.TransformType) bool { _, ok := sa.TransformByName(k, name); return ok })
		if i < 0 {
			return nil, fmt.Errorf("there is no transform %s", name)
		}
		if out, err = out.Named(kinds[i], name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// proposed is a proposal of these transforms. One for ESP has no PRF and no key exchange,
// and short sequence numbers.
func proposed(encryption, integrity, prf, group []string) (p sa.Proposal) {
	rows := []struct {
		kind  sa.TransformType
		names []string
	}{{sa.Encryption, encryption}, {sa.Integrity, integrity}, {sa.PRF, prf}, {sa.KeyExchange, group}}
	if prf == nil {
		rows[2].kind, rows[2].names = sa.Sequence, []string{"no-esn"}
	}
	for _, r := range rows {
		var err error
		if p, err = p.Named(r.kind, r.names...); err != nil {
			panic("iketest: internal error: " + err.Error())
		}
	}
	return p
}
