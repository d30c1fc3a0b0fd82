package configs

import (
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/pki"
)

// The bounds of certificate maps: each is held against the certificate of every peer that
// logs in.
const (
	maxCertificateMaps = 64
	maxRules           = 16
)

// readCertificateMaps reads which certificates lead to which tunnel group, in the order of
// the file.
func (t *tenantReader) readCertificateMaps() {
	for i, n := range t.each("certificate_map") {
		if i == maxCertificateMaps {
			n.problem(n.at, "Too many certificate maps", "A context has at most %d.", maxCertificateMaps)
			return
		}
		if !n.checkLabel() {
			continue
		}
		m := spec.CertificateMap{Name: n.label.text, Rules: n.rules()}
		it, ok := n.textItem("tunnel_group")
		if !ok {
			continue
		}
		m.TunnelGroup = it.text
		switch g := t.contender(it.text); {
		case g != nil:
			if _, ok := g.group.Remote.(spec.Certificate); !ok && g.group.Remote != nil {
				n.problem(it.at, "Tunnel group without certificates",
					"The peers of %s (%s) do not prove themselves by certificate: whoever has seen one could choose "+
						"it. Write remote_authentication = { certificate = ... } there.", g.at, place(g.at.at))
			}
			g.mapped = true
		case t.tunnelGroups[it.text] == nil:
			n.problem(it.at, "Unknown tunnel group", "There is no tunnel_group %q.%s", it.text,
				suggest(it.text, names(t.tunnelGroups)))
		}
		t.t.CertificateMaps = append(t.t.CertificateMaps, m)
	}
}

// contender returns the tunnel group called name; nil: there is none, or it is unusable,
// which was told.
func (t *tenantReader) contender(name string) *contender {
	for _, c := range t.contenders {
		if c.group.Name == name {
			return c
		}
	}
	return nil
}

// rules returns the rules of a certificate map, all of which are to hold.
func (n *node) rules() (out []string) {
	list := n.texts("rules")
	if len(list) > maxRules || len(list) == 0 && n.written("rules") {
		n.problem(n.where("rules"), "Unusable value", "rules has 1 to %d rules, all of which are to hold.", maxRules)
	}
	for _, it := range list {
		if _, err := pki.ParseRule(it.text); err != nil {
			n.problem(it.at, "Unusable rule", `%s. A rule is written "subject-name attr ou eq lab".`,
				sentence(trimPackage(err)))
		}
		out = append(out, it.text)
	}
	return out
}
