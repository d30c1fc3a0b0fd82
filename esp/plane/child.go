package plane

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
)

// child is one installed child SA.
type child struct {
	id, replaces uint64
	slot         *esp.Slot
	slotIndex    uint32
	bytesLimit   uint64
	path         atomic.Pointer[path]
	waits        atomic.Bool // for the peer to use it, before outbound traffic does
	followers    []*child    // that wait; the Plane's lock guards it

	// outMu and inMu keep the two directions to one goroutine each, for a run
	// of packets; members of the crew share them, each with a copy of its own. A deleted child has neither half. Lock order: none, they are
	// never held together.
	outMu     sync.RWMutex
	out       *esp.Outbound
	outs      copies[esp.Outbound] // of the crew
	unsealed  atomic.Int64         // packets that the crew has
	closing   atomic.Bool
	drained   chan struct{} // has a token when the crew has none any more
	lastLimit atomic.Uint64 // reservation: the limit last seen, and when to ask for more
	askAt     atomic.Uint64

	inMu sync.RWMutex
	in   *esp.Inbound
	ins  copies[esp.Inbound] // of the crew

	shares   shares
	outSPI   sa.SPI
	toldAt   [ReportPathMTU + 1]atomic.Int64 // Unix seconds of the last report of each kind
	maxInner func(int) int
}

// path is where a child's packets go. It is replaced, never changed.
type path struct {
	outer         *outer // nil: there is no such socket
	local, remote netip.AddrPort
	encap         sa.Encap
	mtu           int       // of the path
	inner4        int       // largest inner IPv4 packet
	inner6        int       // largest inner IPv6 packet, 1280 at least
	lowered       time.Time // when the network last lowered mtu
}

// minimum MTUs (RFC 791, RFC 8200 section 5). A smaller one in an ICMP message
// is an attack or a mistake.
const (
	minMTU4       = 576
	minMTU6       = 1280
	defaultMTU    = 1500
	pathMTUExpiry = 10 * time.Minute // RFC 1191 section 6.3
)

// setMTU computes what fits through a path.
func (p *path) setMTU(mtu int, maxInner func(int) int) {
	overhead := 20
	if p.remote.Addr().Is6() {
		overhead = 40
	}
	if p.encap == sa.EncapUDP {
		overhead += 8
	}
	p.mtu = mtu
	p.inner4 = max(maxInner(mtu-overhead), 68)
	p.inner6 = max(p.inner4, minMTU6)
}

// Apply installs, rekeys, moves or deletes a child SA; when it returns, the
// change is in effect: no packet is sealed or opened with a deleted SA. The
// keys of c.Child are copied. OpAdd, OpRekey and OpFollow of a child that is
// installed already change nothing, and so does OpDelete of one that is not. Counters of
// Child.Slot that belong to the same Child.ID are continued, others begin at 0.
func (p *Plane) Apply(c *sa.Change) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch c.Op {
	case sa.OpAdd:
		return p.addLocked(&c.Child, 0, false)
	case sa.OpRekey:
		return p.addLocked(&c.Child, c.Replaces, false)
	case sa.OpFollow:
		return p.addLocked(&c.Child, c.Replaces, true)
	case sa.OpMove:
		ch := p.children[c.Child.ID]
		if ch == nil {
			return fmt.Errorf("plane: moving child SA %d: there is none", c.Child.ID)
		}
		ch.path.Store(p.newPathLocked(&c.Child, ch.maxInner))
		ch.toldAt[ReportMoved].Store(0)
		return nil
	case sa.OpDelete:
		p.deleteLocked(c.Child.ID)
		return nil
	}
	return fmt.Errorf("plane: unknown change %v", c.Op)
}

