// Demo shows Warren at work, on one machine, in less than half a minute. First
// two tenants with the same addresses on one gateway, a client of each, traffic
// through both, and a worker that is killed without its client losing the
// connection. Then a failover pair, whose active node is killed. Everything is in network namespaces of its own and is
// gone afterwards. It needs root and the three programs in bin/, and nothing else on the machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

func main() {
	bin := flag.String("bin", "bin", "folder of warrend, warren-context and warren")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unknown argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	err := run(*bin)
	if errors.Is(err, lab.ErrRoot) {
		fmt.Fprintln(os.Stderr, "demo: this needs root, because it makes network namespaces: sudo make demo")
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run gives the show in a lab.
func run(bin string) error {
	dir, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	for _, program := range []string{"warrend", "warren-context", "warren"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return fmt.Errorf("%w (run: make build)", err)
		}
	}
	if err := os.Setenv("WARREN_BIN", dir); err != nil {
		return err
	}
	s := newStage(os.Stdout)
	begin := time.Now()
	for _, half := range []func(*stage, *lab.Lab) error{showTenants, showPair} {
		if err = lab.Run(s.note, func(l *lab.Lab) error { return half(s, l) }); err != nil {
			break
		}
	}
	if err == nil {
		s.end("Everything is gone again: namespaces, devices, processes, files. %.1f s.", time.Since(begin).Seconds())
	}
	return err
}

// showTenants is the first half of the demonstration, act by act.
func showTenants(s *stage, l *lab.Lab) error {
	s.act("Two tenants, blue and red, on one gateway. They use the SAME addresses.")
	n := l.TwoTenantsOneClient()
	s.say(`
   client 198.51.100.2 ----- outside [ context blue ] inside ----- 10.10.0.53 host
   client 198.51.100.2 ----- outside [ context red  ] inside ----- 10.10.0.53 host`)
	gateway := n.StartGateway(nil)
	gateway.Ready()
	s.done("The gateway is ready: one worker without privileges per context.")
	s.command("warren show context", gateway.MustCLI("show", "context"))

	s.act("The clients are Warren, too: the same program as initiator. They connect.")
	clients := n.StartClients()
	clients.Ready()
	for _, name := range []string{"blue", "red"} {
		sa := gateway.WaitSAs(name, 1)[0]
		s.done("%s: %s is connected and has %s.", name, sa.RemoteID, strings.Join(sa.Assigned, ", "))
	}
	s.command("warren show crypto ikev2 sa --detail", gateway.MustCLI("show", "crypto", "ikev2", "sa", "--detail"))

	s.act("Both ping the host behind their own gateway, at the same address.")
	inside := map[string]*lab.Namespace{}
	for _, name := range []string{"blue", "red"} {
		inside[name] = clients.Namespace(name)
		r := inside[name].MustPing(lab.Ping{To: lab.InsideHost, Count: 5, Interval: 100 * time.Millisecond})
		s.done("%s: ping %s: %v", name, lab.InsideHost, r)
	}
	return killWorker(s, l, gateway, inside)
}

// killWorker kills blue's worker while both clients ping.
func killWorker(s *stage, l *lab.Lab, gateway *lab.Warrend, inside map[string]*lab.Namespace) error {
	s.act("Now blue's worker is killed with -9 while both clients ping every 10 ms.")
	before := gateway.Context("blue")
	wire := inside["blue"].Capture("outside")
	ping := lab.Ping{To: lab.InsideHost, Interval: 10 * time.Millisecond}
	blue, red := inside["blue"].StartPing(ping), inside["red"].StartPing(ping)
	answered := func(p *lab.Pinger, more int) {
		n := p.Received()
		l.Eventually("answers to the ping", 10*time.Second, func() error {
			if got := p.Received(); got < n+more {
				return fmt.Errorf("%d of %d", got-n, more)
			}
			return nil
		})
	}
	answered(blue, 50)
	killed := time.Now()
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		return err
	}
	s.done("kill -9 %d", before.PID)
	var after lab.ContextRow
	l.Eventually("a new worker", 10*time.Second, func() error {
		if after = gateway.Context("blue"); after.PID == before.PID || after.State != "ready" {
			return fmt.Errorf("context blue is %s with pid %d", after.State, after.PID)
		}
		return nil
	})
	answered(blue, 100)
	b, r := blue.Stop(), red.Stop()
	s.done("Worker %d took over from %d with its security associations (restarts: %d).", after.PID, before.PID,
		after.Restarts)
	s.done("blue: %d pings, %d lost, silent for %v; new IKE_SA_INITs on the wire: %d", b.Sent, b.Lost(),
		b.Outage.Round(time.Millisecond), wire.Inits(killed))
	s.done("red:  %d pings, %d lost", r.Sent, r.Lost())
	s.command("warren show context", gateway.MustCLI("show", "context"))
	if n := wire.Inits(killed); n > 0 {
		return fmt.Errorf("the client had to connect again: %d IKE_SA_INITs", n)
	}
	if r.Lost() > 0 {
		return fmt.Errorf("the other tenant noticed: %v", r)
	}
	return nil
}
