package worker

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/resource"
)

func TestSyslogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &syslogs{}
		log := slog.New(s.limit(slog.NewTextHandler(&out, nil))).With("tenant", "blue").WithGroup("g").With("sa", 1)
		for range 100 {
			log.Info("free")
		}
		s.rate(10)
		for range 200 {
			log.Info("bound")
		}
		log.Debug("not enabled, and not counted")
		time.Sleep(500 * time.Millisecond)
		for range 100 {
			log.Info("later")
		}
		got := out.String()
		if n := strings.Count(got, "msg=free"); n != 100 {
			t.Errorf("%d lines without a bound, want 100", n)
		}
		if n := strings.Count(got, "msg=bound"); n != 100 {
			t.Errorf("%d lines of ten seconds with 10 each", n)
		}
		if n := strings.Count(got, "msg=later tenant=blue g.sa=1"); n != 5 {
			t.Errorf("%d lines half a second later, want 5", n)
		}
		if passed, suppressed := s.counts(); passed != 205 || suppressed != 195 {
			t.Errorf("counted %d and %d", passed, suppressed)
		}
	})
}

// TestLimitsAreTold has a tenant reach what its class allows, and looks for the
// rows and the lines of it.
func TestLimitsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		tenant := gatewayTenant(4)
		tenant.Class = "bronze"
		l := &tenant.Limits
		l.Syslogs, l.BandwidthIn, l.BandwidthOut, l.Packets, l.Setups, l.InNegotiate = 5, 1e6, 2e6, 100, 3, 7
		gateway := newHost(t, net, tenant, gatewayAddr)
		gateway.start()
		alice := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		alice.start()
		time.Sleep(1500 * time.Millisecond)
		for range 100 {
			gateway.worker.log.Info("noise")
		}
		for range 300 {
			ping(alice, gateway, alice.assigned())
		}
		time.Sleep(2500 * time.Millisecond)
		for name, limit := range map[resource.Name]int64{
			resource.Syslogs: 5, resource.BandwidthIn: 1e6, resource.BandwidthOut: 2e6, resource.Packets: 100,
			resource.Setups: 3, resource.InNegotiation: 7,
		} {
			if r := gateway.usageRow(name); r.Limit != limit {
				t.Errorf("%+v, want limit %d", r, limit)
			}
		}
		for _, name := range []resource.Name{resource.Syslogs, resource.Packets} {
			if r := gateway.usageRow(name); r.Denied == 0 || r.Peak == 0 {
				t.Errorf("%+v, want some denied and a peak", r)
			}
			line := "msg=\"limit of the class reached\" class=bronze resource=" + string(name)
			if !gateway.logs.contains(line) {
				t.Errorf("the log lacks %q", line)
			}
		}
		if r := gateway.usageRow(resource.BandwidthIn); r.Peak == 0 {
			t.Errorf("nothing was measured: %+v", r)
		}

		tenant.Limits.Packets, tenant.Limits.Syslogs = 0, 0
		if err := gateway.worker.Reconfigure(context.Background(), tenant, false); err != nil {
			t.Fatal(err)
		}
		before := gateway.usageRow(resource.Packets).Denied
		for range 300 {
			if !ping(alice, gateway, alice.assigned()) {
				t.Fatal("a packet is held back without a limit")
			}
		}
		if r := gateway.usageRow(resource.Packets); r.Denied != before {
			t.Errorf("without a limit: %+v", r)
		}
		alice.stop()
		gateway.stop()
	})
}
