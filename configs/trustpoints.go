package configs

import (
	"crypto"
	"crypto/x509"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/internal/secret"
)

// The bounds of the certificates of one context.
const (
	maxTrustpoints = 16
	maxCRLs        = 16
	// maxCRLBytes bounds the CRLs of all trustpoints together: every worker gets them with
	// its configuration.
	maxCRLBytes = 4 << 20
)

// namedFile is a file that { file = "..." } names, which was read.
type namedFile struct {
	at      Location
	where   hcl.Range // of its name
	content []byte
	value   *value
	more    []field // other entries beside the name
}

// file reads what an object names. Its other entries are among more.
func (t *tenantReader) file(n *node, v *value, more ...string) (f namedFile, ok bool) {
	if v.broken {
		return f, false
	}
	fs, isObject := n.fields(v, append([]string{"file"}, more...)...)
	i := slices.IndexFunc(fs, func(x field) bool { return x.name.text == "file" })
	if !isObject || i < 0 {
		n.wrong(v, `a file: { file = "disk0:/gw.pem" }`)
		return f, false
	}
	it, ok := n.asText(fs[i].val, "the name of a file, in quotes")
	if !ok {
		return f, false
	}
	f = namedFile{where: it.at, value: v, more: slices.Delete(fs, i, i+1)}
	var err error
	if f.at, err = t.origin.locate(it.text); err != nil {
		n.problem(it.at, "Unusable path", "%q: %s.", it.text, err)
		return f, false
	}
	f.content, ok = n.readFile(f.at, it.at)
	return f, ok
}

// files reads what a list of objects names, one object alone is a list, too; at most most.
func (t *tenantReader) files(n *node, name string, most int) (out []namedFile) {
	v, ok := n.get(name)
	if !ok {
		return nil
	}
	list := []*value{v}
	if tuple, ok := v.expr.(*hclsyntax.TupleConsExpr); ok {
		list = nil
		for _, e := range tuple.Exprs {
			list = append(list, n.evaluate(name, e))
		}
	}
	if len(list) == 0 || len(list) > most {
		n.problem(v.at, "Unusable value", "%s has 1 to %d files.", name, most)
		return nil
	}
	for _, v := range list {
		if f, ok := t.file(n, v); ok {
			out = append(out, f)
		}
	}
	return out
}

// unusable tells what is wrong with a file of certificates.
func (n *node) unusable(f namedFile, what string, err error) {
	n.problem(f.where, "Unusable "+what, "%s: %s.", f.at, trimPackage(err))
}

// readTrustpoints reads the certificates, and who may vouch for peers.
func (t *tenantReader) readTrustpoints() {
	crls := 0
	for i, n := range t.each("trustpoint") {
		if i == maxTrustpoints {
			n.problem(n.at, "Too many trustpoints", "A context has at most %d.", maxTrustpoints)
			return
		}
		if !n.checkLabel() {
			continue
		}
		p := &spec.Trustpoint{Name: n.label.text}
		t.readOwn(n, p)
		t.readAuthorities(n, p)
		for _, b := range p.CRLs {
			crls += len(b)
		}
		if crls > maxCRLBytes {
			n.problem(n.where("crl"), "CRLs too large", "All CRLs of a context together have at most %d bytes.",
				maxCRLBytes)
			return
		}
		if !hasOwn(n) && !n.written("key") && !n.written("ca") {
			n.problem(n.at, "Empty trustpoint",
				"%s has neither a certificate of this gateway, certificate and key or pkcs12, nor authorities that "+
					"vouch for peers, ca.", n)
		}
		t.t.Trustpoints = append(t.t.Trustpoints, *p)
	}
}

// readOwn reads the chain and the key of this gateway.
func (t *tenantReader) readOwn(n *node, p *spec.Trustpoint) {
	v, isPKCS12 := n.get("pkcs12")
	if !n.written("pkcs12") {
		t.readPEM(n, p)
		return
	}
	for _, name := range []string{"certificate", "key"} {
		if n.written(name) {
			n.problem(n.where(name), "Two certificates",
				"%s has pkcs12 (%s), in which certificate and key are. Remove %s.", n, place(n.where("pkcs12")), name)
			return
		}
	}
	if !isPKCS12 {
		return
	}
	f, password, ok := t.lockedFile(n, v)
	defer clear(f.content)
	switch {
	case !ok:
		return
	case password.Len() == 0:
		n.problem(v.at, "Missing password", `A PKCS #12 file is opened with its password: pkcs12 = { file = "%s", `+
			`password = { file = "..." } }.`, f.at)
		return
	}
	chain, key, err := pki.ParsePKCS12(f.content, password)
	if err != nil {
		n.unusable(f, "PKCS #12 file", err)
		return
	}
	t.keepOwn(n, p, f, chain, key)
}

