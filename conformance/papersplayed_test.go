//go:build e2e

package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// researchAnd are two profiles of clients, whose identities are patterns: one may reach
// alice alone, the other venus alone.
func researchAnd(research, accounting string) string {
	resource := func(name, address string) string {
		return fmt.Sprintf("group_policy %q { split_tunnel = [%q] }\n", name, address)
	}
	group := func(name, pattern string) string {
		return clients(name, pattern, `"rw"`, fmt.Sprintf("  default_group_policy = %q\n", name))
	}
	return pool("rw", "10.3.0.1-10.3.0.14") + resource("research", "10.1.0.10/32") +
		resource("accounting", "10.1.0.20/32") + group("research", research) + group("accounting", accounting) + dynamic
}

// certMap leads certificates of an authority to a tunnel group.
func certMap(group, issuer string) string {
	return fmt.Sprintf("certificate_map %q {\n  rules        = [%q]\n  tunnel_group = %q\n}\n", group,
		"issuer-name attr cn eq "+issuer, group)
}

// asksFor is a client of researchAnd: a child SA for each of alice and venus.
func asksFor(name string) settings {
	return client(name, append(byPapers("home"), "-home.children.home.remote_ts", "-home.local.id",
		"home.children.alice.remote_ts = 10.1.0.10/32", "home.children.venus.remote_ts = 10.1.0.20/32")...)
}

// oneEach has carol reach alice and not venus, and dave the other way round.
var oneEach = []step{up("carol", "alice"), refused("carol", "venus", "TS_UNACCEPT"), up("dave", "venus"),
	refused("dave", "alice", "TS_UNACCEPT"), sas(2, 1), ping("carol", "alice"), ping("dave", "venus")}

// byPaper is a site whose ends have certificates.
func byPaper(name string, changes ...string) step {
	return papered("sun", name, site(append(byPapers("gw-gw"), changes...)...))
}

// shutOut has somebody refused, for a reason that moon logs, and nothing left.
func shutOut(name, child string, reason ...string) []step {
	return []step{refused(name, child, "AUTH_FAILED"), denied(reason...), sas(0, 0), unestablished(name)}
}

// oneNetwork are hosts in the network outside, with certificates.
var oneNetwork = hosts(`"192.168.0.0/24"`)

