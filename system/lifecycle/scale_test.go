package lifecycle

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkPlan250 plans a change of each of 250 contexts.
func BenchmarkPlan250(b *testing.B) {
	r := &rig{t: b, dir: b.TempDir(), time: rigStart}
	var system strings.Builder
	system.WriteString("interface \"Ethernet0/0\" {\n  device = \"shared\"\n  shared = true\n}\n")
	for i := range 250 {
		fmt.Fprintf(&system,
			"context \"c%d\" {\n  config_url = \"file:c%d.hcl\"\n"+
				"  allocate_interface \"Ethernet0/0\" { name = \"outside\" }\n}\n", i, i)
		r.write(fmt.Sprintf("c%d.hcl", i), rigTenant)
	}
	r.write("system.hcl", system.String())
	r.write("staff.psk", "everybody's key\n")
	r.start()
	for i := range 250 {
		r.edit(fmt.Sprintf("c%d.hcl", i), oldPool, newPool)
	}
	for b.Loop() {
		p, err := r.Plan(b.Context(), Leniency{})
		if err != nil || len(p.Steps) != 250 {
			b.Fatal(len(p.Steps), err)
		}
	}
}
