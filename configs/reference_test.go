package configs

import (
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/warrenvpn/warren/ike/pki/pkitest"
	"github.com/warrenvpn/warren/resource"
)

// reference reads the two files as they are shipped.
func reference(t *testing.T) map[string]string {
	t.Helper()
	root := pkitest.Root("root")
	gateway := root.Leaf("gw", pkitest.ECDSA(), func(c *x509.Certificate) {
		c.DNSNames = []string{"gw.laptops.example"}
	})
	files := map[string]string{"failover.key": "hex:" + strings.Repeat("0f", 32) + "\n",
		"gateway.pem": string(gateway.PEM()), "gateway.key": string(gateway.KeyPEM()),
		"gateway.p12": pkcs12(t, "modern"), "gateway.p12.password": pkcs12Password,
		"laptops-ca.pem": string(root.PEM()), "laptops-ca.crl": string(root.CRL(pkitest.End)),
		"site.psk": "as it is in a file\r\n", "https://conf.example/elsewhere.hcl": ""}
	for _, name := range []string{"system.hcl", "context.hcl"} {
		b, err := os.ReadFile("reference/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

func TestReferenceEqualsDefaults(t *testing.T) {
	files := reference(t)
	full, diags := load(t, files, "system.hcl")
	if diags.HasErrors() {
		t.Fatalf("the reference is not accepted:\n%s", report(t, diags))
	}
	for _, d := range diags.All() {
		if d.Summary != "No address pool" {
			t.Errorf("unexpected warning: %s", Line(d))
		}
	}
	files["system.hcl"] = strip(t, files["system.hcl"], systemSchema)
	files["context.hcl"] = strip(t, files["context.hcl"], contextSchema)
	bare, diags := load(t, files, "system.hcl")
	if diags.HasErrors() {
		t.Fatalf("without its options the reference is not accepted:\n%s", report(t, diags))
	}
	// What a class names at its default is not what it does not name.
	full.Classes, bare.Classes = nil, nil
	for _, c := range [][]Tenant{full.Contexts, bare.Contexts} {
		for i := range c {
			c[i].Guards = nil
			for j := range c[i].Spec.GroupPolicies { // nor is an attribute of a policy
				c[i].Spec.GroupPolicies[j].Sets = nil
			}
			for j := range c[i].Spec.TunnelGroups {
				c[i].Spec.TunnelGroups[j].Inherits = nil
			}
		}
	}
	if diff := cmp.Diff(dump(bare), dump(full)); diff != "" {
		t.Errorf("the reference is not the default (-default +reference):\n%s", diff)
	}

	tenant := full.Contexts[0].Spec
	policy := builtInPolicies()[0]
	policy.Name = tenant.IKEPolicies[0].Name
	if diff := cmp.Diff(policy, tenant.IKEPolicies[0]); diff != "" {
		t.Errorf("ikev2_policy (-built in +reference):\n%s", diff)
	}
	if diff := cmp.Diff(builtInProposals()[0], tenant.CryptoMaps[0].Entries[0].Proposals[0]); diff != "" {
		t.Errorf("ipsec_proposal (-built in +reference):\n%s", diff)
	}
}

// strip removes every attribute that has a default. The few that the reference
// itself needs, because nothing else gives the example meaning, stay.
func strip(t *testing.T, src string, s *schema) string {
	t.Helper()
	keep := []string{"interface.device", "allocate_interface.name", "static.local_networks", "static.remote_networks",
		"context.failover_group", "ikev2.remote_identity", "user.password", "ikev2.local_authentication",
		"trustpoint.certificate", "trustpoint.key", "trustpoint.ca",
		"trustpoint.pkcs12",
		"trustpoint.crl", "trustpoint.revocation", "server.interface"}
	f, diags := hclwrite.ParseConfig([]byte(src), "", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var walk func(*hclwrite.Body, *schema)
	walk = func(b *hclwrite.Body, s *schema) {
		for name := range b.Attributes() {
			i := slices.IndexFunc(s.attrs, func(a attr) bool { return a.name == name })
			if i >= 0 && !s.attrs[i].required && !slices.Contains(keep, s.kind+"."+name) || s.open {
				b.RemoveAttribute(name)
			}
		}
		for _, child := range b.Blocks() {
			for _, cs := range s.blocks {
				if cs.kind == child.Type() {
					walk(child.Body(), cs)
				}
			}
		}
	}
	walk(f.Body(), s)
	return string(f.Bytes())
}

func TestReferenceHasEveryOption(t *testing.T) {
	files := reference(t)
	for name, s := range map[string]*schema{"system.hcl": systemSchema, "context.hcl": contextSchema} {
		f, diags := hclwrite.ParseConfig([]byte(files[name]), name, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		missing(t, name, s, []*hclwrite.Body{f.Body()})
		if out, _ := Format(name, []byte(files[name])); string(out) != files[name] {
			t.Errorf("%s is not in canonical form; run warren fmt", name)
		}
	}
}

// missing tells of options that occur in none of the bodies.
func missing(t *testing.T, where string, s *schema, bodies []*hclwrite.Body) {
	t.Helper()
	attrs := s.attrs
	if s.open {
		attrs = []attr{{name: "all"}}
		for _, k := range resource.Kinds() {
			attrs = append(attrs, attr{name: string(k.Name)})
		}
	}
	for _, a := range attrs {
		if !slices.ContainsFunc(bodies, func(b *hclwrite.Body) bool { return b.GetAttribute(a.name) != nil }) {
			t.Errorf("%s: the reference lacks %s", where, a.name)
		}
	}
	for _, child := range s.blocks {
		var inner []*hclwrite.Body
		for _, b := range bodies {
			for _, block := range b.Blocks() {
				if block.Type() == child.kind {
					inner = append(inner, block.Body())
				}
			}
		}
		if len(inner) == 0 {
			t.Errorf("%s: the reference lacks block %s", where, child.kind)
		}
		missing(t, strings.TrimSpace(where+" "+child.kind), child, inner)
	}
}
