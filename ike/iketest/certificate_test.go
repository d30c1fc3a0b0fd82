package iketest

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// certificate is a credential of ours.
func certificate(t *testing.T, i *pkitest.Issued) exchange.Certificate {
	t.Helper()
	own, err := pki.NewOwn(i.Chain, i.Key)
	if err != nil {
		t.Fatal(err)
	}
	return exchange.Certificate{Own: own}
}

// authorities verify peers, with a CRL of each that revokes.
func authorities(t *testing.T, crl []byte, all ...*pkitest.Issued) exchange.Authorities {
	t.Helper()
	var cfg pki.TrustConfig
	for _, a := range all {
		cfg.Authorities = append(cfg.Authorities, a.Chain[0])
	}
	if crl != nil {
		list, err := pki.ParseCRL(crl)
		if err != nil {
			t.Fatal(err)
		}
		cfg.CRLs, cfg.Revocation = []*pki.CRL{list}, pki.RevocationHard
	}
	trust, err := pki.NewTrust(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return exchange.Authorities{Trust: trust}
}

// domain and mail are names in a certificate.
func domain(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = []string{name} }
}

func mail(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.EmailAddresses = []string{name} }
}

// closed is a PKI with a gateway and a client in it.
type closed struct {
	root, gateway, client *pkitest.Issued
}

func newClosed(key func() crypto.Signer) closed {
	root := pkitest.Root("root")
	return closed{root, root.Authority("gateways").Leaf("gw", key(), domain("gw.example")),
		root.Leaf("client", key(), mail("client@example"))}
}

// certify has both sides prove themselves by certificate.
func (p closed) certify(t *testing.T, g, c *exchange.Config) {
	t.Helper()
	g.Profiles[0].Local, g.Profiles[0].Remote = certificate(t, p.gateway), authorities(t, nil, p.root)
	c.Profiles[0].Local, c.Profiles[0].Remote = certificate(t, p.client), authorities(t, nil, p.root)
}

// TestCertificates: with each kind of key, on both sides or one of them, the SA comes up,
// and nobody else is known but who the certificates say.
func TestCertificates(t *testing.T) {
	psk := exchange.PSK{Key: secret.Copy([]byte("key of the other one"))}
	for _, tt := range []struct {
		name string
		key  func() crypto.Signer
		tune func(g, c *exchange.Profile)
	}{
		{"P-256", pkitest.ECDSA, nil},
		{"P-384", func() crypto.Signer { return pkitest.OnCurve(elliptic.P384()) }, nil},
		{"P-521", func() crypto.Signer { return pkitest.OnCurve(elliptic.P521()) }, nil},
		{"RSA", func() crypto.Signer { return pkitest.RSA(2048) }, nil},
		{"Ed25519", pkitest.Ed25519, nil},
		{"the gateway alone", pkitest.ECDSA, func(g, c *exchange.Profile) { g.Remote, c.Local = psk, psk }},
		{"the client alone", pkitest.ECDSA, func(g, c *exchange.Profile) { g.Local, c.Remote = psk, psk }},
		{"by distinguished names", pkitest.ECDSA, func(g, c *exchange.Profile) {
			g.LocalIdentity, c.LocalIdentity = identity.Identity{}, identity.Identity{}
			g.RemoteIdentities = patterns("asn1dn:CN=*,O=Example")
			c.RemoteIdentities = patterns("asn1dn:CN=gw,O=Example")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := New(1, Faults{Delay: 5 * time.Millisecond})
			p := newClosed(tt.key)
			g, c := l.Pair(func(g, c *exchange.Config) {
				p.certify(t, g, c)
				if tt.tune != nil {
					tt.tune(&g.Profiles[0], &c.Profiles[0])
				}
			})
			l.Run(900 * time.Millisecond)
			if !Up(g, c) {
				t.Errorf("not up: %v, %v", turnedAway(g), turnedAway(c))
			}
			g.CheckSnapshot()
			for _, x := range l.Trouble {
				t.Error(x)
			}
		})
	}
}

// turnedAway is why a node has turned somebody away.
func turnedAway(n *Node) (out []string) {
	for _, e := range n.Events {
		if r, ok := e.(exchange.Refused); ok && !slices.Contains(out, r.Reason) {
			out = append(out, r.Reason)
		}
	}
	return out
}

