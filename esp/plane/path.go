package plane

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
)

// path is where a child's packets go. It is replaced, never changed.
type path struct {
	outer         *outer // nil: there is no such socket
	local, remote netip.AddrPort
	encap         sa.Encap
	mtu           int32 // of the path
	inner4        int32 // largest inner IPv4 packet
	inner6        int32 // largest inner IPv6 packet, 1280 at least
	lowered       int64 // when the network last lowered mtu, in nanoseconds since 1970; 0: never
}

// minimum MTUs (RFC 791, RFC 8200 section 5). A smaller one in an ICMP message
// is an attack or a mistake.
const (
	minMTU4       = 576
	minMTU6       = 1280
	defaultMTU    = 1500
	pathMTUExpiry = 10 * time.Minute // RFC 1191 section 6.3
)

// setMTU sets the path MTU and the sizes of inner packets that follow from it.
func (p *path) setMTU(mtu int, maxInner func(int) int) {
	overhead := 20
	if p.remote.Addr().Is6() {
		overhead = 40
	}
	if p.encap == sa.EncapUDP {
		overhead += 8
	}
	p.mtu = int32(mtu)
	p.inner4 = max(int32(maxInner(mtu-overhead)), 68)
	p.inner6 = max(p.inner4, minMTU6)
}

// mtuOf returns the size of the largest inner packet of a family.
func (p *path) mtuOf(v6 bool) int {
	if v6 {
		return int(p.inner6)
	}
	return int(p.inner4)
}

// newPathLocked returns the path of c, with the highest MTU that it may have.
func (e *espSide) newPathLocked(c *sa.Child, maxInner func(int) int) *path {
	to := &path{local: c.LocalAddr, remote: c.RemoteAddr, encap: c.Encap}
	e.resolveLocked(to, maxInner)
	return to
}

// resolveLocked finds the socket of a path, and sets its MTU to the highest.
func (e *espSide) resolveLocked(to *path, maxInner func(int) int) {
	kind := KindNATT
	if to.encap == sa.EncapRaw {
		kind = KindESP
	}
	to.outer = e.outerAt(kind, to.local)
	if to.outer != nil && to.outer.Local.Addr().Is4() != to.remote.Addr().Is4() {
		to.outer = nil
	}
	mtu := defaultMTU
	if to.outer != nil && to.outer.MTU > 0 {
		mtu = to.outer.MTU
	}
	if e.maxPathMTU > 0 {
		mtu = min(mtu, e.maxPathMTU)
	}
	to.setMTU(mtu, maxInner)
	to.lowered = 0
}

// lowerMTU lowers path MTUs as m says: packets to m.Remote may have m.TooBig
// bytes. A message from the network counts for the child SA whose packet it
// quotes (RFC 4301 section 8.2.1), and not at all where it quotes less than an
// ESP header, as RFC 792 allows: anyone could send that. A message of our own
// kernel counts for every child SA with that peer.
func (e *espSide) lowerMTU(m *Message) {
	remote, mtu := m.Remote, m.TooBig
	minimum := minMTU4
	if remote.Addr().Is6() {
		minimum = minMTU6
	}
	mtu = max(mtu, minimum)
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.Origin == OriginKernel {
		if e.tooBig.allow(e.now().Unix()) {
			for _, ch := range e.children {
				e.lowerLocked(ch, remote.Addr(), mtu)
			}
		}
		return
	}
	spi, quoted := esp.SPI(m.Data)
	if !quoted {
		return
	}
	for _, ch := range e.peerSPIs[spi] { // a guess costs no more than this
		e.lowerLocked(ch, remote.Addr(), mtu)
	}
}

// lowerLocked lowers the path MTU of ch, where its peer is at remote.
func (e *espSide) lowerLocked(ch *child, remote netip.Addr, mtu int) {
	old := ch.path.Load()
	if old.remote.Addr() != remote || mtu >= int(old.mtu) {
		return
	}
	to := *old
	to.setMTU(mtu, ch.out.MaxInner)
	to.lowered = e.now().UnixNano()
	ch.path.Store(&to)
	e.lowered = true
	e.report(Report{Kind: ReportPathMTU, Child: ch.id, MTU: mtu})
}

// raiseMTUs sets path MTUs back to the highest that were lowered longer than
// pathMTUExpiry ago.
func (e *espSide) raiseMTUs(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.lowered {
		return
	}
	e.lowered = false
	for _, ch := range e.children {
		old := ch.path.Load()
		if old.lowered == 0 {
			continue
		}
		if now.UnixNano()-old.lowered < int64(pathMTUExpiry) {
			e.lowered = true
			continue
		}
		to := *old
		e.resolveLocked(&to, ch.out.MaxInner)
		ch.path.Store(&to)
		e.report(Report{Kind: ReportPathMTU, Child: ch.id, MTU: int(to.mtu)})
	}
}
