package iketest

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// printer prints the payloads of one message in the notation of RFC 7296 section
// 1.2, with the values that explain an exchange: no keys, nonces or hashes.
type printer struct {
	names   *names
	from    *Node
	request bool
}

// print returns one text for each payload.
func (p *printer) print(ps wire.Payloads) []string {
	var out []string
	for _, x := range ps {
		out = append(out, p.payload(x))
	}
	return out
}

func (p *printer) payload(x wire.Payload) string {
	switch x := x.(type) {
	case wire.SA:
		return p.offer(x)
	case wire.KE:
		return "KE" + p.side() + "(" + sa.Transform{Type: sa.KeyExchange, ID: x.Group}.String() + ")"
	case wire.Nonce:
		return "N" + p.side()
	case wire.IDi:
		return "IDi(" + identity.FromWire(x.ID).String() + ")"
	case wire.IDr:
		return "IDr(" + identity.FromWire(x.ID).String() + ")"
	case wire.Auth:
		return "AUTH(" + x.Method.String() + ")"
	case wire.TSi:
		return "TSi(" + selectors(x.Selectors) + ")"
	case wire.TSr:
		return "TSr(" + selectors(x.Selectors) + ")"
	case wire.CP:
		return configuration(x)
	case wire.Delete:
		return p.delete(x)
	case wire.Notify:
		return p.notify(x)
	}
	return x.PayloadType().String()
}

// side is the letter of the end of the exchange that says it, as in KEi or Nr.
func (p *printer) side() string {
	if p.request {
		return "i"
	}
	return "r"
}

func (p *printer) offer(x wire.SA) string {
	var out []string
	for _, o := range x.Proposals {
		text := o.Protocol.String()
		if name := p.names.spi(p.from, o.SPI); name != "" {
			text += " " + name
		}
		out = append(out, text+" "+suite.Describe([]wire.Proposal{{Transforms: o.Transforms}}))
	}
	return "SA" + p.side() + "(" + strings.Join(out, ", ") + ")"
}

func selectors(list []sa.Selector) string {
	var out []string
	for _, s := range list {
		out = append(out, s.String())
	}
	return strings.Join(out, ", ")
}

func configuration(x wire.CP) string {
	out := []string{x.Type.String()}
	for _, a := range x.Attributes {
		text := a.Type.String()
		if prefix, ok := a.Prefix(); ok {
			text += " " + prefix.String()
		} else if addr := a.Addr(); addr.IsValid() {
			text += " " + addr.String()
		}
		out = append(out, text)
	}
	return "CP(" + strings.Join(out, ", ") + ")"
}

func (p *printer) delete(x wire.Delete) string {
	out := []string{x.Protocol.String()}
	for _, spi := range x.SPIs {
		out = append(out, p.names.esp(p.from, spi))
	}
	return "D(" + strings.Join(out, " ") + ")"
}

// notify prints the data of the types where it is the point.
func (p *printer) notify(x wire.Notify) string {
	text := x.Type.String()
	if name := p.names.spi(p.from, x.SPI); name != "" {
		text += " " + name
	}
	switch d := x.Data; {
	case x.Type == wire.InvalidKEPayload && len(d) == 2:
		text += " " + sa.Transform{Type: sa.KeyExchange, ID: binary.BigEndian.Uint16(d)}.String()
	case x.Type == wire.Cookie:
		text += " " + p.names.of("cookie-", d)
	case x.Type == wire.InvalidMessageID && len(d) == 4, x.Type == wire.SetWindowSize && len(d) == 4,
		x.Type == wire.ReplayCounterSync && len(d) == 4:
		text += fmt.Sprintf(" %d", binary.BigEndian.Uint32(d))
	case x.Type == wire.ReplayCounterSync && len(d) == 8:
		text += fmt.Sprintf(" %d", binary.BigEndian.Uint64(d))
	case x.Type == wire.MessageIDSync && len(d) == 12:
		next, expected := binary.BigEndian.Uint32(d[4:]), binary.BigEndian.Uint32(d[8:])
		text += fmt.Sprintf(" next request %d, next expected %d", next, expected)
	case x.Type == wire.UnsupportedCriticalPayload && len(d) == 1:
		text += fmt.Sprintf(" %d", d[0])
	}
	return "N(" + text + ")"
}
