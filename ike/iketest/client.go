package iketest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/eap/eaptest"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// Client is a model of what a client offers as it ships: the transforms, notifies and
// attributes that its vendor documents. It is not the client. It proves itself as a
// test wants, whatever the real one does, it has none of its timers, and what no vendor
// writes down is missing here.
type Client struct {
	Name   string
	Source string // where its defaults are written down

	IKE, ESP  []sa.Proposal
	Group     uint16            // of its first KE payload
	Init      []wire.NotifyType // beside what every client says
	Auth      []wire.NotifyType
	Asks      []wire.AttributeType
	FixedKE   bool // it does not begin again with the group that an INVALID_KE_PAYLOAD names
	Selectors []string
}

// Clients are the models.
func Clients() []Client {
	both := []string{"0.0.0.0/0", "::/0"}
	apple := []wire.AttributeType{wire.InternalIP4Address, wire.InternalIP4DHCP, wire.InternalIP4DNS,
		wire.InternalIP4Netmask, wire.InternalIP6Address, wire.InternalIP6DHCP, wire.InternalIP6DNS,
		wire.InternalDNSDomain}
	android := []wire.AttributeType{wire.InternalIP4Address, wire.InternalIP6Address, wire.InternalIP4DNS,
		wire.InternalIP6DNS, wire.InternalIP4Netmask, wire.ApplicationVersion}
	windows := []wire.AttributeType{wire.InternalIP4Address, wire.InternalIP4DNS, wire.InternalIP4NBNS,
		wire.InternalIP6Address, wire.InternalIP6DNS}
	androidCBC := []string{"aes-256-cbc", "aes-192-cbc", "aes-128-cbc"}
	androidAEAD := []string{"aes-256-gcm", "aes-192-gcm", "aes-128-gcm", "chacha20-poly1305"}
	sha2 := []string{"sha512", "sha384", "sha256"}
	androidESP := []sa.Proposal{proposed(androidAEAD, nil, nil, nil), proposed(androidCBC, sha2, nil, nil)}
	return []Client{
		{
			Name: "Apple, iOS 16.5 and macOS 13.4 on", Source: "Apple Platform Deployment, IKEv2 MDM settings",
			IKE: []sa.Proposal{proposed([]string{"aes-256-cbc"}, []string{"sha256"}, []string{"sha256"},
				[]string{"modp2048", "ecp256"})},
			ESP:   []sa.Proposal{proposed([]string{"aes-256-cbc"}, []string{"sha256"}, nil, nil)},
			Group: sa.KEModp2048,
			Init:  []wire.NotifyType{wire.RedirectSupported, wire.FragmentationSupported},
			Auth: []wire.NotifyType{wire.InitialContact, wire.ESPTFCPaddingNotSupported, wire.NonFirstFragmentsAlso,
				wire.MOBIKESupported},
			Asks: apple, Selectors: both,
		},
		{
			Name: "Android 13 on", Source: "Android's IKE library, VpnProfile defaults",
			IKE: []sa.Proposal{
				proposed(androidCBC, sha2, sha2, []string{"modp4096", "x25519", "modp3072", "modp2048"}),
				proposed(androidAEAD, nil, sha2, []string{"modp4096", "x25519", "modp3072", "modp2048"}),
			},
			ESP: androidESP, Group: sa.KEModp4096,
			Init: []wire.NotifyType{wire.FragmentationSupported},
			Auth: []wire.NotifyType{wire.MOBIKESupported, wire.EAPOnlyAuthentication},
			Asks: android, Selectors: both,
		},
		{
			Name: "Android 11 and 12", Source: "Android's IKE library, VpnProfile defaults",
			IKE: []sa.Proposal{
				proposed(androidCBC, sha2, sha2, []string{"modp4096", "modp2048"}),
				proposed(androidAEAD[:3], nil, sha2, []string{"modp4096", "modp2048"}),
			},
			ESP: androidESP, Group: sa.KEModp4096,
			Init: []wire.NotifyType{wire.FragmentationSupported},
			Auth: []wire.NotifyType{wire.EAPOnlyAuthentication},
			Asks: android, Selectors: both,
		},
		{
			Name: "Windows 10 and 11, NegotiateDH2048_AES256 = 2", Source: "Microsoft Learn, RasMan registry settings",
			IKE: []sa.Proposal{
				proposed([]string{"aes-256-cbc"}, []string{"sha256"}, []string{"sha256"}, []string{"modp2048"}),
				proposed([]string{"aes-256-cbc"}, []string{"sha384"}, []string{"sha384"}, []string{"modp2048"}),
			},
			ESP:   []sa.Proposal{proposed([]string{"aes-256-cbc"}, []string{"sha256"}, nil, nil)},
			Group: sa.KEModp2048, FixedKE: true,
			Init: []wire.NotifyType{wire.FragmentationSupported},
			Auth: []wire.NotifyType{wire.MOBIKESupported},
			Asks: windows, Selectors: both,
		},
		{
			Name: "Windows 10 and 11 as they ship", Source: "Microsoft Learn, VPN cryptography defaults",
			IKE: []sa.Proposal{
				proposed([]string{"aes-256-cbc"}, []string{"sha1", "sha256", "sha384"},
					[]string{"sha1", "sha256", "sha384"}, []string{"modp1024"}),
				proposed([]string{"3des"}, []string{"sha1", "sha256", "sha384"}, []string{"sha1", "sha256", "sha384"},
					[]string{"modp1024"}),
			},
			ESP:   []sa.Proposal{proposed([]string{"aes-256-cbc"}, []string{"sha1"}, nil, nil)},
			Group: sa.KEModp1024, FixedKE: true,
			Init: []wire.NotifyType{wire.FragmentationSupported},
			Auth: []wire.NotifyType{wire.MOBIKESupported},
			Asks: windows, Selectors: both,
		},
	}
}

