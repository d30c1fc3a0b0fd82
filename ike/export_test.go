package ike

import (
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// AddOpening has the engine take one more first exchange.
func (e *Engine) AddOpening(x wire.ExchangeType, parse func(exchange.Datagram) (exchange.First, error)) {
	e.openings[x] = opening{parse: parse, prove: e.proveCookie}
}
