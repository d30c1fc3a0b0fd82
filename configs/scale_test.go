package configs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// BenchmarkLoad250 reads the configuration of 250 contexts.
func BenchmarkLoad250(b *testing.B) {
	files := map[string]string{}
	var system strings.Builder
	system.WriteString("interface \"Ethernet0/0\" {\n  device = \"shared\"\n  shared = true\n}\n")
	for i := range 250 {
		fmt.Fprintf(&system,
			"context \"c%d\" {\n  config_url = \"file:c%d.hcl\"\n  allocate_interface \"Ethernet0/0\" { name = "+
				"\"outside\" }\n}\n", i, i)
		files[fmt.Sprintf("c%d.hcl", i)] = fmt.Sprintf(`
interface "outside" { address = "198.18.0.%d/15" }
ip_pool "p" { range = "10.96.0.1-10.96.9.254" }
tunnel_group "DefaultRAGroup" {
  type          = "remote-access"
  address_pools = ["p"]
  ikev2 {
    local_identity        = "gw%d.example"
    local_authentication  = { pre_shared_key = "gateway key" }
    remote_authentication = { pre_shared_key = "client key" }
  }
}
crypto_map "outside" {
  dynamic "any" {}
}
`, i+1, i)
	}
	files["system.hcl"] = system.String()
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for b.Loop() {
		if _, diags := Load(FSLoader{FS: tree}, "system.hcl", Machine{Cores: 4, Memory: 8 << 30}); diags.HasErrors() {
			b.Fatal(diags.Err())
		}
	}
}

// TestThousandGroups is a pair of as many contexts as there may be, each a group of
// its own: work that grows with the square of their number would take minutes.
func TestThousandGroups(t *testing.T) {
	var system strings.Builder
	system.WriteString(`interface "Ethernet9/9" { device = "fo" }
failover {
  unit = "primary"
  key  = "hex:` + strings.Repeat("0f", 32) + `"
  link "direct" {
    interface = "Ethernet9/9"
    address   = "192.168.255.1/30"
    peer      = "192.168.255.2"
  }
}
`)
	for i := range maxContexts {
		fmt.Fprintf(&system, "interface \"Ethernet1/%[1]d\" { device = \"o%[1]d\" }\ninterface \"Ethernet2/%[1]d\" { "+
			"device = \"i%[1]d\" }\n", i)
		fmt.Fprintf(&system,
			"context \"c%[1]d\" {\n  config_url = \"c.hcl\"\n  allocate_interface \"Ethernet1/%[1]d\" { name = "+
				"\"outside\" }\n  allocate_interface \"Ethernet2/%[1]d\" { name = \"inside\" }\n}\n", i)
	}
	sys, diags := load(t,
		map[string]string{"system.hcl": system.String(),
			"c.hcl": "interface \"outside\" { address = \"192.0.2.1/24\" }\n"}, "system.hcl")
	if sys == nil {
		t.Fatalf("%.500v", diags.Err())
	}
	for i, g := range sys.Failover.Groups {
		name := fmt.Sprintf("c%d", i)
		if want := []string{fmt.Sprintf("Ethernet1/%d", i), fmt.Sprintf("Ethernet2/%d", i)}; g.Name != name || !g.Own ||
			!slices.Equal(g.Monitor, want) || g.InterfacePolicy != 1 {
			t.Fatalf("group %d: %+v", i, g)
		}
	}
	if len(sys.Failover.Groups) != maxContexts {
		t.Errorf("%d groups", len(sys.Failover.Groups))
	}
}
