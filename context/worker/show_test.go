package worker

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/esptest"
)

// TestCountersWithoutLists: what is asked every few seconds, for all contexts, costs the
// same however many SAs there are, and tells of none of them.
func TestCountersWithoutLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, gatewayTenant(20), gatewayAddr)
		gateway.start()
		cost := func() (out []string) {
			for _, about := range []control.Kind{control.KindIPsec, control.KindResources, control.KindProgress} {
				var size int
				allocs := math.Inf(1)
				for range 10 { // in some of which others allocate, too: the counter is the program's
					allocs = min(allocs, testing.AllocsPerRun(20, func() {
						answer, err := gateway.worker.Show(context.Background(), about)
						if err != nil {
							t.Fatal(err)
						}
						if rows, is := answer.([]control.Resource); is {
							size = len(rows)
						}
					}))
				}
				out = append(out, fmt.Sprint(about, ": ", allocs, " allocations, ", size, " rows"))
			}
			return out
		}
		before := cost()
		for i := range 10 {
			addr := fmt.Sprintf("198.51.100.%d", 10+i)
			newHost(t, net, clientTenant(addr, fmt.Sprintf("user%d@example", i)), addr).start()
		}
		time.Sleep(3 * time.Second)
		if n := len(gateway.established()); n != 10 {
			t.Fatalf("%d IKE SAs", n)
		}
		synctest.Wait()
		after := cost()
		for i := range before {
			if before[i] != after[i] {
				t.Errorf("without SAs %s; with 10 %s", before[i], after[i])
			}
		}
	})
}
