package main

import (
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/internal/lab"
)

// tenantFile is a tenant that answers remote-access clients.
const tenantFile = `
interface "outside" { address = "198.51.100.1/24" }

ip_pool "p" { range = "10.96.0.1-10.99.255.254" }

tunnel_group "DefaultRAGroup" {
  type          = "remote-access"
  address_pools = ["p"]

  ikev2 {
    local_identity        = "gw.example"
    local_authentication  = { pre_shared_key = "gateway key" }
    remote_authentication = { pre_shared_key = "client key" }
  }
}

crypto_map "outside" {
  dynamic "any" {}
}
`

// idle weighs workers that have nothing to do.
func idle(l *lab.Lab, r *report, n int) error {
	gateway, other := l.Namespace("gateway"), l.Namespace("other")
	var system strings.Builder
	files := map[string]string{}
	for i := range n {
		device := fmt.Sprintf("o%d", i)
		l.Veth(gateway, device, other, device)
		fmt.Fprintf(&system, "interface \"Ethernet%d/0\" { device = %q }\n", i, device)
		fmt.Fprintf(&system,
			"context \"c%d\" {\n  config_url = \"file:c%d.hcl\"\n  allocate_interface \"Ethernet%d/0\" { name = "+
				"\"outside\" }\n}\n", i, i, i)
		files[fmt.Sprintf("c%d.hcl", i)] = tenantFile
	}
	w := gateway.Warrend(lab.WarrendConfig{System: system.String(), Files: files})
	w.Ready()
	sizes, err := w.WorkerSizes()
	if err != nil {
		return err
	}
	if len(sizes) != n {
		return fmt.Errorf("%d workers run, want %d", len(sizes), n)
	}
	r.Add("PSS of an idle worker, median", sizes[n/2], "MiB", "2.5 or less")
	r.Add("PSS of an idle worker, largest", sizes[n-1], "MiB", "")
	supervisor, err := lab.PSS(w.PID())
	if err != nil {
		return err
	}
	r.Add("PSS of warrend with all of them", float64(supervisor)/(1<<20), "MiB", "")
	return nil
}
