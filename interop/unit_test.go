//go:build e2e

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// resultMark begins a line of output that goes into the table.
const resultMark = "result: "

// unit is warrend.service on the machine that the test runs on, with what is around
// it: a client of each of its two tenants, connected.
type unit struct {
	*lab.Operator
	t    *testing.T
	lab  *lab.Lab
	net  *lab.Tenants
	blue *lab.StrongSwan
	vip  string
}

// TestUnitOnMachine is what TestSystemd has done on a machine.
func TestUnitOnMachine(t *testing.T) {
	if !lab.InMachine() {
		return
	}
	u := install(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", output("systemctl", "status", "--no-pager", "--full", "warrend"),
				output("journalctl", "--no-pager", "-o", "cat", "-n", "150", "-u", "warrend"))
		}
	})
	tell(versions())
	for _, s := range []struct {
		what string
		do   func(*unit) string
	}{
		{"`systemctl enable --now warrend`", (*unit).begin},
		{"`systemctl restart warrend`", keeps(func(u *unit) { u.systemctl("restart", "warrend") })},
		{"`kill -9` of warrend", keeps(func(u *unit) { u.kill("KILL") })},
		{"SIGTERM to warrend", keeps(func(u *unit) { u.kill("TERM") })},
		{"SIGSTOP to warrend: the watchdog of the unit, 60 s", keeps(func(u *unit) { u.kill("STOP") })},
		{"`systemctl daemon-reexec`, then `kill -9` of warrend", keeps(func(u *unit) {
			u.systemctl("daemon-reexec")
			u.kill("KILL")
		})},
		{"`kill -9` of systemd-journald", (*unit).loseJournal},
		{"another configuration, then `systemctl reload warrend`", (*unit).reload},
		{"new programs, then `systemctl restart warrend`", keeps(func(u *unit) {
			u.reinstall()
			u.systemctl("restart", "warrend")
		})},
		{"`warren restart blue`", (*unit).renewWorker},
		{"`kill -9` of the worker", (*unit).killWorker},
		{"`warren shutdown`", ends(func(u *unit) { u.MustCLI("shutdown") })},
		{"`systemctl start warrend`, then `systemctl stop warrend`", ends(func(u *unit) {
			u.begin()
			u.systemctl("stop", "warrend")
		})},
	} {
		ok := t.Run(s.what, func(t *testing.T) {
			u.t = t
			result := s.do(u)
			if !t.Failed() {
				tell(s.what + " | " + result)
			}
		})
		if !ok {
			break
		}
	}
}

// tell prints a line for the table.
func tell(line string) { fmt.Println(resultMark + line) }

// versions are those of what takes part.
func versions() string {
	first := func(text string) string { line, _, _ := strings.Cut(text, "\n"); return strings.TrimSpace(line) }
	return fmt.Sprintf("%s; %s on Linux %s (user-mode); %s; %s",
		first(output("systemctl", "--version")),
		first(output("sh", "-c", ". /etc/os-release; echo $PRETTY_NAME")),
		first(output("uname", "-r")),
		first(output("swanctl", "--help")), first(output("warren", "version")))
}

