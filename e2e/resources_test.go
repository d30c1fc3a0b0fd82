//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// resourceCount is how many resources docs/resources.md has.
const resourceCount = 19

// floodSeconds is how long each flood lasts.
const floodSeconds = 3

// beside is what blue has while red floods.
type beside struct {
	ping   lab.PingResult
	setups int
	setup  time.Duration // of one, on average
	worst  time.Duration
}

// measure pings through a tunnel of blue's, and sets another one up again and
// again.
func measure(t *testing.T, n *lab.Tenants, s *lab.StrongSwan, address string) beside {
	t.Helper()
	var b beside
	ping := n.Blue.Client.StartPing(lab.Ping{From: address, To: lab.InsideHost, Interval: 20 * time.Millisecond,
		Timeout: 500 * time.Millisecond})
	var sum time.Duration
	for begin := time.Now(); time.Since(begin) < floodSeconds*time.Second; {
		at := time.Now()
		if err := s.Initiate("blue1", 20*time.Second); err != nil {
			t.Errorf("blue cannot set up a tunnel: %v", err)
			break
		}
		took := time.Since(at)
		sum += took
		b.worst = max(b.worst, took)
		b.setups++
		if err := s.Terminate("blue1"); err != nil {
			t.Errorf("blue cannot end a tunnel: %v", err)
			break
		}
	}
	if b.setups > 0 {
		b.setup = sum / time.Duration(b.setups)
	}
	b.ping = ping.Stop()
	return b
}

