//go:build !race

package checker

import (
	"fmt"
	"testing"

	"github.com/warrenvpn/warren/configs"
)

// BenchmarkContexts is what 250 contexts that are new cost: a process, and the text of
// each there. Beside it stands what a rehearsal costs without a process.
func BenchmarkContexts(b *testing.B) {
	texts := func(round int) (list [][]byte) {
		for i := range 250 {
			list = append(list, fmt.Appendf(nil, benchTenant, round, i, i%250+1))
		}
		return list
	}
	b.Run("checked", func(b *testing.B) {
		c, err := New(&Config{UID: testUID, Log: discard})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		for i := range b.N {
			for _, text := range texts(i) {
				if err := c.Check(text); err != nil {
					b.Fatal(err)
				}
			}
			c.endChild()
		}
	})
	b.Run("here", func(b *testing.B) {
		for i := range b.N {
			for _, text := range texts(i) {
				configs.Rehearse(text)
			}
		}
	})
}

const benchTenant = `# %d %d
interface "outside" { address = "198.51.100.%d/24" }
ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }
tunnel_group "staff" {
  type          = "remote-access"
  address_pools = ["staff"]
  ikev2 {
    local_authentication  = { pre_shared_key = "the gateway's own key" }
    remote_authentication = { pre_shared_key = "everybody's key that is long" }
  }
}
crypto_map "outside" {
  dynamic "any" {}
}
`