// install writes a configuration as an operator does, and lays out what is around
// the machine.
func install(t *testing.T) *unit {
	l := lab.New(t)
	host := l.Host()
	u := &unit{t: t, lab: l, net: l.TwoTenantsAround(host),
		Operator: host.Operator("warren", "/usr/local/bin", "/run/warren/warren.sock")}
	for _, name := range []string{"system.hcl", "blue.hcl", "red.hcl"} {
		path := filepath.Join("/etc/warren", name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(lab.File(name)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// begin starts the unit and connects clients.
func (u *unit) begin() string {
	u.systemctl("enable", "--now", "warrend")
	u.ready()
	u.blue = u.net.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{u.net.Blue.Conn()}})
	u.blue.MustInitiate("blue")
	u.vip = u.blue.VIPs()[0]
	u.net.Blue.Client.MustPing(lab.Ping{From: u.vip, To: lab.InsideHost})
	kept, err := strconv.Atoi(u.property("NFileDescriptorStore"))
	if err != nil || kept == 0 {
		u.t.Errorf("descriptors that systemd keeps: %d, %v", kept, err)
	}
	return fmt.Sprintf("active, 2 contexts are ready; systemd keeps %d descriptors", kept)
}

// keeps says that an operation costs no tunnel: another warrend is ready, the worker
// is the same process, no packet is lost, and the client makes no new SA.
func keeps(do func(*unit)) func(*unit) string {
	return func(u *unit) string {
		main, worker := u.property("MainPID"), u.Context("blue")
		r := u.underPing(func() {
			do(u)
			u.lab.Eventually("another warrend", 3*time.Minute, func() error {
				if now := u.property("MainPID"); now == main || now == "0" {
					return fmt.Errorf("the main process is %s, and was %s", now, main)
				}
				return nil
			})
		})
		u.same(worker)
		u.whole(r)
		return fmt.Sprintf("another warrend, the same workers; %d packets sent, %d lost", r.Sent, r.Lost())
	}
}

// ends says that an operation ends all: the peer is told, systemd keeps nothing and
// starts nothing again, and the host has its devices.
func ends(do func(*unit)) func(*unit) string {
	return func(u *unit) string {
		do(u)
		u.lab.Eventually("the end of the unit", time.Minute, func() error {
			state, kept := u.property("ActiveState"), u.property("NFileDescriptorStore")
			if state != "inactive" || kept != "0" {
				return fmt.Errorf("it is %s, and has %s descriptors", state, kept)
			}
			return nil
		})
		u.lab.Eventually("the client to see the DELETE", 10*time.Second, func() error {
			if u.blue.Established() {
				return fmt.Errorf("its SA is still there")
			}
			return nil
		})
		for _, device := range []string{"wb-out", "wb-in", "wr-out", "wr-in"} {
			if out, err := u.net.Gateway.Run("ip", "link", "show", device); err != nil {
				u.t.Errorf("%v\n%s", err, out)
			}
		}
		u.blue.Stop()
		return "inactive, and not started again; the peer hears DELETE, the host has its devices"
	}
}

// loseJournal ends the reader of warrend's log. What is said later comes to the next
// one, and nobody dies of it.
func (u *unit) loseJournal() string {
	main, worker := u.property("MainPID"), u.Context("blue")
	told := func() int { return strings.Count(output("journalctl", "-u", "warrend"), "configuration loaded") }
	before := told()
	r := u.underPing(func() {
		u.systemctl("kill", "-s", "KILL", "systemd-journald")
		u.systemctl("reload", "warrend")
		u.lab.Eventually("what warrend says to be in the journal", time.Minute, func() error {
			if got := told(); got <= before {
				return fmt.Errorf("it has %d lines, and had %d", got, before)
			}
			return nil
		})
	})
	u.same(worker)
	u.whole(r)
	if got := u.property("MainPID"); got != main {
		u.t.Errorf("the main process is %s, and was %s", got, main)
	}
	return fmt.Sprintf("the same warrend, whose next lines are in the journal; %d packets sent, %d lost",
		r.Sent, r.Lost())
}

// reload changes a context in place.
func (u *unit) reload() string {
	main, worker := u.property("MainPID"), u.Context("blue")
	r := u.underPing(func() {
		text := strings.Replace(lab.File("blue.hcl"), `["10.10.0.53"]`, `["10.10.0.54"]`, 1)
		if err := os.WriteFile("/etc/warren/blue.hcl", []byte(text), 0o600); err != nil {
			u.t.Fatal(err)
		}
		u.systemctl("reload", "warrend")
		if out := u.MustCLI("show", "running-config", "--context", "blue"); !strings.Contains(out, "10.10.0.54") {
			u.t.Errorf("it runs:\n%s", out)
		}
	})
	u.same(worker)
	u.whole(r)
	if got := u.property("MainPID"); got != main {
		u.t.Errorf("the main process is %s, and was %s", got, main)
	}
	return fmt.Sprintf("changed in place; %d packets sent, %d lost", r.Sent, r.Lost())
}

// reinstall puts files in the place of those that run, as a package manager does.
func (u *unit) reinstall() {
	for program, dir := range programs {
		path := filepath.Join(dir, program)
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path+".new", b, 0o755)
		}
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		if err != nil {
			u.t.Fatal(err)
		}
	}
}

