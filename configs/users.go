package configs

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/password"
	"github.com/warrenvpn/warren/internal/secret"
)

// readUsers reads the users of a context. The addresses that are theirs alone become pools
// of one address each.
func (t *tenantReader) readUsers() {
	own := map[netip.Addr]item{} // dedicated addresses, and whose they are
	for _, n := range t.each("user") {
		if !n.checkLabel() {
			continue
		}
		u := spec.User{Name: n.label.text, Expires: n.day("expires")}
		t.refuseNoPassword(n)
		t.readPassword(n, &u)
		t.checkPrivilege(n)
		if it, ok := n.textItem("group_policy"); ok {
			if u.GroupPolicy = it.text; it.text != defaultGroupPolicy && t.groupPolicies[it.text] == nil {
				n.problem(it.at, "Unknown group policy", "There is no group_policy %q.%s", it.text,
					suggest(it.text, names(t.groupPolicies)))
			}
		}
		if n.written("simultaneous_logins") {
			logins := n.logins("simultaneous_logins")
			u.SimultaneousLogins = &logins
		}
		if n.written("group_lock") {
			u.GroupLock = t.groupLock(n)
		}
		u.Addresses = t.dedicated(n, own)
		t.t.Users = append(t.t.Users, u)
	}
}

// refuseNoPassword tells why there is no user without a password.
func (t *tenantReader) refuseNoPassword(n *node) {
	if n.written("nopassword") {
		n.problem(n.where("nopassword"), "User without a password",
			"Whoever knows the name of %s could log in. Who proves who it is by a certificate or a key of its own "+
				"needs no password either way: write neither; else write password = { file = ... } with what "+
				"`warren passwd` makes.", n)
	}
}

// The notations of passwords that nobody learns back: that of the PHC, and that of crypt(3)
// for NT hashes.
const (
	argon2idPrefix = "$argon2id$"
	ntHashPrefix   = "$3$$"
)

// readPassword reads the password of a user, or what `warren passwd` makes of it. Without
// one the entry is for somebody whom another proof lets in.
func (t *tenantReader) readPassword(n *node, u *spec.User) {
	v, ok := n.get("password")
	if !ok {
		return
	}
	text, ok := n.secret(v, t.origin, bounds{1, maxPassword, shortPassword})
	if !ok {
		return
	}
	switch written := string(text.Reveal()); {
	case strings.HasPrefix(written, argon2idPrefix):
		if _, err := password.Parse(written); err != nil {
			n.problem(v.at, "Unusable hash", "This is %s: write what `warren passwd` makes.", trimPackage(err))
			return
		}
		u.Argon2id = t.keep(text)
	case strings.HasPrefix(written, ntHashPrefix):
		hash, err := hex.DecodeString(strings.TrimPrefix(written, ntHashPrefix))
		if err != nil || len(hash) != 16 {
			n.problem(v.at, "Unusable hash",
				"An NT hash is %s and 32 hexadecimal digits, as `warren passwd --form nt` makes it.", ntHashPrefix)
			return
		}
		u.NTHash = t.keep(secret.New(hash))
	case strings.HasPrefix(written, "$"):
		n.problem(v.at, "Unknown hash",
			"A password that begins with $ is taken for a hash: write what `warren passwd` makes, or choose another "+
				"one.")
	default:
		u.Password = t.keep(text)
	}
}

// checkPrivilege tells of a privilege that nothing acts upon.
func (t *tenantReader) checkPrivilege(n *node) {
	if level := n.number("privilege"); level > 2 {
		n.problem(n.where("privilege"), "Privilege without effect",
			"Users of a context log in to its VPN, which is privilege 2 and below; who may use the API of warrend, "+
				"the group of its socket says (api { group } in the system file). Remove privilege.")
	}
}

// day reads a day, "2027-03-31", which is the last one; the zero Time: none is written.
func (n *node) day(name string) time.Time {
	it, ok := n.textItem(name)
	if !ok {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, it.text)
	if err != nil {
		n.problem(it.at, "Unusable day", `%s is the last day, in UTC, written like "2027-03-31".`, name)
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

// dedicated reads the addresses that are the user's alone, at most one of each family.
func (t *tenantReader) dedicated(n *node, own map[netip.Addr]item) (out []netip.Addr) {
	for _, it := range n.texts("address") {
		a, ok := n.address("address", it)
		if !ok {
			continue
		}
		other, taken := own[a]
		switch {
		case slices.ContainsFunc(out, func(o netip.Addr) bool { return o.Is4() == a.Is4() }):
			n.problem(it.at, "Two addresses of one family", "A user has one IPv4 and one IPv6 address at most.")
		case taken:
			n.problem(it.at, "Duplicate address", "%s is the address of %s (%s) already.", a, other.text,
				place(other.at))
		case t.isUsable(n, it, a):
			own[a] = item{n.String(), it.at}
			out = append(out, a)
			t.t.Pools = append(t.t.Pools, spec.Pool{Name: fmt.Sprintf("user %s", n.label.text), Start: a, End: a,
				Mask: t.maskAt(a), Dedicated: n.label.text})
		}
	}
	return out
}

// isUsable tells of an address that no client can have.
func (t *tenantReader) isUsable(n *node, it item, a netip.Addr) bool {
	before := t.errors
	t.checkPool(n, it, spec.Pool{Start: a, End: a})
	for _, p := range t.t.Pools {
		if p.Dedicated == "" && p.Start == a && p.End == a {
			n.problem(it.at, "Pool without an address", "%s is all that ip_pool %q (%s) has: remove that pool.", a,
				p.Name, place(t.pools[p.Name].where("range")))
		}
	}
	return t.errors == before
}

// maskAt returns the mask of the pool that an address lies in; 0: it lies in none.
func (t *tenantReader) maskAt(a netip.Addr) int {
	for _, p := range t.t.Pools {
		if p.Dedicated == "" && p.Start.BitLen() == a.BitLen() && !a.Less(p.Start) && !p.End.Less(a) {
			return p.Mask
		}
	}
	return 0
}

// poolAt returns the block that a pool is written in, and where in it.
func (t *tenantReader) poolAt(p spec.Pool) (*node, hcl.Range) {
	if p.Dedicated != "" {
		n := t.users[p.Dedicated]
		return n, n.where("address")
	}
	n := t.pools[p.Name]
	return n, n.where("range")
}
