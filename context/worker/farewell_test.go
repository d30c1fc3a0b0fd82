package worker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/ike/exchange"
)

// TestGoodbyeIsTold: what ends with a context is in the log of the gateway, with its
// reason, and the peer hears of it.
func TestGoodbyeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, gatewayTenant(4), gatewayAddr)
		gateway.start()
		alice := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		alice.start()
		time.Sleep(1500 * time.Millisecond)
		alice.assigned()
		if err := gateway.worker.Goodbye(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !gateway.logs.contains(`msg="IKE SA ended"`) || !gateway.logs.contains(reasonStopped) ||
			!gateway.logs.contains("identity=alice@example") {
			t.Error("the gateway does not say that and why the IKE SA has ended")
		}
		gateway.stop()
		time.Sleep(100 * time.Millisecond)
		if !alice.logs.contains(`msg="IKE SA ended"`) {
			t.Error("the peer has not heard of it")
		}
		alice.stop()
	})
}

// TestFarewellsAreBounded: the end of many IKE SAs is a few lines and a number.
func TestFarewellsAreBounded(t *testing.T) {
	for n, want := range map[int]string{0: "", maxFarewells: "IKE SA ended", maxFarewells + 3: "count=3"} {
		var out strings.Builder
		tellEnded(tellTo(&out), make([]exchange.Status, n))
		if lines := strings.Count(out.String(), "\n"); lines != min(n, maxFarewells+1) ||
			!strings.Contains(out.String(), want) {
			t.Errorf("%d IKE SAs: %d lines:\n%s", n, lines, out.String())
		}
	}
}