// TestCertificatesRefused: who does not prove to be who it says is told
// AUTHENTICATION_FAILED and nothing more, the operator gets one line, and nothing is left.
func TestCertificatesRefused(t *testing.T) {
	p, other := newClosed(pkitest.ECDSA), newClosed(pkitest.ECDSA)
	old := func(c *x509.Certificate) { c.NotAfter = Start.Add(-time.Hour) }
	for _, tt := range []struct {
		name string
		tune func(g, c *exchange.Profile)
		want string // of the gateway
	}{
		{"of another authority", func(_, c *exchange.Profile) { c.Local = certificate(t, other.client) },
			`peer client@example does not prove its identity (tunnel group staff): certificate ` +
				`"asn1dn:CN=client,O=Example" is of no authority that is trusted; its issuer is "asn1dn:CN=root,O=Example"`},
		{"expired", func(_, c *exchange.Profile) {
			c.Local = certificate(t, p.root.Leaf("client", pkitest.ECDSA(), mail("client@example"), old))
		}, `certificate "asn1dn:CN=client,O=Example" has expired on 2026-01-02 02:04:05 UTC`},
		{"of somebody else", func(_, c *exchange.Profile) { c.LocalIdentity = identity.MustParse("admin@example") },
			`peer admin@example does not prove its identity (tunnel group staff): certificate ` +
				`"asn1dn:CN=client,O=Example" does not have the name admin@example`},
		{"revoked", func(g, _ *exchange.Profile) {
			g.Remote = authorities(t, p.root.CRL(pkitest.End, p.client), p.root)
		}, `certificate "asn1dn:CN=client,O=Example" was revoked on`},
		{"with a key instead", func(_, c *exchange.Profile) {
			c.Local = exchange.PSK{Key: secret.Copy([]byte("any"))}
		}, "peer client@example authenticates with shared key; tunnel group staff has certificates"},
		{"instead of a key", func(g, _ *exchange.Profile) { g.Remote = exchange.PSK{Key: secret.Copy([]byte("any"))} },
			"peer client@example authenticates with digital signature; tunnel group staff has a pre-shared key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := New(1, Faults{Delay: 5 * time.Millisecond})
			g, c := l.Pair(func(g, c *exchange.Config) {
				p.certify(t, g, c)
				tt.tune(&g.Profiles[0], &c.Profiles[0])
			})
			l.Run(900 * time.Millisecond) // one attempt
			got := turnedAway(g)
			if Up(g, c) || len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			const told = "peer refuses IKE_AUTH: AUTHENTICATION_FAILED"
			if got := turnedAway(c); len(got) != 1 || !strings.HasPrefix(got[0], told) {
				t.Errorf("the client has heard %q", got)
			}
			for _, x := range l.Trouble {
				t.Error(x)
			}
		})
	}
}

// TestClientExaminesGateway: a client does not come up with a gateway that does not prove
// to be the one that it wants.
func TestClientExaminesGateway(t *testing.T) {
	p := newClosed(pkitest.ECDSA)
	usage := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	for name, tt := range map[string]struct {
		gateway *pkitest.Issued
		want    string
	}{
		"another name": {p.root.Leaf("gw", pkitest.ECDSA(), domain("www.example")),
			"does not have the name gw.example"},
		"a client": {p.root.Leaf("gw", pkitest.ECDSA(), domain("gw.example"), usage),
			"neither ipsecIKE nor serverAuth"},
		"of somebody unknown": {pkitest.Root("x").Leaf("gw", pkitest.ECDSA(), domain("gw.example")),
			"of no authority"},
	} {
		t.Run(name, func(t *testing.T) {
			l := New(1, Faults{Delay: 5 * time.Millisecond})
			g, c := l.Pair(func(g, c *exchange.Config) {
				p.certify(t, g, c)
				g.Profiles[0].Local = certificate(t, tt.gateway)
			})
			l.Run(900 * time.Millisecond)
			if got := turnedAway(c); Up(g, c) || len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("%q", got)
			}
			if n := len(g.Engine.Status()); n != 0 {
				t.Errorf("the gateway is left with %d SAs", n)
			}
		})
	}
}

// TestWorkTakesTime: what a client repeats while its signature is being verified is passed
// over; it is let in when that is done, and by another engine when the first one has died
// over it.
func TestWorkTakesTime(t *testing.T) {
	for name, kill := range map[string]bool{"the same": false, "another": true} {
		t.Run(name, func(t *testing.T) {
			l := New(1, Faults{Delay: 5 * time.Millisecond})
			p := newClosed(pkitest.ECDSA)
			g, c := l.Pair(func(g, c *exchange.Config) { p.certify(t, g, c) })
			g.Slow = true
			l.Run(2 * time.Second) // the client has repeated its request
			if len(g.Undone) != 1 || Up(g, c) {
				t.Fatalf("%d of one are to be worked on; up %v", len(g.Undone), Up(g, c))
			}
			stale := g.Undone[0]
			if kill {
				g.Kill()
				g.Undone = nil
				l.Run(5 * time.Second)
				if len(g.Undone) != 1 || g.Undone[0].Work == stale.Work {
					t.Fatalf("after the kill: %v", g.Undone)
				}
				answer := exchange.AnswerWork{Question: g.Undone[0].Question, Work: stale.Work}
				var out exchange.Output
				if g.Engine.Answer(l.Now, answer, &out) == nil {
					t.Error("work that another engine had asked for is taken")
				}
				g.Kill() // which has forgotten what it waits for
				g.Undone = nil
				l.Run(10 * time.Second)
			}
			g.Slow = false
			g.Work()
			if !l.Until(time.Minute, func() bool { return Up(g, c) }) {
				t.Errorf("not up: %v", turnedAway(g))
			}
			for _, x := range l.Trouble {
				t.Error(x)
			}
		})
	}
}