func (p *Plane) addLocked(c *sa.Child, replaces uint64, follows bool) error {
	if p.children[c.ID] != nil {
		return nil
	}
	if c.ID == 0 || !c.RemoteAddr.IsValid() || !c.LocalAddr.IsValid() {
		return fmt.Errorf("plane: child SA %d between %v and %v is incomplete", c.ID, c.LocalAddr, c.RemoteAddr)
	}
	if p.spis.Find(c.In.SPI) != nil {
		return fmt.Errorf("plane: child SA %d: SPI %v is in use", c.ID, c.In.SPI)
	}
	slot := p.cfg.Counters.Slot(c.Slot)
	if slot == nil {
		return fmt.Errorf("plane: child SA %d: counter slot %d of %d", c.ID, c.Slot, p.cfg.Counters.Len())
	}
	if owner := slot.Owner(); owner != c.ID && p.children[owner] != nil {
		return fmt.Errorf("plane: child SA %d: counter slot %d belongs to child SA %d", c.ID, c.Slot, owner)
	}
	if _, err := p.cfg.Counters.Claim(c.Slot, c.ID, c.ReplayWindow); err != nil {
		return fmt.Errorf("plane: child SA %d: %w", c.ID, err)
	}
	out, err := esp.NewOutbound(c, p.cfg.Counters)
	var in *esp.Inbound
	if err == nil {
		in, err = esp.NewInbound(c, p.cfg.Counters)
	}
	if err != nil {
		p.cfg.Counters.Release(c.Slot)
		return fmt.Errorf("plane: child SA %d: %w", c.ID, err)
	}
	ch := &child{
		id: c.ID, replaces: replaces, slot: slot, slotIndex: c.Slot, bytesLimit: c.BytesLimit,
		out: out, in: in, outSPI: c.Out.SPI, maxInner: out.MaxInner,
	}
	if p.crew != nil {
		ch.drained = make(chan struct{}, 1)
		ch.outs = make(copies[esp.Outbound], p.crew.members)
		ch.ins = make(copies[esp.Inbound], p.crew.members)
	}
	ch.path.Store(p.newPathLocked(c, out.MaxInner))
	if err := p.policies.Add(c.ID, c.Local, c.Remote, ch); err != nil {
		out.Clear()
		in.Clear()
		p.cfg.Counters.Release(c.Slot)
		return fmt.Errorf("plane: child SA %d: %w", c.ID, err)
	}
	p.children[c.ID] = ch
	p.peerSPIs[ch.outSPI] = append(p.peerSPIs[ch.outSPI], ch)
	p.spis.Set(c.In.SPI, ch)
	if old := p.children[replaces]; follows && old != nil {
		ch.waits.Store(true)
		old.followers = append(old.followers, ch)
		p.policies.Demote(c.ID, true)
		return nil
	}
	p.policies.Demote(replaces, true)
	return nil
}

// heard moves outbound traffic to c, which the peer has used.
func (p *Plane) heard(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.waits.Swap(false) && p.children[c.id] == c {
		p.policies.Demote(c.id, false)
		p.policies.Demote(c.replaces, true)
	}
}

func (p *Plane) deleteLocked(id uint64) {
	ch := p.children[id]
	if ch == nil {
		return
	}
	delete(p.children, id)
	if left := slices.DeleteFunc(p.peerSPIs[ch.outSPI], func(o *child) bool { return o == ch }); len(left) > 0 {
		p.peerSPIs[ch.outSPI] = left
	} else {
		delete(p.peerSPIs, ch.outSPI)
	}
	p.policies.Remove(id)
	p.policies.Demote(ch.replaces, false) // the old pair, if it outlives the new one
	for _, next := range ch.followers {
		if next.waits.Swap(false) {
			p.policies.Demote(next.id, false)
		}
	}
	if p.crew != nil {
		ch.drain()
	}
	ch.outMu.Lock()
	ch.out.Clear()
	ch.outs.each((*esp.Outbound).Clear)
	ch.out, ch.outs = nil, nil
	ch.outMu.Unlock()
	ch.inMu.Lock()
	p.spis.Set(ch.in.SPI(), nil)
	ch.in.Clear()
	ch.ins.each((*esp.Inbound).Clear)
	ch.in, ch.ins = nil, nil
	ch.inMu.Unlock()
	p.cfg.Counters.Release(ch.slotIndex)
}

