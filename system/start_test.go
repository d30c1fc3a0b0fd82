package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStartWithMistakes: what is wrong with one context at the start stays with
// that context, which runs as it did last; the others run what is there.
func TestStartWithMistakes(t *testing.T) {
	const key = `
tunnel_group "DefaultRAGroup" {
  type          = "remote-access"
  address_pools = ["staff"]
  ikev2 {
    local_identity        = "gw.red.example"
    local_authentication  = { pre_shared_key = { file = "red.psk" } }
    remote_authentication = { pre_shared_key = { file = "red.psk" } }
  }
}
`
	tests := []struct {
		name     string
		edit     func(b *box)
		problems map[string]string // by context
		blue     string            // what of blue runs
	}{
		{"a typo", func(b *box) { b.write("red.hcl", strings.Replace(oneTenant, "range", "rage", 1)) },
			map[string]string{"red": "red.hcl:3"}, "10.99.0.99"},
		{"a brace", func(b *box) { b.write("red.hcl", oneTenant+"{") }, map[string]string{"red": "red.hcl:"},
			"10.99.0.99"},
		{"no file", func(b *box) { os.Remove(filepath.Join(b.dir, "red.hcl")) },
			map[string]string{"red": "red.hcl: no such file"}, "10.99.0.99"},
		{"no key", func(b *box) { os.Remove(filepath.Join(b.dir, "red.psk")) },
			map[string]string{"red": "red.psk: no such file"}, "10.99.0.99"},
		{"both", func(b *box) {
			b.write("red.hcl", oneTenant+"{")
			b.write("blue.hcl", "nothing")
		}, map[string]string{"red": "red.hcl:", "blue": "blue.hcl:"}, "10.99.0.250"},
		{"the system file", func(b *box) { b.write("system.hcl", twoContexts+"contxt \"x\" {}\n") },
			map[string]string{"": "system.hcl:"}, "10.99.0.99"},
		{"a new context", func(b *box) {
			b.write("system.hcl", strings.Replace(twoContexts, `interface "Ethernet1/1"`,
				"interface \"Ethernet1/3\" { device = \"wt-3\" }\ninterface \"Ethernet1/1\"", 1)+
				"context \"green\" {\n  config_url = \"file:green.hcl\"\n"+
				"  allocate_interface \"Ethernet1/3\" { name = \"outside\" }\n}\n")
			b.write("green.hcl", "nothing")
		}, map[string]string{"green": "green.hcl:"}, "10.99.0.99"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			b := newBox(t)
			b.write("red.hcl", oneTenant+key)
			b.write("red.psk", "a key that is long enough\n")
			s, err := b.open()
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			b.write("blue.hcl", strings.Replace(oneTenant, "10.99.0.250", "10.99.0.99", 1))
			tt.edit(b)
			s, err = b.open()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			st := s.overview().Status()
			if st.Ready || len(st.Problems) != len(tt.problems) {
				t.Errorf("got %+v, want problems of %v", st, tt.problems)
			}
			for _, p := range st.Problems {
				want, ok := tt.problems[p.Context]
				if !ok || !strings.Contains(p.Error, want) || p.Hint == "" ||
					!strings.Contains(b.log.String(), "configuration not taken") {
					t.Errorf("got %+v, want %q, also in the log:\n%s", p, want, &b.log)
				}
			}
			conf := s.life.Running()
			if blue, _ := conf.Context("blue"); len(conf.Contexts) != 2 ||
				!strings.Contains(fmt.Sprint(blue.Spec.Pools), tt.blue) {
				t.Errorf("blue runs with %+v", blue.Spec.Pools)
			}
			if red, _ := conf.Context("red"); len(red.Spec.TunnelGroups) != 1 {
				t.Errorf("red has not what it had: %+v", red.Spec)
			}
		})
	}
}
