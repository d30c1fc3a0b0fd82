package esptest

import (
	"bytes"
	"net/netip"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/transform"
	"github.com/warrenvpn/warren/internal/secret"
)

// Pair describes two gateways, A and B, and what is behind them.
type Pair struct {
	ID                     uint64 // of the child SA at A; B's is one more
	Encryption, Integrity  string // names of package sa
	ESN                    bool
	Encap                  sa.Encap
	AddrA, AddrB           string // outer "address:port"
	BehindA, BehindB       []string
	Window                 uint32
	SlotA, SlotB, SPI, Key uint32 // SPI is A's inbound one, B's is one more
}

// Children returns the child SA of the pair as each gateway sees it. The keys
// follow from Pair.Key.
func (p Pair) Children() (a, b sa.Child) {
	enc, _ := sa.TransformByName(sa.Encryption, p.Encryption)
	integ, _ := sa.TransformByName(sa.Integrity, p.Integrity)
	encLen, integLen, err := transform.KeyLens(enc.Transform, integ.Transform)
	if err != nil {
		panic("esptest: internal error: " + err.Error())
	}
	half := func(spi sa.SPI) sa.SA {
		return sa.SA{
			SPI: spi, Encryption: enc.Transform, Integrity: integ.Transform, ESN: p.ESN,
			EncryptionKey: secret.New(bytes.Repeat([]byte{byte(spi), byte(p.Key), 1, 7}, 32)[:encLen]),
			IntegrityKey:  secret.New(bytes.Repeat([]byte{byte(spi), byte(p.Key), 2, 9}, 32)[:integLen]),
		}
	}
	toA, toB := half(sa.SPI(p.SPI)), half(sa.SPI(p.SPI+1))
	a = sa.Child{
		ID: p.ID, Slot: p.SlotA, In: toA, Out: toB, Local: Selectors(p.BehindA...), Remote: Selectors(p.BehindB...),
		LocalAddr: netip.MustParseAddrPort(p.AddrA), RemoteAddr: netip.MustParseAddrPort(p.AddrB),
		Encap: p.Encap, ReplayWindow: p.Window,
	}
	b = a
	b.ID, b.Slot, b.In, b.Out = p.ID+1, p.SlotB, toB, toA
	b.Local, b.Remote, b.LocalAddr, b.RemoteAddr = a.Remote, a.Local, a.RemoteAddr, a.LocalAddr
	return a, b
}

// Selectors returns the selectors for prefixes.
func Selectors(prefixes ...string) []sa.Selector {
	var out []sa.Selector
	for _, p := range prefixes {
		out = append(out, sa.SelectorOf(netip.MustParsePrefix(p)))
	}
	return out
}

// Counters returns an arena of n slots in plain memory.
func Counters(n int) *esp.Counters {
	c, err := esp.NewCounters(make([]byte, esp.CountersSize(n)))
	if err != nil {
		panic("esptest: internal error: " + err.Error())
	}
	return c
}
