package configs_test

import (
	"fmt"
	"testing/fstest"

	"github.com/warrenvpn/warren/configs"
)

func ExampleLoad() {
	files := fstest.MapFS{
		"system.hcl": {Data: []byte(`
interface "Ethernet1/1" { device = "eth1" }

context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
`)},
		"blue.hcl": {Data: []byte("interface \"outside\" { adress = \"198.51.100.1/24\" }\n")},
	}
	_, diags := configs.Load(configs.FSLoader{FS: files}, "system.hcl", configs.Machine{Cores: 4, Memory: 8 << 30})
	for _, d := range diags.All() {
		fmt.Println(configs.Line(d))
	}
	// Output:
	// blue.hcl:1: Unknown attribute: interface has no attribute "adress". Did you mean "address"?
}