// readPEM reads them from two files.
func (t *tenantReader) readPEM(n *node, p *spec.Trustpoint) {
	if n.written("certificate") != n.written("key") {
		has, lacks := "certificate", "key"
		if n.written("key") {
			has, lacks = lacks, has
		}
		n.problem(n.where(has), "Missing "+lacks, "%s has %s and no %s: one proves nothing without the other.", n, has,
			lacks)
	}
	var chain []*x509.Certificate
	c, hasChain := n.get("certificate")
	k, hasKey := n.get("key")
	if hasChain {
		chain = t.certificates(n, c, pki.MaxChain)
	}
	if !hasKey {
		return
	}
	f, password, ok := t.lockedFile(n, k)
	if !ok {
		return
	}
	defer clear(f.content)
	key, err := pki.ParseKey(f.content, password)
	if err != nil {
		n.unusable(f, "key", err)
		return
	}
	if len(chain) > 0 {
		t.keepOwn(n, p, f, chain, key)
	}
}

// lockedFile reads a file with a secret in it, and the password that is named beside it.
func (t *tenantReader) lockedFile(n *node, v *value) (f namedFile, password secret.Value, ok bool) {
	if f, ok = t.file(n, v, "password"); !ok {
		return f, password, false
	}
	n.warnReadable(f.at, f.where)
	for _, x := range f.more {
		if password, ok = n.secret(x.val, t.origin, bounds{1, maxKeyPassword, 0}); !ok {
			clear(f.content)
			return f, password, false
		}
	}
	return f, password, true
}

// keepOwn takes what has been read of f, where it belongs together.
func (t *tenantReader) keepOwn(n *node, p *spec.Trustpoint, f namedFile, chain []*x509.Certificate, key crypto.Signer) {
	own, err := pki.NewOwn(chain, key)
	if err != nil {
		n.unusable(f, "certificate", err)
		return
	}
	kept, err := pki.MarshalKey(key)
	if err != nil {
		n.unusable(f, "key", err)
		return
	}
	p.Key = t.keep(kept)
	for _, c := range own.Chain {
		p.Chain = append(p.Chain, c.Raw)
	}
	t.leaves[p.Name] = own.Chain[0]
}

// hasOwn reports whether a trustpoint proves this gateway, if all that it names is usable.
func hasOwn(n *node) bool { return n.written("certificate") || n.written("pkcs12") }

// certificates reads the certificates of one file.
func (t *tenantReader) certificates(n *node, v *value, most int) []*x509.Certificate {
	f, ok := t.file(n, v)
	if !ok {
		return nil
	}
	list, err := pki.ParseCertificates(f.content, most)
	if err != nil {
		n.unusable(f, "certificate", err)
		return nil
	}
	return list
}

// readAuthorities reads who vouches for peers, and what they have revoked.
func (t *tenantReader) readAuthorities(n *node, p *spec.Trustpoint) {
	var cfg pki.TrustConfig
	files := t.files(n, "ca", pki.MaxAuthorities)
	for _, f := range files {
		list, err := pki.ParseCertificates(f.content, pki.MaxAuthorities)
		if err != nil {
			n.unusable(f, "certificate", err)
			continue
		}
		cfg.Authorities = append(cfg.Authorities, list...)
	}
	for _, f := range t.files(n, "crl", maxCRLs) {
		crl, err := pki.ParseCRL(f.content)
		if err != nil {
			n.unusable(f, "CRL", err)
			continue
		}
		cfg.CRLs = append(cfg.CRLs, crl)
		p.CRLs = append(p.CRLs, f.content)
	}
	if !n.written("ca") {
		for _, name := range []string{"crl", "revocation", "certificate_policies"} {
			if n.written(name) {
				n.problem(n.where(name), "Nobody to vouch", "%s has no ca, whose certificates %s would be about.", n,
					name)
			}
		}
		return
	}
	p.Revocation = n.revocation()
	for i, it := range n.texts("certificate_policies") {
		if _, err := pki.ParsePolicy(it.text); err != nil {
			n.problem(it.at, "Unusable certificate policy", "%s.", sentence(trimPackage(err)))
		} else if i == pki.MaxPolicies {
			n.problem(it.at, "Too many certificate policies", "A trustpoint asks for one of %d at most.",
				pki.MaxPolicies)
		}
		p.Policies = append(p.Policies, it.text)
	}
	if len(cfg.Authorities) == 0 {
		return
	}
	if _, err := pki.NewTrust(cfg); err != nil {
		n.unusable(files[0], "certificate", err)
		return
	}
	for _, c := range cfg.Authorities {
		p.Authorities = append(p.Authorities, c.Raw)
	}
}