// newPathLocked resolves where packets of c go.
func (p *Plane) newPathLocked(c *sa.Child, maxInner func(int) int) *path {
	to := &path{local: c.LocalAddr, remote: c.RemoteAddr, encap: c.Encap}
	p.resolveLocked(to, maxInner)
	return to
}

// resolveLocked finds the socket of a path, and sets its MTU to the highest.
func (p *Plane) resolveLocked(to *path, maxInner func(int) int) {
	kind := KindNATT
	if to.encap == sa.EncapRaw {
		kind = KindESP
	}
	to.outer = p.outerLocked(kind, to.local)
	if to.outer != nil && to.outer.Local.Addr().Is4() != to.remote.Addr().Is4() {
		to.outer = nil
	}
	mtu := defaultMTU
	if to.outer != nil && to.outer.MTU > 0 {
		mtu = to.outer.MTU
	}
	if p.cfg.MaxPathMTU > 0 {
		mtu = min(mtu, p.cfg.MaxPathMTU)
	}
	to.setMTU(mtu, maxInner)
	to.lowered = time.Time{}
}

// AdvanceIn makes a child SA refuse every inbound sequence number up to seq. A
// window that is there already stays.
func (p *Plane) AdvanceIn(id, seq uint64) {
	p.mu.Lock()
	ch := p.children[id]
	p.mu.Unlock()
	if ch == nil {
		return
	}
	ch.inMu.Lock()
	defer ch.inMu.Unlock()
	w := p.cfg.Counters.Window(ch.slotIndex)
	if ch.in != nil && seq > w.Top() {
		w.Advance(seq)
	}
}

// lowerMTU follows m, which says that packets to m.Remote may have m.TooBig
// bytes. What the network says counts for the child SA whose packet it quotes (RFC
// 4301 section 8.2.1), and not at all where it quotes less than an ESP header, as
// RFC 792 allows: a stranger could say that. What our own kernel says counts for
// every child SA with that peer.
func (p *Plane) lowerMTU(m *Message) {
	remote, mtu := m.Remote, m.TooBig
	minimum := minMTU4
	if remote.Addr().Is6() {
		minimum = minMTU6
	}
	mtu = max(mtu, minimum)
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Origin == OriginKernel {
		if p.tooBig.allow(p.now().Unix()) {
			for _, ch := range p.children {
				p.lowerLocked(ch, remote.Addr(), mtu)
			}
		}
		return
	}
	spi, quoted := esp.SPI(m.Data)
	if !quoted {
		return
	}
	for _, ch := range p.peerSPIs[spi] { // a guess costs no more than this
		p.lowerLocked(ch, remote.Addr(), mtu)
	}
}

// lowerLocked lowers the path MTU of ch, where its peer is at remote.
func (p *Plane) lowerLocked(ch *child, remote netip.Addr, mtu int) {
	old := ch.path.Load()
	if old.remote.Addr() != remote || mtu >= old.mtu {
		return
	}
	to := *old
	to.setMTU(mtu, ch.maxInner)
	to.lowered = p.now()
	ch.path.Store(&to)
	p.lowered = true
	p.report(Report{Kind: ReportPathMTU, Child: ch.id, MTU: mtu})
}

// raiseMTUs forgets what the network said long ago.
func (p *Plane) raiseMTUs(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.lowered {
		return
	}
	p.lowered = false
	for _, ch := range p.children {
		old := ch.path.Load()
		if old.lowered.IsZero() {
			continue
		}
		if now.Sub(old.lowered) < pathMTUExpiry {
			p.lowered = true
			continue
		}
		to := *old
		p.resolveLocked(&to, ch.maxInner)
		ch.path.Store(&to)
		p.report(Report{Kind: ReportPathMTU, Child: ch.id, MTU: to.mtu})
	}
}
