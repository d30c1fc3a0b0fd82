package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/warrenvpn/warren/internal/fdstore/fdstoretest"
)

// Warrend is our own daemon in a namespace, with its files in a folder of the
// lab: it shares nothing with another one on the host.
type Warrend struct {
	*Process
	ns     *Namespace
	System string // system.name: what it makes on the host begins with it
	Dir    string // of its configuration
	Config string // its system file
	bin    string
	socket string
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
	w := &Warrend{ns: ns, System: ns.lab.Name(c.Name), bin: c.Bin}
	run := ns.lab.Path(c.Name, "run")
	w.socket = filepath.Join(run, "warren.sock")
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

// Socket is the path of the daemon's API.
func (w *Warrend) Socket() string { return w.socket }

// CLI runs the warren command against this daemon.
func (w *Warrend) CLI(args ...string) (stdout, stderr string, err error) {
	args = append([]string{filepath.Join(w.bin, "warren"), "--socket", w.socket}, args...)
	return w.ns.Output(Command{Args: args, Env: []string{"NO_COLOR=1"}})
}

// MustCLI is CLI that ends the test when the command fails.
func (w *Warrend) MustCLI(args ...string) string {
	w.ns.lab.tb.Helper()
	out, _, err := w.CLI(args...)
	if err != nil {
		w.ns.lab.tb.Fatalf("%v\n%s", err, out)
	}
	return out
}

// ExitCode is the exit code that an error of CLI carries; 0 for nil, -1 where
// the program did not run.
func ExitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// Ready waits until every context is ready.
func (w *Warrend) Ready() {
	w.ns.lab.tb.Helper()
	// The socket may not be there yet, which the CLI tells at once.
	w.ns.lab.Eventually("warrend in "+w.ns.name+" to be ready", 20*time.Second, func() error {
		if !w.Running() {
			return fmt.Errorf("it has ended: %v", w.err)
		}
		_, _, err := w.CLI("status", "--wait", "10s")
		return err
	})
}

// ContextRow is one row of `warren show context --json`.
type ContextRow struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Class    string `json:"class"`
	Role     string `json:"role"`
	PID      int    `json:"pid"`
	Restarts int    `json:"restarts"`
}

// IKESA is one row of `warren show crypto ikev2 sa --json`.
type IKESA struct {
	Context     string    `json:"context"`
	SPIi        string    `json:"spi_i"`
	SPIr        string    `json:"spi_r"`
	Local       string    `json:"local"`
	Remote      string    `json:"remote"`
	LocalID     string    `json:"local_id"`
	RemoteID    string    `json:"remote_id"`
	State       string    `json:"state"`
	TunnelGroup string    `json:"tunnel_group"`
	Encryption  string    `json:"encryption"`
	Integrity   string    `json:"integrity"`
	PRF         string    `json:"prf"`
	KeyExchange string    `json:"key_exchange"`
	NATT        bool      `json:"natt"`
	Assigned    []string  `json:"assigned"`
	ChildSAs    []ChildSA `json:"child_sas"`
}

// ChildSA is one child SA of an IKESA.
type ChildSA struct {
	SPIIn         string   `json:"spi_in"`
	SPIOut        string   `json:"spi_out"`
	Encapsulation string   `json:"encapsulation"`
	Encryption    string   `json:"encryption"`
	LocalTS       []string `json:"local_ts"`
	RemoteTS      []string `json:"remote_ts"`
	BytesIn       uint64   `json:"bytes_in"`
	BytesOut      uint64   `json:"bytes_out"`
	PacketsIn     uint64   `json:"packets_in"`
	PacketsOut    uint64   `json:"packets_out"`
	ReplayDropped uint64   `json:"replay_dropped"`
}

// Resource is one row of `warren show resource usage --json`.
type Resource struct {
	Context  string `json:"context"`
	Resource string `json:"resource"`
	Current  int64  `json:"current"`
	Peak     int64  `json:"peak"`
	Limit    int64  `json:"limit"`
	Denied   int64  `json:"denied"`
}

// show decodes the output of a show command into v.
func (w *Warrend) show(v any, args ...string) error {
	out, _, err := w.CLI(append(append([]string{"show"}, args...), "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("lab: reading warren show %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Context is what the daemon says of one context.
func (w *Warrend) Context(name string) ContextRow {
	w.ns.lab.tb.Helper()
	var answer struct {
		Contexts []ContextRow `json:"contexts"`
	}
	if err := w.show(&answer, "context"); err != nil {
		w.ns.lab.tb.Fatalf("%v", err)
	}
	for _, c := range answer.Contexts {
		if c.Name == name {
			return c
		}
	}
	w.ns.lab.tb.Fatalf("lab: warrend in %s has no context %s", w.ns.name, name)
	return ContextRow{}
}

// IKESAs are the IKE SAs of one context.
func (w *Warrend) IKESAs(context string) []IKESA {
	w.ns.lab.tb.Helper()
	sas, err := w.ikeSAs(context)
	if err != nil {
		w.ns.lab.tb.Fatalf("%v", err)
	}
	return sas
}

func (w *Warrend) ikeSAs(context string) ([]IKESA, error) {
	var answer struct {
		IKESAs []IKESA `json:"ike_sas"`
	}
	err := w.show(&answer, "crypto", "ikev2", "sa", "--context", context)
	return answer.IKESAs, err
}

// WaitSAs waits until a context has n IKE SAs that are established, each with a
// child SA, and returns them.
func (w *Warrend) WaitSAs(context string, n int) []IKESA {
	w.ns.lab.tb.Helper()
	var found []IKESA
	w.ns.lab.Eventually(fmt.Sprintf("%d SAs in context %s", n, context), 15*time.Second, func() error {
		sas, err := w.ikeSAs(context)
		if err != nil {
			return err
		}
		up := sas[:0:0]
		for _, s := range sas {
			if strings.EqualFold(s.State, "established") && len(s.ChildSAs) > 0 {
				up = append(up, s)
			}
		}
		found = up
		if len(up) != n || len(sas) != n {
			return fmt.Errorf("there are %d, and %d of them are up", len(sas), len(up))
		}
		return nil
	})
	return found
}

// Resources are the rows of one context.
func (w *Warrend) Resources(context string) []Resource {
	w.ns.lab.tb.Helper()
	var answer struct {
		Resources []Resource `json:"resources"`
	}
	if err := w.show(&answer, "resource", "usage"); err != nil {
		w.ns.lab.tb.Fatalf("%v", err)
	}
	var rows []Resource
	for _, r := range answer.Resources {
		if r.Context == context {
			rows = append(rows, r)
		}
	}
	return rows
}

// Namespace enters the namespace of a context.
func (w *Warrend) Namespace(context string) *Namespace {
	w.ns.lab.tb.Helper()
	return w.ns.lab.Open(w.System + "-" + context)
}