// revocation reads what is tried in which order: "crl" alone refuses whose authority has
// no CRL that is up to date; with "none" behind it, a CRL refuses what it revokes.
func (n *node) revocation() spec.Revocation {
	words := n.texts("revocation")
	out := spec.RevocationOff
	for i, it := range words {
		switch {
		case it.text == "ocsp":
			n.problem(it.at, "Unknown revocation", "OCSP is not asked yet. Possible here: crl, none.")
		case it.text == "crl":
			out = spec.RevocationHard
		case it.text != "none":
			n.problem(it.at, "Unknown revocation", "%q is no way to learn what is revoked.%s", it.text,
				suggest(it.text, []string{"crl", "none"}))
		case i < len(words)-1:
			n.problem(it.at, "Unusable order", `"none" accepts everybody: what stands behind it is never tried.`)
		case out == spec.RevocationHard:
			out = spec.RevocationSoft
		}
	}
	switch {
	case out == spec.RevocationOff && n.written("crl"):
		n.problem(n.where("crl"), "CRL without effect",
			`Nobody looks into it: add revocation = ["crl"], or ["crl", "none"].`)
	case out != spec.RevocationOff && !n.written("crl"):
		n.problem(n.where("revocation"), "Missing crl",
			`CRLs are files: name them with crl = [{ file = "disk0:/ca.crl" }].`)
	}
	return out
}

// trustpointOf returns the trustpoint that one side of a tunnel group names; nil: there is
// none, which is told.
func (t *tenantReader) trustpointOf(n *node, v *value) *node {
	it, ok := n.asText(v, `the name of a trustpoint, in quotes`)
	if !ok {
		return nil
	}
	p := t.trustpoints[it.text]
	if p == nil {
		n.problem(it.at, "Unknown trustpoint", "There is no trustpoint %q.%s", it.text,
			suggest(it.text, names(t.trustpoints)))
	}
	return p
}

// localCertificate reads what this gateway proves itself with in the tunnel group g, whose
// block "ikev2" is n; v names the trustpoint.
func (t *tenantReader) localCertificate(n *node, v *value, g *spec.TunnelGroup) spec.Credential {
	p := t.trustpointOf(n, v)
	if p == nil {
		return nil
	}
	if !hasOwn(p) {
		t.provesNobody(n, v, p)
		return nil
	}
	leaf := t.leaves[p.label.text]
	if leaf == nil { // which was told
		return nil
	}
	end := pki.AnyEnd
	if g.Type == spec.RemoteAccess {
		end = pki.Gateway
	}
	if err := pki.CheckUsage(leaf, end); err != nil {
		n.warning(v.at, "Certificate for other things", "%s: peers that look at it refuse it.",
			sentence(trimPackage(err)))
	}
	switch id := g.LocalIdentity; {
	case id.IsZero() && pki.Subject(leaf).String() == "asn1dn:#3000":
		n.problem(v.at, "Missing local_identity",
			"Certificate %s has no subject: name one of its alternative names in local_identity.", pki.Describe(leaf))
	case !id.IsZero():
		if err := pki.CheckName(leaf, id); err != nil {
			n.problem(n.where("local_identity"), "Name that the certificate does not have",
				"%s: no peer could verify it.", sentence(trimPackage(err)))
		}
	}
	return spec.Certificate{Trustpoint: p.label.text}
}

// sharedTrustpoint is the attribute that names the trustpoint of all groups for clients.
const sharedTrustpoint = "remote_access_trustpoint"

// sharedCertificate reads what this gateway proves itself with where a tunnel group does
// not say: with the trustpoint that all groups for clients share, if there is one.
func (t *tenantReader) sharedCertificate(n *node, g *spec.TunnelGroup) spec.Credential {
	const example = `{ pre_shared_key = { file = "gateway.psk" } }`
	shared := t.one("ikev2")
	switch v, ok := shared.get(sharedTrustpoint); {
	case n.means("local_authentication"):
	case !shared.written(sharedTrustpoint):
		n.problem(n.at, "Missing local_authentication",
			"%s needs local_authentication; write, for example, local_authentication = %s", n, example)
	case g.Type == spec.SiteToSite:
		n.problem(n.at, "Missing local_authentication",
			"%s needs local_authentication: %s (%s) is for clients alone; write, for example, "+
				"local_authentication = %s", n, sharedTrustpoint, place(shared.where(sharedTrustpoint)), example)
	case ok && t.provesUs(shared, v):
		return t.localCertificate(n, v, g)
	}
	return nil
}

// provesUs reports whether v names a trustpoint with a certificate of this gateway. That
// it does not is told once, however many groups would use it.
func (t *tenantReader) provesUs(n *node, v *value) bool {
	if t.shared == nil {
		p := t.trustpointOf(n, v)
		if p != nil && !hasOwn(p) {
			t.provesNobody(n, v, p)
			p = nil
		}
		proves := p != nil
		t.shared = &proves
	}
	return *t.shared
}

// provesNobody tells that the trustpoint p, which v names, has no certificate.
func (t *tenantReader) provesNobody(n *node, v *value, p *node) {
	n.problem(v.at, "Trustpoint without a certificate",
		"%s (%s) has no certificate and key that prove this gateway.", p, place(p.at))
}

// remoteCertificate reads who vouches for the peers of a tunnel group.
func (t *tenantReader) remoteCertificate(n *node, v *value) spec.Credential {
	p := t.trustpointOf(n, v)
	if p == nil {
		return nil
	}
	if !p.written("ca") {
		n.problem(v.at, "Trustpoint without authorities", "%s (%s) has no ca, which would vouch for peers.", p,
			place(p.at))
		return nil
	}
	return spec.Certificate{Trustpoint: p.label.text}
}