// byCertificate are scenarios about certificates.
var byCertificate = []scenario{
	{number: 1, moon: gateway(certified("moon", oneNetwork)), steps: append(carolAnd("carol", "dave"), bothUp...)},
	{number: 5, moon: gateway(strings.Replace(certified("moon", oneNetwork),
		`remote_authentication = { certificate = "peers" }`,
		fmt.Sprintf("remote_authentication = { pre_shared_key = %q }", key), 1)), steps: append([]step{
		papered("carol", "carol", hostClient("carol", "home.remote.auth = pubkey")),
		papered("dave", "dave", hostClient("dave", "home.remote.auth = pubkey")),
	}, bothUp...)},
	{number: 6, moon: gateway(certified("moon", pool("rw", "10.3.0.1-10.3.0.14")+
		clients("certificates", "*@strongswan.org", `"rw"`)+dynamic),
		strings.ReplaceAll(clients("keys", "*@strongswan.org", `"rw"`), "moon.strongswan.org", "keys.strongswan.org")),
		steps: append([]step{
			papered("carol", "carol", client("carol", byPapers("home")...)),
			peer("dave", client("dave", "home.remote.id = keys.strongswan.org")),
		}, bothUp...)},
	{number: 10, moon: gateway(certified("moon RSA", oneNetwork)), note: "moon signs with PKCS #1", steps: []step{
		papered("carol", "carol RSA", hostClient("carol", append(byPapers("home"), "charon.rsa_pss = yes")...)),
		up("carol", "home"), logged("carol", `\(myself\) with (RSA_EMSA_PSS_SHA2_\d+)`), sas(1, 1),
		ping("carol", "alice"), ping("alice", "carol"),
	}},
	{number: 11, moon: gateway(certified("moon Ed25519", oneNetwork, fmt.Sprintf("certificate_policies = %q", policy))),
		steps: slices.Concat(carolAnd("carol Ed25519", "dave Ed25519"), []step{up("carol", "home"), sas(1, 1),
			ping("carol", "alice"), refused("dave", "home", "AUTH_FAILED"),
			denied("CN=dave", "has no certificate policy that is asked for: "+policy)})},
	{number: 13, moon: gateway(certified("moon", strings.Replace(oneNetwork, "*@", "carol@", 1))), steps: slices.Concat(
		carolAnd("carol", "dave"), []step{up("carol", "home"), ping("carol", "alice"),
			refused("dave", "home", "AUTH_FAILED"), denied("no tunnel group is for peer dave@strongswan.org"),
			sas(1, 1)})},
	{number: 14, moon: gateway(certified("moon", researchAnd("asn1dn:CN=*,OU=Research,O=Example",
		"asn1dn:CN=*,OU=Accounting,O=Example"))), note: "clients have addresses of moon's", steps: append([]step{
		papered("carol", "carol", asksFor("carol")), papered("dave", "dave", asksFor("dave")),
	}, oneEach...)},
	{number: 15, moon: gateway(certified("moon", strings.Replace(oneNetwork, "*@strongswan.org",
		"asn1dn:CN=carol,OU=*,O=Example", 1))), steps: []step{
		papered("carol", "carol, carol of accounting", twoTunnels), up("carol", "alice"), up("carol", "venus"),
		sas(2, 1), ping("carol", "alice"), ping("carol", "venus"),
	}},
	{number: 16, moon: gateway(certified("moon P-521", oneNetwork)), steps: slices.Concat(
		carolAnd("carol", "dave P-384"), bothUp, []step{logged("carol", `moon.* with (ECDSA\S+) successful`),
			logged("dave", `\(myself\) with (ECDSA\S+)`)})},
	{number: 17, moon: gateway(strings.Replace(certified("moon RSA", oneNetwork), `{ file = "moon.key" }`,
		fmt.Sprintf(`{ file = "moon.enc", password = %q }`, filePassword), 1)), steps: []step{
		papered("carol", "carol RSA", hostClient("carol", append(byPapers("home"), "secrets.private-own.file = own.pem",
			fmt.Sprintf("secrets.private-own.secret = %q", filePassword))...)),
		up("carol", "home"), logged("carol", `moon.* with (RSA_EMSA_PKCS1_SHA2_\d+) successful`), sas(1, 1),
		ping("carol", "alice"), ping("alice", "carol"),
	}},
	{number: 18, moon: gateway(certified("moon", oneNetwork)), note: "all certificates end in 2120",
		steps: append(carolAnd("carol", "dave"), bothUp...)},
	{number: 19, moon: gateway(certified("moon", sun)), steps: append([]step{
		byPaper("sun critical", "charon.x509.enforce_critical = no")},
		shutOut("sun", "net-net", "has a critical extension that is not understood")...)},
	{number: 24, moon: gateway(certified("moon", sun)), steps: append([]step{byPaper("sun")}, siteUp...)},
	{number: 44, moon: gateway(certified("moon Ed25519", sun)), steps: slices.Concat([]step{byPaper("sun Ed25519")},
		siteUp, []step{logged("sun", `moon.* with (ED25519) successful`)})},
	{number: 45, moon: gateway(fromPKCS12(certified("moon RSA", sun))), note: "sun has its own in PEM",
		steps: append([]step{byPaper("sun RSA")}, siteUp...)},
	{number: 46, moon: gateway(certified("moon RSA", sun)), steps: slices.Concat([]step{byPaper("sun RSA")}, siteUp,
		[]step{logged("sun", `moon.* with (RSA_EMSA_PKCS1_SHA2_\d+) successful`),
			logged("sun", `\(myself\) with (RSA_EMSA_PKCS1_SHA2_\d+)`)})},
	{number: 129, moon: gateway(certified("moon", oneNetwork, withCRLs(`["crl"]`))), steps: []step{
		papered("carol", "carol", hostClient("carol", append(byPapers("home"), renewing...)...)), up("carol", "home"),
		sas(1, 1), ping("carol", "alice"), revoke("carol"), denied("was revoked on"), sas(0, 0),
	}},
	{number: 131, moon: gateway(certified("moon", oneNetwork, withCRLs(`["crl"]`))), revoked: "carol",
		steps: append(carolAnd("carol", "dave"), shutOut("carol", "home", "was revoked on")...)},
	{number: 132, moon: gateway(certified("moon", oneNetwork, withCRLs(`["crl"]`))), revoked: "dave",
		note: "the CRL is a file, without which nobody is let in", steps: slices.Concat(carolAnd("carol", "dave"),
			[]step{up("carol", "home"), sas(1, 1), ping("carol", "alice"), refused("dave", "home", "AUTH_FAILED"),
				denied("was revoked on")})},
	{number: 142, moon: gateway(certified("moon", oneNetwork)), steps: append(
		carolAnd("carol of research", "dave of sales"), bothUp...)},
	{number: 143, moon: gateway(certified("moon", researchAnd("*@strongswan.org", "*@strongswan.org"),
		withCRLs(`["crl", "none"]`)), certMap("research", "Research CA"), certMap("accounting", "Sales CA")),
		note: "clients have addresses of moon's; CRLs are files", steps: append([]step{
			papered("carol", "carol of research", asksFor("carol").but("home.local.id = carol@strongswan.org")),
			papered("dave", "dave of sales", asksFor("dave").but("home.local.id = dave@strongswan.org")),
		}, oneEach...)},
	{number: 144, moon: gateway(certified("moon", oneNetwork)), steps: append([]step{
		papered("carol", "carol of the loop", hostClient("carol", byPapers("home")...)),
	}, shutOut("carol", "home", "is of no authority that is trusted")...)},
	{number: 145, moon: gateway(certified("moon", oneNetwork)), steps: append([]step{
		papered("carol", "carol of ducks", hostClient("carol", byPapers("home")...)),
	}, shutOut("carol", "home", "does not allow so many authorities below it")...)},
	{number: 146, moon: gateway(certified("moon", oneNetwork, withCRLs(`["crl", "none"]`))), revoked: "research",
		steps: slices.Concat(carolAnd("carol of research", "dave of sales"),
			shutOut("carol", "home", "Research CA,O=Example", "was revoked on"),
			[]step{up("dave", "home"), sas(1, 1)})},
	{number: 147, moon: gateway(certified("moon", oneNetwork, withCRLs(`["crl"]`))), steps: append(
		carolAnd("carol of research", "dave of sales"),
		shutOut("carol", "home", "Research CA,O=Example", "has no CRL here, and one is required")...)},
}

// twoTunnels are those of carol, with a certificate for each.
var twoTunnels = asksFor("carol").but("-home.vips", "-home.children.venus.remote_ts").but(append(byPapers("away"),
	"away.local.certs = other-0.pem", "away.remote_addrs = 192.168.0.1", "away.remote.id = moon.strongswan.org",
	"away.children.venus.remote_ts = 10.1.0.20/32")...)

// fromPKCS12 has moon's own in one file.
func fromPKCS12(hcl string) string {
	return strings.NewReplacer(`  certificate = { file = "moon.pem" }`+"\n", "", `key         = { file = "moon.key" }`,
		fmt.Sprintf(`pkcs12 = { file = "moon.p12", password = %q }`, filePassword)).Replace(hcl)
}

// revoke has moon learn that the papers of somebody are revoked.
func revoke(who string) step {
	return func(w *world) error {
		w.moon.Write("root.crl", crl(who))
		w.moon.MustCLI("apply")
		return nil
	}
}
