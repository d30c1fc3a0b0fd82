// Scale prints what many contexts cost: how long warrend needs to have them
// ready, to plan and to reload, and the memory of those that have nothing to do,
// each measured in this run on this machine. It needs root and the programs in
// bin/.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/warrenvpn/warren/bench/figure"
	"github.com/warrenvpn/warren/internal/lab"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// report is what is printed and kept.
type report struct{ figure.Report }

// took adds how long f takes.
func (r *report) took(name, aim string, f func() error) error {
	began := time.Now()
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Add(name, time.Since(began).Seconds(), "s", aim)
	return nil
}

func main() {
	n := flag.Int("contexts", 250, "contexts, 1 to 1000")
	out := flag.String("json", "bench/out/scale.json", "file for the figures as JSON; empty: none")
	keep := flag.Bool("adopt", false, "also kill warrend, and measure how soon the next one has taken its workers up")
	flag.Parse()
	if *n < 1 || *n > 1000 {
		fmt.Fprintln(os.Stderr, "scale: -contexts is 1 to 1000")
		os.Exit(2)
	}
	if err := run(*n, *out, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(n int, out string, keep bool) error {
	r := &report{}
	fmt.Printf("%d contexts on one shared interface\n", n)
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	if err := lab.Run(logf, func(l *lab.Lab) error { return measure(l, r, n, keep) }); err != nil {
		return err
	}
	return r.Save(out)
}

// tenantFile is a context that answers remote-access clients.
func tenantFile(i, pool int) string {
	return fmt.Sprintf(`
interface "outside" { address = "198.18.%d.%d/15" }

ip_pool "p" { range = "10.96.0.1-10.96.%d.254" }

tunnel_group "DefaultRAGroup" {
  type          = "remote-access"
  address_pools = ["p"]

  ikev2 {
    local_identity        = "gw%d.example"
    local_authentication  = { pre_shared_key = "gateway key" }
    remote_authentication = { pre_shared_key = "client key" }
  }
}

crypto_map "outside" {
  dynamic "any" {}
}
`, i/250, i%250+1, pool, i)
}

func file(i int) string { return fmt.Sprintf("c%d.hcl", i) }

// measure is the list of what is measured.
func measure(l *lab.Lab, r *report, n int, keep bool) error {
	gateway := l.Namespace("gateway")
	l.Veth(gateway, "shared", l.Namespace("other"), "shared")
	var system strings.Builder
	system.WriteString("interface \"Ethernet0/0\" {\n  device = \"shared\"\n  shared = true\n}\n")
	files := map[string]string{}
	for i := range n {
		fmt.Fprintf(&system,
			"context \"c%d\" {\n  config_url = %q\n  allocate_interface \"Ethernet0/0\" { name = \"outside\" }\n}\n", i,
			"file:"+file(i))
		files[file(i)] = tenantFile(i, 1)
	}
	before, err := available()
	if err != nil {
		return err
	}
	var w *lab.Warrend
	var c *client.Client
	err = r.took("start until every context is ready", "250 within 10 s", func() error {
		w = gateway.Warrend(lab.WarrendConfig{System: system.String(), Files: files, Keep: keep})
		c = client.New(&client.Config{Socket: w.Socket()})
		return ready(c, n)
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := processorTime(r, w, n); err != nil {
		return err
	}
	if err := changes(r, c, w, n); err != nil {
		return err
	}
	if err := memory(r, w, n, before); err != nil {
		return err
	}
	if keep {
		if err := adopt(r, c, w, n); err != nil {
			return err
		}
	}
	return r.took("stop", "", func() error {
		if keep {
			w.Shutdown()
		} else {
			w.Stop()
		}
		return nil
	})
}

// adopt measures how soon another supervisor has taken up the workers of one that was killed.
func adopt(r *report, c *client.Client, w *lab.Warrend, n int) error {
	last := fmt.Sprintf("c%d", n-1)
	if err := reload(c, n)(); err != nil { // so that the next one finds what runs
		return err
	}
	before := w.Context(last)
	w.Kill()
	began := time.Now()
	w.Start()
	for ready(c, n) != nil { // its socket is not there yet
		if !w.Running() {
			return fmt.Errorf("warrend has ended: %s", w.Log())
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	if after := w.Context(last); after.PID != before.PID {
		return fmt.Errorf("context %s has another worker: %+v, was %+v", last, after, before)
	}
	r.Add("start after kill -9 until every context is taken up", took.Seconds(), "s", "250 within 2 s")
	supervisor, err := lab.CPU(w.PID())
	if err != nil {
		return err
	}
	r.Add("processor time of taking up, warrend, per context", supervisor.Seconds()*1000/float64(n), "ms", "")
	return nil
}

// processorTime tells what the start has cost.
func processorTime(r *report, w *lab.Warrend, n int) error {
	supervisor, err := lab.CPU(w.PID())
	if err != nil {
		return err
	}
	workers, err := lab.CPU(lab.Children(w.PID())...)
	if err != nil {
		return err
	}
	r.Add("processor time of that, warrend, per context", supervisor.Seconds()*1000/float64(n), "ms", "")
	r.Add("processor time of that, workers, per context", workers.Seconds()*1000/float64(n), "ms", "")
	return nil
}

// ready waits until n contexts are ready.
func ready(c *client.Client, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	st, err := c.WaitReady(ctx)
	if err != nil {
		return err
	}
	if !st.Ready || st.ReadyContexts != n {
		return fmt.Errorf("%d of %d contexts are ready; %v", st.ReadyContexts, n, st.Waiting)
	}
	return nil
}

// changes measures plans and reloads.
func changes(r *report, c *client.Client, w *lab.Warrend, n int) error {
	ctx := context.Background()
	plan := func(want int) func() error {
		return func() error {
			p, err := c.Plan(ctx, api.Leniency{})
			if err == nil && len(p.Steps) != want {
				err = fmt.Errorf("%d steps, want %d", len(p.Steps), want)
			}
			return err
		}
	}
	if err := r.took("plan, nothing changed", "within 1 s", plan(0)); err != nil {
		return err
	}
	if err := r.took("reload, nothing changed", "", reload(c, 0)); err != nil {
		return err
	}
	w.Write(file(0), tenantFile(0, 2))
	if err := r.took("plan, one context changed", "within 1 s", plan(1)); err != nil {
		return err
	}
	if err := r.took("reload, one context changed", "", reload(c, 1)); err != nil {
		return err
	}
	for i := range n {
		w.Write(file(i), tenantFile(i, 3))
	}
	if err := r.took("plan, every context changed", "within 1 s", plan(n)); err != nil {
		return err
	}
	err := r.took("apply, every context changed in place", "", func() error {
		done, err := c.Apply(ctx, api.Apply{})
		if err == nil && len(done.Steps) != n {
			err = fmt.Errorf("%d steps, want %d", len(done.Steps), n)
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.took("rollback of that", "", func() error {
		_, err := c.Rollback(ctx, api.Rollback{Version: 2})
		return err
	})
}

func reload(c *client.Client, want int) func() error {
	return func() error {
		done, err := c.Reload(context.Background(), api.Leniency{})
		if err == nil && (len(done.Steps) != want || len(done.Errors) > 0) {
			err = fmt.Errorf("%d steps, want %d; %v", len(done.Steps), want, done.Errors)
		}
		return err
	}
}

// settling is how long the processes are left alone before they are weighed.
const settling = 3 * time.Second

// memory weighs the processes at rest, and what the kernel has for them.
func memory(r *report, w *lab.Warrend, n int, before int64) error {
	time.Sleep(settling)
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
	r.Add("PSS of warrend", float64(supervisor)/(1<<20), "MiB", "")
	after, err := available()
	if err != nil {
		return err
	}
	r.Add("memory of the machine per context, with the kernel's", float64(before-after)/(1<<20)/float64(n), "MiB", "")
	return nil
}

// available is the memory of the machine that is free for use, in bytes.
func available() (int64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no MemAvailable in /proc/meminfo")
}
