package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExplain: a step names the attributes that are behind it, and no secret.
func TestExplain(t *testing.T) {
	replace := func(text, old, new string) string { return strings.Replace(text, old, new, 1) }
	const keyed = oneTenant + `
tunnel_group "staff" {
  type          = "remote-access"
  address_pools = ["staff"]
  ikev2 {
    local_authentication  = { pre_shared_key = { file = "red.psk" } }
    remote_authentication = { pre_shared_key = "a key of some length" }
  }
}
`
	tests := []struct {
		name string
		edit func(*box)
		want []string
	}{
		{"nothing", func(*box) {}, nil},
		{"a pool", func(b *box) { b.write("red.hcl", replace(keyed, "10.99.0.250", "10.99.0.99")) },
			[]string{
				`red some_end: /warren/red.hcl ip_pool "staff" range changed "10.99.0.10-10.99.0.250" "10.99.0.10-10.99.0.99"`}},
		{"its class", func(b *box) {
			b.write("system.hcl", replace(twoContexts, "vpn_anyconnect = 2", "vpn_anyconnect = 3"))
		},
			[]string{`red stay: /warren/system.hcl class "bronze" limits vpn_anyconnect changed 2 3`}},
		{"a secret in a file", func(b *box) { b.write("red.psk", "another key of some length\n") },
			[]string{"red some_end: /warren/red.psk   changed  "}},
		{"a new context", func(b *box) {
			b.write("system.hcl", replace(twoContexts, `context "red"`, `context "green"`))
		},
			[]string{"red end: ", "green none: "}},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			b, key := newBox(t), []byte("key")
			b.write("red.hcl", keyed)
			b.write("red.psk", "the gateway's own key\n")
			before, was := b.load()
			tt.edit(b)
			after, is := b.load()
			var got []string
			for _, one := range Explain(Steps(Want(before, key), Want(after, key)), was, is) {
				text := fmt.Sprintf("%s %s: ", one.Context, one.SAs)
				for _, c := range one.Changes {
					text += fmt.Sprintf("%s %s %s %s %s %s", c.File, c.Block, c.Attribute, c.Change, c.Old, c.New)
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
