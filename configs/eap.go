package configs

import (
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/warrenvpn/warren/context/spec"
)

// eapMethods are those that local users can have, and defaultEAPMethods what they have where
// a tunnel group says nothing: GTC is for users of whom nothing but a hash is known.
var (
	eapMethods        = []string{string(spec.EAPMSCHAPv2), string(spec.EAPGTC), string(spec.EAPMD5)}
	defaultEAPMethods = []spec.EAPMethod{spec.EAPMSCHAPv2, spec.EAPGTC}
)

// readEAP reads remote_authentication = { eap = { ... } } of a tunnel group, owner, whose
// local_authentication is read.
func (t *tenantReader) readEAP(owner, n *node, v *value, g *spec.TunnelGroup) spec.Credential {
	c := spec.EAP{QueryIdentity: true}
	fs, isObject := n.fields(v, "query_identity", "methods", "only")
	if !isObject {
		if !v.broken {
			n.wrong(v, `how clients log in: {} or { query_identity = true, methods = ["mschapv2", "gtc"] }`)
		}
		return nil
	}
	for _, f := range fs {
		switch f.name.text {
		case "query_identity":
			c.QueryIdentity = n.yes(f.val)
		case "methods":
			c.Methods = n.readEAPMethods(f.val)
		case "only":
			c.Only = n.yes(f.val)
		}
	}
	t.readServers(owner, g)
	local := g.AuthenticationServers == spec.LocalUsers
	at := func(name string) *value {
		if i := slices.IndexFunc(fs, func(f field) bool { return f.name.text == name }); i >= 0 {
			return fs[i].val
		}
		return nil
	}
	methods, only := at("methods"), at("only")
	switch {
	case g.Type == spec.SiteToSite:
		n.problem(v.at, "EAP for a site", "%s is of type site-to-site (%s), and EAP is for clients: use "+
			"pre_shared_key or certificate.", owner, place(owner.where("type")))
	case methods != nil && !local:
		n.problem(methods.at, "Methods of a server", "%s asks %s (%s), which has methods of its own. Remove methods.",
			owner, g.AuthenticationServers, place(owner.where("authentication_server_group")))
	case c.Only && local:
		n.problem(only.at, "Nothing proves this gateway", "No method of local users proves the gateway to a client "+
			"so that nobody can try passwords afterwards: only = true is for servers that have one, such as EAP-TLS.")
	}
	if local && len(c.Methods) == 0 {
		c.Methods = defaultEAPMethods
	}
	if _, isKey := g.Local.(spec.PSK); isKey && !c.Only {
		n.warning(n.where("local_authentication"), "Weak proof of the gateway",
			"Every client has the key by which this gateway proves itself, and can take its place to learn the "+
				"passwords of others. RFC 7296 has a certificate for that: "+
				`local_authentication = { certificate = "..." }.`)
	}
	return c
}

// yes returns a value that is true or false.
func (n *node) yes(v *value) bool {
	if v.broken || v.val.IsNull() || v.val.Type() != cty.Bool {
		if !v.broken {
			n.wrong(v, "true or false, without quotes")
		}
		return false
	}
	return v.val.True()
}

// readEAPMethods reads the methods of local users, the first one first.
func (n *node) readEAPMethods(v *value) (out []spec.EAPMethod) {
	list := n.textsOf(v)
	if len(list) == 0 && !v.broken && v.val.CanIterateElements() {
		n.problem(v.at, "Empty list", "Without a method nobody can log in; remove methods for the default.")
	}
	for _, it := range list {
		if !slices.Contains(eapMethods, it.text) {
			n.problem(it.at, "Unknown method", "%q is no method of local users.%s", it.text, suggest(it.text,
				eapMethods))
			continue
		}
		if it.text == string(spec.EAPMD5) {
			n.warning(it.at, "Weak method",
				"EAP-MD5 has no key that ties the login to the IKE SA, and needs passwords "+
					"in plain text. Use it for old clients alone, in a tunnel group of their own.")
		}
		out = append(out, spec.EAPMethod(it.text))
	}
	return out
}

// readServers reads who lets in the clients of a tunnel group that log in by EAP.
func (t *tenantReader) readServers(n *node, g *spec.TunnelGroup) {
	g.AuthenticationServers = spec.LocalUsers
	it, ok := n.textItem("authentication_server_group")
	if !ok {
		return
	}
	groups := byLabel(t.each("aaa_server_group"))
	if it.text != spec.LocalUsers && groups[it.text] == nil {
		n.problem(it.at, "Unknown server group", "There is no aaa_server_group %q.%s", it.text,
			suggest(it.text, append(names(groups), spec.LocalUsers)))
		return
	}
	g.AuthenticationServers = it.text
}

// checkServers tells of an authentication_server_group that nobody asks.
func (n *node) checkServers(g *spec.TunnelGroup) {
	if _, eap := g.Remote.(spec.EAP); !eap && g.Remote != nil && n.written("authentication_server_group") {
		n.warning(n.where("authentication_server_group"), "Nobody is asked",
			"Clients of %s do not log in by EAP: write "+
				"remote_authentication = { eap = {} }, or remove authentication_server_group.", n)
	}
}
