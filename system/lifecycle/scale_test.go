package lifecycle

import (
	"fmt"
	"strings"
	"testing"
)

// many is a rig of 250 contexts on one interface.
func many(b *testing.B) *rig {
	r := &rig{t: b, dir: b.TempDir(), time: rigStart}
	var system strings.Builder
	system.WriteString("interface \"Ethernet0/0\" {\n  device = \"shared\"\n  shared = true\n}\n")
	for i := range 250 {
		fmt.Fprintf(&system,
			"context \"c%d\" {\n  config_url = \"file:c%d.hcl\"\n"+
				"  allocate_interface \"Ethernet0/0\" { name = \"outside\" }\n}\n", i, i)
		r.write(fmt.Sprintf("c%d.hcl", i), strings.Replace(rigTenant, "100.1/24", fmt.Sprintf("100.%d/24", i+1), 1))
	}
	r.write("system.hcl", system.String())
	r.write("staff.psk", "everybody's key\n")
	r.start()
	return r
}

// BenchmarkPlan250 plans a change of each of 250 contexts.
func BenchmarkPlan250(b *testing.B) {
	r := many(b)
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

// BenchmarkApply250 applies a change of each of 250 contexts, and goes back.
func BenchmarkApply250(b *testing.B) {
	r := many(b)
	for b.Loop() {
		for i := range 250 {
			r.edit(fmt.Sprintf("c%d.hcl", i), oldPool, newPool)
		}
		done := r.apply(0)
		if len(done.Steps) != 250 {
			b.Fatal(done)
		}
		for i := range 250 {
			r.edit(fmt.Sprintf("c%d.hcl", i), newPool, oldPool)
		}
		if _, err := r.Rollback(b.Context(), operator, Rollback{Version: done.Version - 1}); err != nil {
			b.Fatal(err)
		}
	}
}