// renewWorker has a worker, which outlived new programs, replaced by one of them.
func (u *unit) renewWorker() string {
	installed := func() bool { // it has a root of its own, so its path says nothing
		runs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", u.Context("blue").PID))
		if err != nil {
			u.t.Fatal(err)
		}
		is, err := os.Stat("/usr/local/sbin/warren-context")
		return err == nil && os.SameFile(runs, is)
	}
	if installed() {
		u.t.Error("the worker before was of the new programs already")
	}
	r := u.underPing(func() { u.MustCLI("restart", "blue") })
	if !installed() {
		u.t.Error("the worker is not of the new programs")
	}
	return fmt.Sprintf("another worker, of the new programs, with the same SAs; %d packets sent, %d lost",
		r.Sent, r.Lost())
}

// killWorker kills a worker.
func (u *unit) killWorker() string {
	worker := u.Context("blue")
	r := u.underPing(func() {
		if err := syscall.Kill(worker.PID, syscall.SIGKILL); err != nil {
			u.t.Fatal(err)
		}
		u.lab.Eventually("another worker", 20*time.Second, func() error {
			if now := u.Context("blue"); now.PID == worker.PID || now.State != "ready" {
				return fmt.Errorf("it is %+v", now)
			}
			return nil
		})
	})
	return fmt.Sprintf("another worker with the same SAs; %d packets sent, %d lost", r.Sent, r.Lost())
}

// underPing does something while a ping goes through the tunnel, and waits until the
// unit is ready and there are answers again. No SA may be made anew.
func (u *unit) underPing(do func()) lab.PingResult {
	u.t.Helper()
	wire, began := u.net.Blue.Client.Capture("out"), time.Now()
	ping := u.net.Blue.Client.StartPing(lab.Ping{From: u.vip, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	u.answers(ping)
	do()
	u.ready()
	u.answers(ping)
	r := ping.Stop()
	if got := wire.Inits(began); got != 0 {
		u.t.Errorf("new IKE_SA_INITs: got %d, want 0", got)
	}
	return r
}

// same fails the test where a context has another worker.
func (u *unit) same(was lab.ContextRow) {
	u.t.Helper()
	if got := u.Context(was.Name); got.PID != was.PID || got.Restarts != was.Restarts {
		u.t.Errorf("the context: got %+v, want %+v", got, was)
	}
}

// whole fails the test where a packet was lost.
func (u *unit) whole(r lab.PingResult) {
	u.t.Helper()
	if r.Lost() > 0 || r.Err != nil {
		u.t.Errorf("the tunnel: %v", r)
	}
}

// kill sends a signal to warrend itself.
func (u *unit) kill(signal string) {
	u.t.Helper()
	u.systemctl("kill", "-s", signal, "--kill-who=main", "warrend")
}

// ready waits until the unit is active and both contexts are ready.
func (u *unit) ready() {
	u.t.Helper()
	u.lab.Eventually("warrend.service to be active and ready", time.Minute, func() error {
		if state := u.property("ActiveState"); state != "active" {
			return fmt.Errorf("it is %s", state)
		}
		_, _, err := u.CLI("status", "--wait", "10s")
		return err
	})
}

// answers waits for 20 more answers to a ping.
func (u *unit) answers(p *lab.Pinger) {
	u.t.Helper()
	n := p.Received()
	u.lab.Eventually("answers to the ping", 20*time.Second, func() error {
		if got := p.Received(); got < n+20 {
			return fmt.Errorf("%d of 20", got-n)
		}
		return nil
	})
}

// property is one of the unit, as systemd says it.
func (u *unit) property(name string) string {
	u.t.Helper()
	return strings.TrimSpace(output("systemctl", "show", "--value", "-p", name, "warrend"))
}

func (u *unit) systemctl(args ...string) {
	u.t.Helper()
	if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
		u.t.Fatalf("systemctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// output is what a program prints, for people.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	return string(out)
}
