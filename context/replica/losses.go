package replica

import (
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike/exchange"
)

// losses are the IKE SAs that were given up while a copy was made or repeated, by our
// SPI, each with those of its child SAs that are known. They stay until their end comes, or
// another copy, which may hold them.
type losses map[uint64][]uint64

// add enters an IKE SA with its child SAs.
func (l losses) add(spi uint64, children []sa.Change, early map[uint64]counterEntry) {
	l[spi] = append([]uint64{}, l[spi]...)
	for _, c := range children {
		l[spi] = append(l[spi], c.Child.ID)
		delete(early, c.Child.ID)
	}
}

// concern reports whether a record is about what was given up, and is to be passed over.
// An IKE SA that follows one which was given up is lost with it: its child SAs are not
// here. Counters in early that wait for such a child SA go when its end comes.
func (l losses) concern(r *exchange.Record, early map[uint64]counterEntry) bool {
	if children, ok := l[r.Replaces]; ok && r.Kind == exchange.RecordIKE {
		l[r.SPI], l[r.Replaces] = append(l[r.SPI], children...), nil
	}
	children, ok := l[r.SPI]
	switch {
	case !ok:
		return false
	case r.Kind == exchange.RecordIKEDown:
		for _, id := range children {
			delete(early, id)
		}
		delete(l, r.SPI)
	case r.Child != nil && r.Child.Op.Installs():
		l[r.SPI] = append(children, r.Child.Child.ID)
		delete(early, r.Child.Child.ID)
	case r.Child != nil && r.Child.Op == sa.OpDelete:
		delete(early, r.Child.Child.ID)
	}
	return true
}

// bury writes down, for whoever has to know it, that the IKE SAs which were given up
// have ended: the node that serves speaks for all.
func (s *store) bury(record func([]byte) journal.Position) {
	for spi := range s.gone {
		record(appendRecord(nil, s.host.Now(), exchange.Record{Kind: exchange.RecordIKEDown, SPI: spi}))
	}
	clear(s.gone)
}
