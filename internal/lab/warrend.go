package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/fdstore/fdstoretest"
)

// Warrend is our own daemon in a namespace, with its files in a folder of the
// lab: it shares nothing with another one on the host.
type Warrend struct {
	*Process
	*Operator
	Dir    string // of its configuration
	Config string // its system file
	block  string // the system block of the system file

	keeper *fdstoretest.Keeper // nil: nobody keeps descriptors
}

// WarrendConfig is what a Warrend starts with.
type WarrendConfig struct {
	Name string // unique in the lab; empty: "gw"
	Bin  string // folder of the programs; empty: $WARREN_BIN, else bin/ of the module
	// System is the system file without its system block, which the lab writes.
	System string
	// Limits goes into the system block as it stands.
	Limits string
	Files  map[string]string // beside the system file: "blue.hcl"
	// Keep keeps descriptors for the daemon as systemd does: it ends with Shutdown, or
	// with the lab.
	Keep bool
}

// OneContext is the System of a WarrendConfig with one context, whose file is its name with
// ".hcl", and whose interfaces outside and inside are these devices.
func OneContext(name, outside, inside string) string {
	return fmt.Sprintf(`
interface "Ethernet0/0" { device = %q }
interface "Ethernet0/1" { device = %q }

context %[3]q {
  config_url = "file:%[3]s.hcl"

  allocate_interface "Ethernet0/0" { name = "outside" }
  allocate_interface "Ethernet0/1" { name = "inside" }
}
`, outside, inside, name)
}

// Warrend writes the configuration and starts the daemon. It does not wait:
// see Ready.
func (ns *Namespace) Warrend(c WarrendConfig) *Warrend {
	ns.lab.tb.Helper()
	if c.Name == "" {
		c.Name = "gw"
	}
	if c.Bin == "" {
		c.Bin = Bin()
	}
	run := ns.lab.Path(c.Name, "run")
	w := &Warrend{Operator: ns.Operator(ns.lab.Name(c.Name), c.Bin, filepath.Join(run, "warren.sock"))}
	w.block = fmt.Sprintf("system {\n  name      = %q\n  state_dir = %q\n  run_dir   = %q\n%s\n}\n\n",
		w.System, ns.lab.Path(c.Name, "state"), run, c.Limits)
	w.Config = ns.lab.WriteFile(w.block+c.System, c.Name, "system.hcl")
	w.Dir = filepath.Dir(w.Config)
	for name, text := range c.Files {
		w.Write(name, text)
	}
	if c.Keep {
		w.keep()
	}
	w.Start()
	return w
}

// keep has descriptors kept for the daemon, until the lab ends: then it is shut down.
func (w *Warrend) keep() {
	w.ns.lab.tb.Helper()
	var err error
	if w.keeper, err = fdstoretest.New(w.Dir); err != nil {
		w.ns.lab.tb.Fatalf("lab: %v", err)
	}
	w.ns.lab.onClose(func() {
		if w.Running() {
			w.Shutdown()
		}
		if err := w.keeper.Close(); err != nil {
			w.ns.lab.tb.Errorf("lab: %v", err)
		}
	})
}

// Shutdown ends the daemon and its contexts, whatever is kept.
func (w *Warrend) Shutdown() {
	w.ns.lab.tb.Helper()
	if out, errs, err := w.CLI("shutdown"); err != nil {
		w.ns.lab.tb.Errorf("%v\n%s%s", err, out, errs)
		w.Stop()
	}
	<-w.exited
}

// Kept are the names of the descriptors that are kept for the daemon.
func (w *Warrend) Kept() []string {
	w.ns.lab.tb.Helper()
	if err := w.keeper.Settle(); err != nil {
		w.ns.lab.tb.Fatalf("lab: %v", err)
	}
	return w.keeper.Names()
}

// DropKept lets go of all that is kept, as systemd does for a unit that was stopped.
func (w *Warrend) DropKept() {
	w.ns.lab.tb.Helper()
	if err := w.keeper.Settle(); err != nil {
		w.ns.lab.tb.Fatalf("lab: %v", err)
	}
	w.keeper.DropAll()
}

// Install has the daemon start from copies of the programs, in a folder of the lab,
// from then on.
func (w *Warrend) Install() {
	w.ns.lab.tb.Helper()
	to := w.ns.lab.Path(fmt.Sprint("bin-", count.Add(1)))
	for _, name := range []string{"warrend", "warren-context", "warren"} {
		b, err := os.ReadFile(filepath.Join(w.bin, name))
		if err == nil {
			err = errors.Join(os.MkdirAll(to, 0o755), os.WriteFile(filepath.Join(to, name), b, 0o755))
		}
		if err != nil {
			w.ns.lab.tb.Fatalf("lab: %v", err)
		}
	}
	w.bin = to
}

// Use has the daemon start from the programs in a folder from then on.
func (w *Warrend) Use(bin string) { w.bin = bin }

// Bin is the folder of the programs under test.
func Bin() string {
	if dir := os.Getenv("WARREN_BIN"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		return "bin"
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == "/" {
			return filepath.Join(dir, "bin")
		}
		dir = filepath.Dir(dir)
	}
}

// Start starts the daemon, again after Stop or Kill.
func (w *Warrend) Start() {
	w.ns.lab.tb.Helper()
	w.Process = w.ns.Start(Command{Name: "warrend", keeper: w.keeper,
		Args: []string{filepath.Join(w.bin, "warrend"), "--config", w.Config}})
}

// Second starts another daemon with the same configuration.
func (w *Warrend) Second() *Process {
	w.ns.lab.tb.Helper()
	return w.ns.Start(Command{Name: "second-warrend",
		Args: []string{filepath.Join(w.bin, "warrend"), "--config", w.Config}})
}

// Write writes a file beside the system file.
func (w *Warrend) Write(name, text string) {
	w.ns.lab.tb.Helper()
	if err := os.WriteFile(filepath.Join(w.Dir, name), []byte(text), 0o644); err != nil {
		w.ns.lab.tb.Fatalf("lab: %v", err)
	}
}

// WriteSystem replaces the system file but for its system block.
func (w *Warrend) WriteSystem(text string) {
	w.ns.lab.tb.Helper()
	w.Write("system.hcl", w.block+text)
}

// Ready waits until every context is ready.
func (w *Warrend) Ready() {
	w.ns.lab.tb.Helper()
	// The socket may not be there yet, which the CLI tells at once.
	w.ns.lab.Eventually("warrend in "+w.ns.name+" to be ready", Patience, func() error {
		if !w.Running() {
			return fmt.Errorf("it has ended: %v", w.err)
		}
		_, _, err := w.CLI("status", "--wait", "10s")
		if err == nil {
			err = w.listens()
		}
		return err
	})
}

// listens returns an error where another process than the daemon's listens at its socket: one
// that was not ended before this one was started.
func (w *Warrend) listens() error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: w.socket, Net: "unix"})
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	if controlErr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); controlErr != nil {
		err = controlErr
	}
	if err == nil && int(peer.Pid) != w.PID() {
		err = fmt.Errorf("process %d listens at %s, and %d should", peer.Pid, w.socket, w.PID())
	}
	return err
}
