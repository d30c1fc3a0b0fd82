package configs

import (
	"crypto/x509"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/secret"
)

// tenantReader is one run over the file of a context.
type tenantReader struct {
	*node
	origin      origin
	owner       *node           // the block "context" of the system file
	allocations map[string]item // interfaces that the context has, by its names
	tenant      Tenant          // without its Spec
	t           *spec.Tenant

	proposals     map[string]spec.IPsecProposal
	pools         map[string]*node
	users         map[string]*node
	groupPolicies map[string]*node
	trustpoints   map[string]*node
	leaves        map[string]*x509.Certificate // of this gateway, by trustpoint
	shared        *bool                        // that of all clients proves this gateway; nil: unknown
	tunnelGroups  map[string]*node
	// interfaces of which an address could not be used: what follows from that is no news
	doubtful   map[string]bool
	uses       map[string][]wireUse     // by interface of the context
	statics    []staticEntry            // in the order of the file
	holders    map[[32]byte][]keyHolder // of keys that peers prove themselves with, by their SHA-256
	keys       [][32]byte               // of holders, in the order of the file
	contenders []*contender             // those of tunnel groups that can be selected, in the order of the file
}

func newTenantReader(file *node, from origin, c Tenant) *tenantReader {
	return &tenantReader{
		node: file, origin: from,
		t:             &spec.Tenant{Name: c.Name, Class: c.Class},
		proposals:     map[string]spec.IPsecProposal{},
		doubtful:      map[string]bool{},
		holders:       map[[32]byte][]keyHolder{},
		uses:          map[string][]wireUse{},
		pools:         byLabel(file.each("ip_pool")),
		users:         byLabel(file.each("user")),
		groupPolicies: byLabel(file.each("group_policy")),
		trustpoints:   byLabel(file.each("trustpoint")),
		leaves:        map[string]*x509.Certificate{},
		tunnelGroups:  byLabel(file.each("tunnel_group")),
	}
}

func byLabel(nodes []*node) map[string]*node {
	out := map[string]*node{}
	for _, n := range nodes {
		out[n.label.text] = n
	}
	return out
}

// names returns the keys of a table of blocks, for suggestions.
func names[V any](table map[string]V) []string {
	var out []string
	for name := range table {
		out = append(out, name)
	}
	return out
}

// read fills the tenant in the order in which things refer to each other.
func (t *tenantReader) read() {
	t.readInterfaces()
	t.readRoutes()
	t.readPools()
	t.readUsers()
	t.usePools()
	t.readPolicies()
	t.readProposals()
	t.readGroupPolicies()
	t.readTrustpoints()
	t.readServerGroups()
	t.readTunnelGroups()
	t.readCertificateMaps()
	t.checkKeys()
	t.readCryptoMaps()
	t.readIKE(t.one("ikev2"))
	t.readMOBIKE(t.one("mobike"))
	t.readDataPlane(t.one("dataplane"))
}

// keep stores a secret beside the specification.
func (t *tenantReader) keep(v secret.Value) spec.SecretRef {
	t.t.Secrets = append(t.t.Secrets, v)
	return spec.SecretRef(len(t.t.Secrets))
}
