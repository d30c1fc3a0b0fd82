package ike

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

// host is the Engine as its SAs see it: an exchange.Host. A type of its own keeps
// these methods out of the Engine's.
type host struct{ *Engine }

var _ exchange.Host = host{}

func (h host) Rand() io.Reader { return h.cfg.Rand }
func (h host) Epoch() uint64   { return h.epoch }

func (h host) HalfOpenLife() time.Duration {
	return h.halfOpen.life(h.cfg.HalfOpenTimeout, h.cfg.CookieThreshold, h.cfg.MaxHalfOpen)
}

func (h host) NewIKESPI() uint64 {
	for {
		spi := binary.BigEndian.Uint64(h.random(8))
		if spi != 0 && h.sas[spi] == nil {
			return spi
		}
	}
}

func (h host) NewESPSPI() sa.SPI {
	for {
		spi := sa.SPI(binary.BigEndian.Uint32(h.random(4)))
		if spi > 255 && !h.espSPIs[spi] {
			return spi
		}
	}
}

// NewChildID returns the nanoseconds of now, or one more than the last ID where
// that is greater: IDs grow, on every node, across restarts, and without a
// counter that would have to survive the compaction of the journal. The clock
// may stand still or go back while the engine, or one that replays its records,
// is up.
func (h host) NewChildID(now time.Time) uint64 {
	h.lastChild = max(h.lastChild+1, uint64(max(now.UnixNano(), 1)))
	return h.lastChild
}

func (h host) BindChild(c *sa.Child, s exchange.SA) {
	if _, known := h.children[c.ID]; !known {
		h.prefixes += sa.CountPrefixes(c.Remote)
	}
	h.children[c.ID] = boundChild{c, s}
	h.espSPIs[c.In.SPI] = true
	h.lastChild = max(h.lastChild, c.ID)
}

func (h host) UnbindChild(c *sa.Child) {
	if _, known := h.children[c.ID]; known {
		h.prefixes -= sa.CountPrefixes(c.Remote)
	}
	delete(h.children, c.ID)
	delete(h.espSPIs, c.In.SPI)
}

func (h host) Prefixes() int { return h.prefixes }

func (h host) Ask(s exchange.SA) exchange.QuestionID {
	h.lastQuestion++
	h.waiting[h.lastQuestion] = s
	return h.lastQuestion
}

func (h host) Withdraw(question exchange.QuestionID) { delete(h.waiting, question) }

func (h host) Bury(keys ...secret.Value) {
	for _, k := range keys {
		h.graves = append(h.graves, grave{key: k})
	}
}

func (h host) Children(yield func(*sa.Child, exchange.SA) bool) {
	for _, b := range h.children {
		if !yield(b.Child, b.sa) {
			return
		}
	}
}

func (h host) Touch(s exchange.SA) { h.touch(s) }
func (h host) Deferred()           { h.usage.Deferred++ }

func (h host) PeerChildren(s exchange.SA) int {
	n := 0
	for _, o := range h.peers.byKey[s.PeerKey()] {
		n += o.Children()
	}
	return n
}

func (h host) OnlyContact(s exchange.SA) bool {
	for _, o := range h.sas {
		if o != s && o.Remote().Addr() == s.Remote().Addr() {
			return false
		}
	}
	return true
}

func (h host) Adopt(old, s exchange.SA) {
	h.add(s)
	if old != nil {
		h.succeed(old, s)
	}
}

func (h host) Others(s exchange.SA) []exchange.SA { return h.peers.others(s) }

func (h host) Replace(now time.Time, o exchange.SA, out *exchange.Output) {
	h.touch(o)
	o.End(now, "replaced by a new IKE SA of the same peer (INITIAL_CONTACT)", out)
}

// random reads n bytes.
func (h host) random(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(h.cfg.Rand, b); err != nil {
		panic("ike: internal error: random source: " + err.Error())
	}
	return b
}

// add takes a new SA into the table.
func (e *Engine) add(s exchange.SA) {
	if e.sas[s.SPI()] == nil {
		e.known(s.SPI(), true)
	}
	e.sas[s.SPI()] = s
	e.touch(s)
}
