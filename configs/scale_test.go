package configs

import (
	"fmt"
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
		fmt.Fprintf(&system, "context \"c%d\" {\n  config_url = \"file:c%d.hcl\"\n  allocate_interface \"Ethernet0/0\" { name = \"outside\" }\n}\n", i, i)
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
