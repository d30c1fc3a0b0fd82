package netns

import (
	"hash/maphash"
	"reflect"
	"slices"

	"github.com/warrenvpn/warren/context/spec"
)

// knowledge is what a Gateway knows of its namespace without asking the kernel. It
// rests on the watch: what others change is told, and what was looked at before that
// counts no more.
//
// Of some settings the kernel tells nobody. Those are found when all is looked at in
// turn.
type knowledge struct {
	watch *watch // nil: nobody tells
	// net and settings say that the last look has found them as they must be, or made
	// them so.
	net, settings bool
	rules         map[int]uint64 // by family: the digest of those that the last look has left
	links         uint64         // the digest of the devices that it has found
}

// watchedLocked begins to know: w tells of what comes after it.
func (n *knowledge) watchedLocked(w *watch) {
	n.watch, n.net = w, false
}

// unwatchedLocked ends it. What happens until the next watch nobody has seen.
func (n *knowledge) unwatchedLocked() { n.watch, n.net, n.settings = nil, false, false }

// lookLocked forgets what was told, because all of it is looked at now: the settings
// where full says so.
func (n *knowledge) lookLocked(full bool) {
	if n.net = false; full {
		n.settings = false
	}
	if n.watch == nil {
		return
	}
	if n.watch.forget(anyChange &^ settingChange); full {
		n.watch.forget(settingChange)
	}
}

// lookedLocked notes what has come of a look.
func (g *Gateway) lookedLocked(full bool, err error) {
	g.known.net = err == nil && g.raisedLocked()
	if full {
		g.known.settings = err == nil
	}
}

// raisedLocked reports whether the devices of the interfaces are up that must be.
func (g *Gateway) raisedLocked() bool {
	return !slices.ContainsFunc(g.tenant.Interfaces, func(i spec.Interface) bool {
		l, ok := g.links[i.Name]
		return ok && !i.Shutdown && !g.up[l.index]
	})
}

// digestSeed is of all digests.
var digestSeed = maphash.MakeSeed()

// digest is the same for the same list, and for others by the luck of one in 2^64.
func digest[T comparable](list []T) uint64 {
	var h maphash.Hash
	h.SetSeed(digestSeed)
	for _, one := range list {
		maphash.WriteComparable(&h, one)
	}
	return h.Sum64()
}

// linksAreKnown looks at the devices, for who was told of a change of them and of nothing
// else, and reports whether they are as the last look has found them: then so is all that
// comes with them.
func (g *Gateway) linksAreKnown() bool {
	defer g.host.turn()()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone || !g.known.net || g.known.watch == nil {
		return g.gone
	}
	g.known.watch.forget(linkChange)
	before := g.known.links
	g.known.net = g.lookLocked() == nil && g.known.links == before
	return g.known.net
}

// soundLocked reports whether the namespace is as it must be, and known to be. It never is
// where the kernel answers for addresses: of those it tells nobody.
func (g *Gateway) soundLocked() bool {
	return g.known.net && g.known.settings && len(g.asked.proxies) == 0 && !g.holding && g.known.watch != nil &&
		g.known.watch.silent()
}

// Sound reports whether the namespace is known to be what t says, so that Update would
// find nothing to do.
func (g *Gateway) Sound(t *spec.Tenant) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.gone && t == g.tenant && g.soundLocked()
}

// adaptLocked goes over from the tenant before to the present one in a namespace that
// is sound: what has not changed need not be looked at. It reports false where the
// interfaces differ, or something went wrong: then everything is looked at.
func (g *Gateway) adaptLocked(before *spec.Tenant) bool {
	if !reflect.DeepEqual(before.Interfaces, g.tenant.Interfaces) || g.settleRoutesLocked() != nil {
		return false
	}
	others := func(family int) bool { return digest(g.rulesLocked(family)) != g.known.rules[family] }
	if slices.ContainsFunc(g.families, others) && g.settleRulesLocked() != nil {
		return false
	}
	return slices.IndexFunc(g.tenant.Interfaces, func(i spec.Interface) bool { return !g.proxySetLocked(i) }) < 0 ||
		g.settleProxiesLocked() == nil
}
