package plane

import (
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
)

// espSide is ESP as a carrier: child SAs, the sockets that they send from and
// receive at, and IKE, which shares those sockets. It knows the TUN side by links
// and receivers.
type espSide struct {
	*base
	tun        *tunSide
	counters   *esp.Counters
	maxPathMTU int
	handleIKE  func(local, remote netip.AddrPort, payload []byte) // nil: IKE is dropped
	crew       *crew
	spis       esp.SPITable[child]
	egress     []*egress // by TUN queue
	outers     []*outer  // as they were given to New
	ike        chan ikeMessage

	// mu guards what follows and makes one writer at a time of spis. The pipelines
	// do not take it. Lock order: before that of the TUN side.
	mu       sync.Mutex
	children map[uint64]*child
	peerSPIs map[sa.SPI][]*child // by the SPI of the peer, which two peers may choose alike
	lowered  bool                // some path MTU is not the highest
	late     []late              // the one that ends first first

	lateTimer *time.Timer // for endLate

	unknown unknownSPIs
	tooBig  limiter // "too big" from our own kernel, which is about all child SAs with a peer
}

// outer is one outer socket with its pipeline.
type outer struct {
	Socket
	in *inbound
}

func newESPSide(b *base, t *tunSide, c *Config) *espSide {
	e := &espSide{
		base: b, tun: t, counters: c.Counters, maxPathMTU: c.MaxPathMTU, handleIKE: c.IKE,
		crew:     newCrew(c.Crew, len(c.Devices)),
		ike:      make(chan ikeMessage, ikeQueue),
		children: make(map[uint64]*child),
		peerSPIs: make(map[sa.SPI][]*child),
		tooBig:   limiter{perSecond: 100},

		lateTimer: time.NewTimer(time.Hour),
	}
	e.unknown.report = b.report
	for i, q := range t.queues {
		e.egress = append(e.egress, newEgress(e, i, &q.stats))
	}
	return e
}

// addOuter takes over a socket, even when it returns an error.
func (e *espSide) addOuter(s Socket) error {
	if s.Conn == nil {
		c, err := newSocket(&s, e.options.Load())
		if err != nil {
			return err
		}
		s.Conn, s.File = c, nil
	}
	o := &outer{Socket: s}
	o.in = &inbound{esp: e, outer: o, rx: e.tun.receiver(), opener: newOpener(e, o)}
	e.outers = append(e.outers, o)
	return nil
}

// outerAt finds a socket by its address; one that is bound to every address
// serves where there is none for this one.
func (e *espSide) outerAt(k Kind, local netip.AddrPort) *outer {
	var any *outer
	for _, o := range e.outers {
		switch {
		case o.Kind != k || k != KindESP && o.Local.Port() != local.Port():
		case o.Local.Addr() == local.Addr():
			return o
		case o.Local.Addr().IsUnspecified() && o.Local.Addr().Is4() == local.Addr().Is4():
			any = o
		}
	}
	return any
}

// setOptions switches the offloads of the sockets.
func (e *espSide) setOptions(o *Options) {
	for _, s := range e.outers {
		if c, ok := s.Conn.(socketOffloader); ok {
			c.SetOffload(o)
		}
	}
}

// offloads reports whether every socket that could has segmentation offload, and
// whether it receives joined datagrams.
func (e *espSide) offloads() (gso, gro bool) {
	sockets := 0
	gso, gro = true, true
	for _, o := range e.outers {
		if c, ok := o.Conn.(socketOffloader); ok && o.Kind == KindNATT {
			sends, receives := c.Offloads()
			sockets, gso, gro = sockets+1, gso && sends, gro && receives
		}
	}
	return sockets > 0 && gso, sockets > 0 && gro
}

// housekeep raises path MTUs that were lowered long ago, and reports unknown
// SPIs.
func (e *espSide) housekeep() {
	e.raiseMTUs(e.now())
	e.unknown.endPeriod()
}

// child returns the child SA with this ID; nil where there is none.
func (e *espSide) child(id uint64) *child {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.children[id]
}

func (e *espSide) close() {
	for _, o := range e.outers {
		o.Conn.Close()
	}
}

// checkVolume reports a child that is near its volume limit, or at it.
func (e *espSide) checkVolume(c *child, bytes uint64, now int64) {
	if c.bytesLimit == 0 {
		return
	}
	if bytes >= c.bytesLimit-c.bytesLimit/8 {
		e.reportChild(c, ReportRekey, now)
	}
	if bytes >= c.bytesLimit {
		e.reportChild(c, ReportExpired, now)
	}
}

// told notes that something is reported of c in the second now, and reports whether that is the
// first time.
func (c *child) told(k ReportKind, now int64) bool {
	return c.toldAt[k].Swap(uint32(now)) != uint32(now)
}

// reportChild sends a report about c, once a second at most: one may be lost, and what
// it asks for may fail.
func (e *espSide) reportChild(c *child, k ReportKind, now int64) {
	if c.told(k, now) {
		e.report(Report{Kind: k, Child: c.id})
	}
}