// Connect has s, which has sent nothing yet, connect as the client does, with identity id
// and key psk. It returns the response to IKE_AUTH, or the error that the node named.
func (c Client) Connect(s *Stranger, id identity.Identity, psk string) (wire.Payloads, error) {
	ps, err := c.begin(s, id, psk)
	if err != nil {
		return nil, err
	}
	return c.judge(s.Request(wire.IKEAuth, ps...))
}

// LogIn is Connect by EAP, as p does it. It returns the last response to IKE_AUTH.
func (c Client) LogIn(s *Stranger, id identity.Identity, p *eaptest.Peer) (wire.Payloads, error) {
	ps, err := c.begin(s, id, "no key")
	if err != nil {
		return nil, err
	}
	ps = slices.DeleteFunc(ps, func(p wire.Payload) bool { return p.PayloadType() == wire.TypeAuth })
	return c.judge(s.LogIn(s.Request(wire.IKEAuth, ps...), p, id))
}

// begin does IKE_SA_INIT and returns what the client says in IKE_AUTH.
func (c Client) begin(s *Stranger, id identity.Identity, psk string) (wire.Payloads, error) {
	s.IKE, s.ESP, s.Group = c.IKE, c.ESP, c.Group
	if err := c.init(s); err != nil {
		return nil, err
	}
	ps := s.AuthPayloads(id, psk)
	for i, p := range ps {
		switch p.(type) {
		case wire.CP:
			cp := wire.CP{Type: wire.CPRequest}
			for _, t := range c.Asks {
				cp.Attributes = append(cp.Attributes, wire.Attribute{Type: t})
			}
			ps[i] = cp
		case wire.TSi:
			ps[i] = wire.TSi{TS: c.selectors()}
		case wire.TSr:
			ps[i] = wire.TSr{TS: c.selectors()}
		}
	}
	for _, t := range c.Auth {
		ps = append(ps, wire.Notify{Type: t})
	}
	return ps, nil
}

// judge returns the error of an answer that brings no child SA.
func (c Client) judge(answer wire.Payloads) (wire.Payloads, error) {
	if i := slices.IndexFunc(answer, isError); i >= 0 {
		return answer, fmt.Errorf("iketest: %s is refused: %v", c.Name, answer[i])
	}
	if answer.Count(wire.TypeSA) != 1 {
		return answer, fmt.Errorf("iketest: %s gets no child SA: %v", c.Name, answer)
	}
	return answer, nil
}

// init does IKE_SA_INIT, again where the node wants another group.
func (c Client) init(s *Stranger) error {
	for range 2 {
		ps := s.InitPayloads()
		for _, t := range c.Init {
			ps = append(ps, wire.Notify{Type: t})
		}
		s.request = wire.AppendMessage(nil, s.Header(wire.IKESAInit, 0), ps...)
		sent := s.Send(s.request)
		if len(sent) != 1 {
			return fmt.Errorf("iketest: %s gets %d answers to IKE_SA_INIT", c.Name, len(sent))
		}
		if s.ReceiveInit(sent[0]) {
			return nil
		}
		m, err := wire.ParseMessage(sent[0])
		if err != nil {
			return err
		}
		n, ok := m.Payloads.Notify(wire.InvalidKEPayload)
		if !ok || len(n.Data) != 2 || c.FixedKE {
			return fmt.Errorf("iketest: %s is refused: %v", c.Name, m.Payloads)
		}
		s.Group, s.key = binary.BigEndian.Uint16(n.Data), nil
	}
	return fmt.Errorf("iketest: %s is asked for one group after the other", c.Name)
}

func (c Client) selectors() (ts wire.TS) {
	for _, text := range c.Selectors {
		ts.Selectors = append(ts.Selectors, sa.SelectorOf(netip.MustParsePrefix(text)))
	}
	return ts
}

// isError reports whether a payload is a notify of an error.
func isError(p wire.Payload) bool {
	n, ok := p.(wire.Notify)
	return ok && n.Type.IsError()
}
