package iketest

import (
	"encoding/binary"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// unknownIKESA: a request for an IKE SA that NUT does not have is answered in clear, under
// its own SPIs and message ID, with INVALID_IKE_SPI; that changes nothing (RFC 7296
// sections 1.5, 2.21.4 and 3.10.1).
func unknownIKESA(t *testing.T) {
	x, c := readyUp(t, nil)
	h := x.Header(wire.Informational, 5)
	h.SPIr++
	m := x.one(wire.AppendMessage(nil, h, wire.SK{Body: make([]byte, 64)}))
	n, ok := m.Payloads.Notify(wire.InvalidIKESPI)
	if !ok || len(m.Payloads) != 1 || n.Protocol != wire.ProtocolNone || len(n.SPI)+len(n.Data) != 0 {
		t.Errorf("answered with %v", m.Payloads)
	}
	h.Flags |= wire.FlagResponse
	x.silent("a response", wire.AppendMessage(nil, h, wire.SK{Body: make([]byte, 64)}))
	x.has(c)
	x.alive()
}

// invalidSyntax: an authentic request with a payload that is malformed is answered with
// INVALID_SYNTAX and nothing else, and ends the IKE SA; one that is not authentic is not
// answered, and ends nothing (RFC 7296 sections 2.21.2, 2.21.3 and 3.10.1).
func invalidSyntax(t *testing.T) {
	short := wire.Unknown{Number: wire.TypeSA, Body: []byte{0, 0, 0}}
	x := ready(t, nil)
	x.init()
	x.refused(wire.IKEAuth, wire.InvalidSyntax, replaced(x.authPayloads(x.wish()), short)...)
	x.has()

	for _, kind := range []wire.ExchangeType{wire.CreateChildSA, wire.Informational} {
		y, c := readyUp(t, nil)
		forged := y.Seal(kind, y.next, short)
		forged[len(forged)-1] ^= 1
		y.silent("not authentic", forged)
		y.has(c)
		y.refused(kind, wire.InvalidSyntax, short)
		y.has()
		y.gone()
	}
}

// readyHex is a configuration whose pre-shared key is written in hexadecimal.
var readyHex = fstest.MapFS{
	"system.hcl": {Data: []byte(`
interface "Ethernet0/0" { device = "eth0" }
context "nut" {
  config_url = "file:nut.hcl"
  allocate_interface "Ethernet0/0" { name = "outside" }
}
`)},
	"nut.hcl": {Data: []byte(`
tunnel_group "tn1" {
  type = "site-to-site"
  ikev2 {
    local_authentication  = { pre_shared_key = "hex:abadcafeabadcafeabadcafe00adcafe" }
    remote_authentication = { pre_shared_key = "hex:abadcafeabadcafeabadcafe00adcafe" }
  }
}
`)},
}

// hexKey: a pre-shared key may be any octets, which a configuration has in hexadecimal
// (RFC 7296 section 2.15: it "MUST also accept a hex encoding of the shared secret").
func hexKey(t *testing.T) {
	sys, diags := configs.Load(configs.FSLoader{FS: readyHex}, "system.hcl", configs.Machine{Cores: 4, Memory: 8 << 30})
	if diags.HasErrors() {
		t.Fatal(diags.Err())
	}
	tenant := sys.Contexts[0].Spec
	psk, ok := tenant.TunnelGroups[0].Local.(spec.PSK)
	if !ok {
		t.Fatalf("credential is %T", tenant.TunnelGroups[0].Local)
	}
	const octets = "\xab\xad\xca\xfe\xab\xad\xca\xfe\xab\xad\xca\xfe\x00\xad\xca\xfe"
	for _, tt := range []struct {
		key string
		ok  bool
	}{{octets, true}, {octets[:15] + "\xff", false}, {"abadcafeabadcafeabadcafe00adcafe", false}} {
		x := ready(t, func(c *exchange.Config) {
			c.Profiles[0].Remote = exchange.PSK{Key: tenant.Secret(psk.Key)}
		})
		x.init()
		w := x.wish()
		ps := replaced(x.authPayloads(w), x.proof(x.id, tt.key))
		if !tt.ok {
			x.refused(wire.IKEAuth, wire.AuthenticationFailed, ps...)
			continue
		}
		x.has(x.child(w, x.ask(wire.IKEAuth, ps...)))
	}
}

// marked is a payload all of whose RESERVED fields are ones.
type marked struct{ wire.Payload }

// mark marks all payloads.
func mark(ps ...wire.Payload) (out []wire.Payload) {
	for _, p := range ps {
		out = append(out, marked{p})
	}
	return out
}

// AppendBody implements wire.Payload. b ends with the generic header of the payload.
func (m marked) AppendBody(b []byte) []byte {
	b[len(b)-3] |= 0x7f // all but the critical bit
	start := len(b)
	b = m.Payload.AppendBody(b)
	body := b[start:]
	switch m.PayloadType() {
	case wire.TypeSA:
		markProposals(body)
	case wire.TypeKE:
		copy(body[2:], []byte{0xff, 0xff})
	case wire.TypeIDi, wire.TypeIDr, wire.TypeAuth, wire.TypeTSi, wire.TypeTSr:
		copy(body[1:], []byte{0xff, 0xff, 0xff})
	case wire.TypeCP:
		copy(body[1:], []byte{0xff, 0xff, 0xff})
		for at := 4; at < len(body); at += 4 + int(binary.BigEndian.Uint16(body[at+2:])) {
			body[at] |= 0x80
		}
	}
	return b
}

// markProposals marks the body of an SA payload: the second octet of each proposal and
// of each transform, and the sixth one of a transform.
func markProposals(body []byte) {
	for len(body) > 0 {
		length := int(binary.BigEndian.Uint16(body[2:]))
		body[1] = 0xff
		for at := 8 + int(body[6]); at < length; at += int(binary.BigEndian.Uint16(body[at+2:])) {
			body[at+1], body[at+5] = 0xff, 0xff
		}
		body = body[length:]
	}
}

// reservedFlags are the bits of the header's flags that RFC 7296 section 3.1 names X.
const reservedFlags = wire.Flags(0xc7)

// sealMarked protects the next request of TN1, with all RESERVED fields and flags set.
func (x *readyNode) sealMarked(kind wire.ExchangeType, ps ...wire.Payload) []byte {
	x.t.Helper()
	return x.sealFlagged(kind, reservedFlags, mark(ps...)...)
}

// sealFlagged protects the next request of TN1, with these flags beside its own.
func (x *readyNode) sealFlagged(kind wire.ExchangeType, flags wire.Flags, ps ...wire.Payload) []byte {
	x.t.Helper()
	h := x.Header(kind, x.next)
	h.Flags |= flags
	x.next++
	x.iv++
	b, err := x.sealer.Seal(nil, h, x.iv, x.nut.Config.Rand, ps...)
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

// reservedInit: RESERVED fields of IKE_SA_INIT, and the flags without a meaning, say
// nothing; those of the answer are zero (RFC 7296 sections 2.5, 3.1, 3.2, 3.3 and 3.4).
func reservedInit(t *testing.T) {
	x := ready(t, nil)
	h := x.Header(wire.IKESAInit, 0)
	h.Flags |= reservedFlags
	r := x.initWith(wire.AppendMessage(nil, h, mark(x.InitPayloads()...)...))
	if again := wire.AppendMessage(nil, r.Header, r.Payloads...); !slices.Equal(again, r.raw) {
		t.Errorf("RESERVED fields of the answer are not zero: %x", r.raw)
	}
	x.has(x.auth(x.wish()))
}

// reservedAuth: nor do those of IKE_AUTH; but AUTH covers those of IDi (RFC 7296 sections
// 2.5, 2.15, 3.5, 3.8 and 3.13).
func reservedAuth(t *testing.T) {
	x := ready(t, nil)
	x.init()
	w := x.wish()
	x.id.Reserved = [3]byte{0xff, 0xff, 0xff}
	ps := x.open(x.one(x.sealMarked(wire.IKEAuth, x.authPayloads(w)...)))
	x.authentic(ps)
	x.has(x.child(w, ps))
}

// reservedCreate: nor do those of CREATE_CHILD_SA (RFC 7296 sections 2.5 and 3.1 to 3.13).
func reservedCreate(t *testing.T) {
	x, first := readyUp(t, nil)
	w := x.wish()
	second := x.child(w, x.open(x.one(x.sealMarked(wire.CreateChildSA, w.payloads()...))))
	w = x.rekeying(second)
	third := x.child(w, x.open(x.one(x.sealMarked(wire.CreateChildSA, w.payloads()...))))
	x.has(first, second, third)
}

// reservedInformational: nor do those of INFORMATIONAL (RFC 7296 sections 2.5, 3.1 and
// 3.2).
func reservedInformational(t *testing.T) {
	x, c := readyUp(t, nil)
	if ps := x.open(x.one(x.sealMarked(wire.Informational))); len(ps) != 0 {
		t.Errorf("answered with %v", ps)
	}
	ps := x.open(x.one(x.sealMarked(wire.Informational, deleteESP(c.In.SPI))))
	if d, _ := wire.Find[wire.Delete](ps); len(d.SPIs) != 1 || d.SPIs[0] != c.Out.SPI {
		t.Errorf("answered with %v", ps)
	}
	x.has()
	x.alive()
}

// versionBit: the flag by which a peer says that it could speak a higher major version
// changes nothing, and the answers do not have it (RFC 7296 section 3.1; see one).
func versionBit(t *testing.T) {
	x := ready(t, nil)
	h := x.Header(wire.IKESAInit, 0)
	h.Flags |= wire.FlagHigherVersion
	x.initWith(wire.AppendMessage(nil, h, x.InitPayloads()...))
	w := x.wish()
	c := x.child(w, x.open(x.one(x.sealFlagged(wire.IKEAuth, wire.FlagHigherVersion, x.authPayloads(w)...))))
	x.open(x.one(x.sealFlagged(wire.Informational, wire.FlagHigherVersion)))
	x.has(c)
}

// responseBit: a message with the flag of a response that answers nothing is dropped, and
// is not answered; its message ID is not used up (RFC 7296 sections 2.2 and 3.1).
func responseBit(t *testing.T) {
	x := ready(t, nil)
	h := x.Header(wire.IKESAInit, 0)
	h.Flags |= wire.FlagResponse
	x.silent("IKE_SA_INIT", wire.AppendMessage(nil, h, x.InitPayloads()...))
	x.init()
	w := x.wish()
	x.silent("IKE_AUTH", x.sealFlagged(wire.IKEAuth, wire.FlagResponse, x.authPayloads(w)...))
	x.next--
	c := x.auth(w)
	x.silent("CREATE_CHILD_SA", x.sealFlagged(wire.CreateChildSA, wire.FlagResponse, x.wish().payloads()...))
	x.next--
	x.silent("INFORMATIONAL", x.sealFlagged(wire.Informational, wire.FlagResponse, deleteESP(c.In.SPI)))
	x.next--
	x.has(c)
	x.alive()
}

// unknownNotify: notifications of a request that nobody knows say nothing, whether their
// number is one of errors or of statuses (RFC 7296 section 3.10.1).
func unknownNotify(t *testing.T) {
	for _, kind := range []wire.NotifyType{100, 8191, 16383, 20000, 40959, 65535} {
		odd := wire.Notify{Type: kind, Data: []byte("whatever")}
		x := ready(t, nil)
		x.initWith(x.initRequest(append(x.InitPayloads(), odd)...))
		w := x.wish()
		c := x.child(w, x.ask(wire.IKEAuth, append(x.authPayloads(w), odd)...))
		w = x.rekeying(c)
		next := x.child(w, x.ask(wire.CreateChildSA, append(w.payloads(), odd)...))
		if ps := x.ask(wire.Informational, odd); len(ps) != 0 {
			t.Errorf("notification %d: answered with %v", kind, ps)
		}
		x.has(c, next)
	}
}
