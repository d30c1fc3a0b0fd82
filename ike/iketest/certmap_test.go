package iketest

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

// unit puts the owner of a certificate into a unit.
func unit(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{name} }
}

// certMap leads certificates to a profile.
func certMap(t *testing.T, name, profile string, rules ...string) exchange.CertificateMap {
	t.Helper()
	m := exchange.CertificateMap{Name: name, Profile: profile}
	for _, text := range rules {
		r, err := pki.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Rules = append(m.Rules, r)
	}
	return m
}

// profileOf is where a node has let its only peer in; "": nowhere.
func profileOf(n *Node) string {
	if all := n.Established(); len(all) == 1 {
		return all[0].Peer.Profile
	}
	return ""
}

// mappedPair is a gateway with the profiles staff, for everybody, and lab, for whom the map
// "lab" leads to it, and a client with a certificate.
func mappedPair(t *testing.T, p closed, client *pkitest.Issued, tune func(g *exchange.Config)) (l *Lab, g, c *Node) {
	t.Helper()
	l = New(1, Faults{Delay: 5 * time.Millisecond})
	g, c = l.Pair(func(g, c *exchange.Config) {
		p.certify(t, g, c)
		c.Profiles[0].Local = certificate(t, client)
		lab := g.Profiles[0]
		lab.Name, lab.RemoteIdentities = "lab", nil
		g.Profiles = append(g.Profiles, lab)
		g.CertificateMaps = []exchange.CertificateMap{certMap(t, "lab", "lab", "subject-name attr ou eq lab")}
		if tune != nil {
			tune(g)
		}
	})
	l.Run(900 * time.Millisecond)
	return l, g, c
}

// TestCertificateMap: what a certificate says chooses the profile before the identity does,
// and who has no such certificate does not get there.
func TestCertificateMap(t *testing.T) {
	p, other := newClosed(pkitest.ECDSA), newClosed(pkitest.ECDSA)
	inLab := p.root.Leaf("client", pkitest.ECDSA(), mail("client@example"), unit("Lab"))
	for _, tt := range []struct {
		name   string
		client *pkitest.Issued
		tune   func(g *exchange.Config)
		want   string // profile
		reason string // where nobody is let in
	}{
		{"it holds", inLab, nil, "lab", ""},
		{"it does not", p.client, nil, "staff", ""},
		{"nor is another profile there", p.client, func(g *exchange.Config) { g.Profiles = g.Profiles[1:] }, "",
			"that wants to reach gw.example, and no certificate map holds for its certificate"},
		{"the profile does not take the identity", inLab, func(g *exchange.Config) {
			g.Profiles[1].RemoteIdentities = patterns("*@lab.example")
		}, "staff", ""},
		{"the next map, where the first one's profile does not take the identity", inLab, func(g *exchange.Config) {
			other := g.Profiles[1]
			other.Name, other.RemoteIdentities = "other", patterns("*@other.example")
			g.Profiles = append(g.Profiles, other)
			g.CertificateMaps = []exchange.CertificateMap{certMap(t, "other", "other", "subject-name attr ou eq lab"),
				g.CertificateMaps[0]}
		}, "lab", ""},
		{"all rules", inLab, func(g *exchange.Config) {
			g.CertificateMaps[0] = certMap(t, "lab", "lab", "subject-name attr ou eq lab", "subject-name attr c eq de")
		}, "staff", ""},
		{"the first map", inLab, func(g *exchange.Config) {
			g.CertificateMaps = []exchange.CertificateMap{certMap(t, "all", "staff", "issuer-name co example"),
				g.CertificateMaps[0]}
		}, "staff", ""},
		{"a fallback is there for others, too", p.client, func(g *exchange.Config) {
			g.Profiles = g.Profiles[1:]
			g.Profiles[0].Fallback = true
		}, "lab", ""},
		{"a certificate that says so itself",
			other.root.Leaf("client", pkitest.ECDSA(), mail("client@example"), unit("lab")), nil, "",
			"(tunnel group lab): certificate \"asn1dn:CN=client,OU=lab,O=Example\" is of no authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, g, c := mappedPair(t, p, tt.client, tt.tune)
			if got := profileOf(g); got != tt.want || Up(g, c) != (tt.want != "") {
				t.Errorf("profile %q, want %q: %v", got, tt.want, turnedAway(g))
			}
			if tt.reason != "" && !slices.ContainsFunc(turnedAway(g), func(s string) bool {
				return strings.Contains(s, tt.reason)
			}) {
				t.Errorf("got %q, want %q", turnedAway(g), tt.reason)
			}
			g.CheckSnapshot()
			for _, x := range l.Trouble {
				t.Error(x)
			}
		})
	}
}

// TestCertificateMapsChange: an SA stands as long as the maps are the same that have
// decided about its peer, also in the engine that goes on with it; then it ends.
func TestCertificateMapsChange(t *testing.T) {
	p := newClosed(pkitest.ECDSA)
	inLab := p.root.Leaf("client", pkitest.ECDSA(), mail("client@example"), unit("lab"))
	for _, tt := range []struct {
		name   string
		client *pkitest.Issued
		change func(c *exchange.Config)
		ends   bool
	}{
		{"another rule", inLab, func(c *exchange.Config) {
			c.CertificateMaps[0] = certMap(t, "lab", "lab", "subject-name attr ou eq laboratory")
		}, true},
		{"removed", inLab, func(c *exchange.Config) { c.CertificateMaps = nil }, true},
		{"another one before it", inLab, func(c *exchange.Config) {
			c.CertificateMaps = append([]exchange.CertificateMap{certMap(t, "x", "staff", "subject-name co x")},
				c.CertificateMaps...)
		}, true},
		{"another one behind it", inLab, func(c *exchange.Config) {
			c.CertificateMaps = append(c.CertificateMaps, certMap(t, "x", "staff", "subject-name co x"))
		}, false},
		{"another one, for whom none held", p.client, func(c *exchange.Config) {
			c.CertificateMaps = append(c.CertificateMaps, certMap(t, "x", "lab", "subject-name co client"))
		}, true},
		{"nothing", inLab, func(*exchange.Config) {}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, g, c := mappedPair(t, p, tt.client, nil)
			g.Kill() // what is not on record is forgotten
			before := profileOf(g)
			g.reconfigure(func(c *exchange.Config) {
				c.CertificateMaps = slices.Clone(c.CertificateMaps)
				tt.change(c)
			})
			l.Run(100 * time.Millisecond)
			if before == "" || Up(g, c) == tt.ends {
				t.Errorf("was in %q; up %v, ends %v", before, Up(g, c), tt.ends)
			}
			for _, x := range l.Trouble {
				t.Error(x)
			}
		})
	}
}