// TestWorkNobodyDoes: a handshake whose work is never done ends in its time, on either
// side.
func TestWorkNobodyDoes(t *testing.T) {
	p := newClosed(pkitest.ECDSA)
	for _, side := range []string{"gateway", "client"} {
		t.Run(side, func(t *testing.T) {
			l := New(1, Faults{Delay: 5 * time.Millisecond})
			g, c := l.Pair(func(g, c *exchange.Config) { p.certify(t, g, c) })
			lazy := g
			if side == "client" {
				lazy = c
			}
			lazy.Slow = true
			const want = "its signatures were not verified or made in time"
			if !l.Until(2*time.Minute, func() bool { return slices.Contains(turnedAway(lazy), want) }) {
				t.Errorf("%v", turnedAway(lazy))
			}
			lazy.Slow = false
			lazy.Work()
			if !l.Until(2*time.Minute, func() bool { return Up(g, c) }) {
				t.Error("it does not come up afterwards")
			}
		})
	}
}

// TestCertificatesOverABadWire: repeats are answered, fragments get lost, the gateway may
// be killed between any two datagrams, and no nonce comes twice.
func TestCertificatesOverABadWire(t *testing.T) {
	p := newClosed(pkitest.ECDSA)
	for seed := range uint64(20) {
		l := New(seed, Faults{Delay: 5 * time.Millisecond, Jitter: 50 * time.Millisecond, Drop: 0.2, Duplicate: 0.2})
		g, c := l.Pair(func(g, c *exchange.Config) { p.certify(t, g, c) })
		n := uint64(0)
		l.Before = func() {
			if n++; n == seed {
				g.Kill()
			}
		}
		if !l.Until(5*time.Minute, func() bool { return Up(g, c) }) {
			t.Errorf("seed %d: not up: %v", seed, turnedAway(g))
		}
		g.CheckSnapshot()
		for _, x := range l.Trouble {
			t.Errorf("seed %d: %s", seed, x)
		}
	}
}

// TestSaidOfCertificates: the gateway asks for certificates of its authorities and says
// which hashes it understands, to those alone who say so; without certificates it says
// neither.
func TestSaidOfCertificates(t *testing.T) {
	p := newClosed(pkitest.ECDSA)
	for _, tt := range []struct {
		name            string
		gateway, client bool // have certificates
		hashes, asks    bool // are in the response
	}{
		{"neither", false, false, false, false},
		{"both", true, true, true, true},
		{"a client without", true, false, false, true},
		{"a gateway without", false, true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := New(1, Faults{Delay: 5 * time.Millisecond})
			var hashes, asks bool
			l.Spy = func(from *Node, d exchange.Datagram) {
				m, err := wire.ParseMessage(d.Payload)
				if err != nil || m.Exchange != wire.IKESAInit || from.Name != "gateway" {
					return
				}
				_, hashes = m.Payloads.Notify(wire.SignatureHashAlgorithms)
				q, ok := wire.Find[wire.CertReq](m.Payloads)
				h := pki.KeyHash(p.root.Chain[0])
				asks = ok && q.Encoding == wire.CertX509 && string(q.Authorities) == string(h[:])
			}
			l.Pair(func(g, c *exchange.Config) {
				plainG, plainC := g.Profiles[0], c.Profiles[0]
				p.certify(t, g, c)
				if !tt.gateway {
					g.Profiles[0] = plainG
				}
				if !tt.client {
					c.Profiles[0] = plainC
				}
			})
			l.Run(500 * time.Millisecond)
			if hashes != tt.hashes || asks != tt.asks {
				t.Errorf("hashes %v, CERTREQ %v", hashes, asks)
			}
		})
	}
}

// TestRenewedCertificate: a certificate that is renewed, and an authority that comes to be
// trusted, end nothing; one that is trusted no longer ends the SAs of the group.
func TestRenewedCertificate(t *testing.T) {
	p, other := newClosed(pkitest.ECDSA), pkitest.Root("other")
	l := New(1, Faults{Delay: 5 * time.Millisecond})
	g, c := l.Pair(func(g, c *exchange.Config) { p.certify(t, g, c) })
	l.Run(900 * time.Millisecond)
	configure := func(change func(*exchange.Profile)) {
		cfg := g.Config
		cfg.Profiles = slices.Clone(cfg.Profiles)
		change(&cfg.Profiles[0])
		g.Config = cfg
		g.Do(func(out *exchange.Output) error { return g.Engine.Reconfigure(l.Now, &cfg, out) })
	}
	configure(func(x *exchange.Profile) {
		x.Local = certificate(t, p.root.Leaf("gw", pkitest.ECDSA(), domain("gw.example")))
		x.Remote = authorities(t, nil, other, p.root)
	})
	if !Up(g, c) {
		t.Fatal("a renewed certificate has ended the SA")
	}
	configure(func(x *exchange.Profile) { x.Remote = authorities(t, nil, other) })
	l.Run(100 * time.Millisecond)
	if Up(g, c) {
		t.Error("the SA stands though nobody vouches for the client any more")
	}
}
