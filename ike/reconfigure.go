package ike

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// Reconfigure is Configure for an Engine that serves: established SAs follow at
// once. Those that would not come about any more end with a DELETE, and child SAs
// whose networks have changed are rekeyed or end (exchange.SA.Reconsider). On an
// error nothing has changed.
func (e *Engine) Reconfigure(now time.Time, cfg *exchange.Config, out *exchange.Output) error {
	if err := e.Configure(cfg); err != nil {
		return err
	}
	if !e.active {
		return nil
	}
	e.clearBuried(now)
	var spis []uint64
	for spi := range e.sas {
		spis = append(spis, spi)
	}
	slices.Sort(spis) // the same order every time
	for _, spi := range spis {
		s := e.sas[spi]
		if s == nil {
			continue // another one's end was its end
		}
		e.touch(s)
		_ = e.guard(now, out, func() error { s.Reconsider(now, out); return nil })
		e.reindex(now)
	}
	return nil
}