// TestFloods has red flood in every way that there is, and measures blue before
// and beside each. Red gets what its class allows, is told so in the log with
// the class's name, and is whole afterwards; blue goes on.
func TestFloods(t *testing.T) {
	l, n, w := start(t, func(name, text string) string {
		return replace(t, "system.hcl", `    cpu            = "50%"
    memory         = "256MiB"
`, `    cpu                  = 0.25
    memory               = "64MiB"
    pids                 = 32
    ike_setups           = 10
    ikev2_in_negotiation = 20
    bandwidth_in         = "20Mbit"
    bandwidth_out        = "20Mbit"
    packets              = 4000
    syslogs              = 1
    storage              = "1MiB"
    mac_addresses        = 32
`)(name, text)
	})
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: conns(n.Blue, 2)})
	s.MustInitiate("blue0")
	address := vip(t, s)
	_, red := client(t, n.Red)
	n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})
	n.Red.Client.MustPing(lab.Ping{From: red, To: lab.InsideHost})
	spi, err := strconv.ParseUint(strings.TrimPrefix(w.WaitSAs("red", 1)[0].ChildSAs[0].SPIIn, "0x"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	before := w.Context("blue")

	big := l.WriteFile(strings.Repeat("red ", 100<<10), "big.txt")

	floods := []struct {
		name  string
		begin func() (end func() string)
		held  []string // resources of which red was denied some
	}{
		{"IKE_SA_INIT, 5,000 a second, sources that answer", func() func() string {
			f := startFlood(t, n.Red.Client, 500, 5000, newInit, withCookie)
			return func() string { return fmt.Sprintf("%d requests", f.Stop()) }
		}, []string{"ike_setups", "ikev2_in_negotiation"}},
		{"ESP with a known SPI, not authentic, 160 Mbit/s", func() func() string {
			f := startFlood(t, n.Red.Client, 4500, 20000, espGarbage(uint32(spi), 1000), nil)
			return func() string { return fmt.Sprintf("%d packets", f.Stop()) }
		}, []string{"packets"}},
		{"ESP with unknown SPIs, a log line for some", func() func() string {
			f := startFlood(t, n.Red.Client, 4500, 5000, espGarbage(0, 100), nil)
			return func() string { return fmt.Sprintf("%d packets", f.Stop()) }
		}, []string{"syslogs"}},
		{"traffic into the tunnel", func() func() string {
			i := n.Red.Client.StartIperf(n.Red.Host, lab.Iperf{From: red, To: lab.InsideHost, Seconds: floodSeconds,
				UDP: true, Rate: "60M", Length: 1200})
			return func() string { return capped(t, i) }
		}, []string{"bandwidth_in"}},
		{"traffic out of the tunnel", func() func() string {
			i := n.Red.Client.StartIperf(n.Red.Host, lab.Iperf{From: red, To: lab.InsideHost, Seconds: floodSeconds,
				UDP: true, Rate: "60M", Length: 1200, Reverse: true})
			return func() string { return capped(t, i) }
		}, []string{"bandwidth_out"}},
		{"a client that looks for hosts that are not there", func() func() string {
			f := startSearch(t, n.Red.Client, red)
			return func() string { return fmt.Sprintf("%d packets", f.Stop()) }
		}, []string{"mac_addresses"}},
		{"files, as many as fit and more", func() func() string {
			ctx, cancel := context.WithCancel(t.Context())
			var copying sync.WaitGroup
			kept := 0
			copying.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					if _, _, err := w.CLI("copy", big, fmt.Sprintf("red:disk0:/%d", i)); err == nil {
						kept++
					}
				}
			})
			return func() string {
				cancel()
				copying.Wait()
				if kept != 2 {
					t.Errorf("%d files of 400 KiB are in 1 MiB", kept)
				}
				return fmt.Sprintf("%d kept,", kept)
			}
		}, []string{"storage"}},
		{"processor time, 4 processes that spin", func() func() string {
			p := w.Confined("red", "for i in 1 2 3; do while :; do :; done & done; while :; do :; done")
			return func() string { p.KillGroup(); return "" }
		}, []string{"cpu"}},
		{"memory without end, again and again", func() func() string {
			p := w.Confined("red", "while :; do sh -c 'exec tail /dev/zero'; sleep 0.1; done")
			return func() string { p.KillGroup(); return "" }
		}, []string{"memory"}},
		{"processes without end", func() func() string {
			p := w.Confined("red", "for i in $(seq 200); do sleep 30 & done; wait")
			return func() string { p.KillGroup(); return "" }
		}, []string{"pids"}},
	}
	report := []string{fmt.Sprintf("%-50s %s", "blue beside",
		"ping avg     max  lost   set-up avg     max  red denied")}
	line := func(name string, b beside, red string) {
		report = append(report, fmt.Sprintf("%-50s %5.1f ms %5.0f ms  %3d%%  %7.0f ms %5.0f ms  %s", name,
			ms(b.ping.Avg), ms(b.ping.Max),
			100*b.ping.Lost()/max(1, b.ping.Sent), ms(b.setup), ms(b.worst), red))
	}
	line("nothing", measure(t, n, s, address), "")
	for _, f := range floods {
		denied := deniedOf(w)
		end := f.begin()
		b := measure(t, n, s, address)
		what := end()
		now := deniedOf(w)
		l.Eventually(f.name+": red to be denied something", lab.Patience, func() error {
			now = deniedOf(w)
			for _, name := range f.held {
				if now[name] <= denied[name] {
					return fmt.Errorf("nothing of %s", name)
				}
			}
			return nil
		})
		for _, name := range f.held {
			what += fmt.Sprintf(" %s %d", name, now[name]-denied[name])
		}
		line(f.name, b, what)
		if b.ping.Lost()*5 > b.ping.Sent || b.ping.Corrupt > 0 || b.ping.Avg > 200*time.Millisecond {
			t.Errorf("%s: blue's ping: %v", f.name, b.ping)
		}
		if b.setups == 0 || b.worst > 10*time.Second {
			t.Errorf("%s: blue's set-ups: %d, the slowest took %v", f.name, b.setups, b.worst)
		}
	}
	t.Log("\n" + strings.Join(report, "\n"))
	for _, f := range floods {
		for _, name := range f.held {
			wantLog(t, w, "level=WARN", "tenant=red", "class=bronze", "resource="+name)
		}
	}
	if after := w.Context("blue"); after != before {
		t.Errorf("blue was %+v, and is %+v", before, after)
	}
	l.Eventually("red to be whole", 20*time.Second, func() error {
		if c := w.Context("red"); c.State != "ready" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	n.Red.Client.MustPing(lab.Ping{From: red, To: lab.InsideHost})
	rows := w.Resources("red")
	if len(rows) != resourceCount {
		t.Errorf("show resource usage has %d rows, want %d: %+v", len(rows), resourceCount, rows)
	}
	t.Log("\n" + w.MustCLI("show", "resource", "usage", "--context", "red"))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// capped waits for a measurement of red's, which may not exceed its bandwidth.
func capped(t *testing.T, i *lab.IperfRun) string {
	t.Helper()
	r, err := i.Wait()
	if err != nil {
		t.Errorf("red's traffic: %v", err)
		return ""
	}
	if r.BitsPerSecond > 25e6 {
		t.Errorf("red's traffic: %v, and its class has 20 Mbit/s", r)
	}
	return fmt.Sprintf("%.1f Mbit/s got through,", r.BitsPerSecond/1e6)
}

// deniedOf is what red was denied so far.
func deniedOf(w *lab.Warrend) map[string]int64 {
	out := map[string]int64{}
	for _, r := range w.Resources("red") {
		out[r.Resource] = r.Denied
	}
	return out
}

// TestBurst has two contexts that are promised one session each, of three that
// there are: the third is for whom comes first, also when a worker is replaced,
// and for the other one when it is given back.
func TestBurst(t *testing.T) {
	l := lab.New(t)
	n := l.TwoTenants()
	system := lab.File("system.hcl")
	for _, pair := range [][2]string{
		{`vpn_anyconnect = "50%"`, "vpn_anyconnect = 1\n    vpn_burst_anyconnect = 0"},
		{`vpn_anyconnect = 2 #`, "vpn_anyconnect = 1\n    vpn_burst_anyconnect = 5 #"},
	} {
		if !strings.Contains(system, pair[0]) {
			t.Fatalf("system.hcl has no %q", pair[0])
		}
		system = strings.Replace(system, pair[0], pair[1], 1)
	}
	w := n.Gateway.Warrend(lab.WarrendConfig{
		System: system, Limits: "  limits { vpn_sessions = 3 }",
		Files: map[string]string{"blue.hcl": lab.File("blue.hcl"), "red.hcl": lab.File("red.hcl")},
	})
	w.Ready()
	red := n.Red.Client.StrongSwan(lab.StrongSwanConfig{Conns: conns(n.Red, 3)})
	red.MustInitiate("red0")
	red.MustInitiate("red1")
	refused := func(s *lab.StrongSwan, name string) {
		t.Helper()
		if err := s.Initiate(name, 5*time.Second); err == nil {
			t.Errorf("%s is connected, and nothing was left", name)
		}
	}
	refused(red, "red2")
	wantNotify(t, red, "NO_ADD_SAS")
	wantLog(t, w, "level=WARN", "tenant=red", "vpn_burst_anyconnect", "class=bronze", "nothing is left")

	before := w.Context("red")
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	anotherWorker(l, w, "red", before)
	l.Eventually("red's two sessions", 10*time.Second, func() error {
		up := 0
		for _, s := range w.IKESAs("red") {
			if len(s.ChildSAs) > 0 {
				up++
			}
		}
		if up != 2 {
			return fmt.Errorf("there are %d", up)
		}
		return nil
	})
	blue := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: conns(n.Blue, 2)})
	blue.MustInitiate("blue0") // promised
	refused(blue, "blue1")
	refused(red, "red2")
	want := map[string][3]int64{"vpn_anyconnect": {1, 1, 0}, "vpn_burst_anyconnect": {1, 5, 1}}
	for _, r := range w.Resources("red") {
		if v, ok := want[r.Resource]; ok && (r.Current != v[0] || r.Limit != v[1] || r.Denied < v[2]) {
			t.Errorf("show resource usage: %+v, want current, limit, denied %v", r, v)
		}
	}

	if err := red.Terminate("red0"); err != nil {
		t.Fatal(err)
	}
	l.Eventually("blue to get what red has given back", 10*time.Second, func() error {
		return blue.Initiate("blue1", 5*time.Second)
	})
}
