package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Operator has the warren command for one daemon, and reads what that says.
type Operator struct {
	ns     *Namespace
	System string // system.name: what the daemon makes on the host begins with it
	bin    string // folder of the command
	socket string
}

// Operator returns the operator of a daemon that somebody else has started, whose
// command is in the folder bin.
func (ns *Namespace) Operator(system, bin, socket string) *Operator {
	return &Operator{ns: ns, System: system, bin: bin, socket: socket}
}

// Socket is the path of the daemon's API.
func (o *Operator) Socket() string { return o.socket }

// CLI runs the warren command against this daemon.
func (o *Operator) CLI(args ...string) (stdout, stderr string, err error) {
	args = append([]string{filepath.Join(o.bin, "warren"), "--socket", o.socket}, args...)
	return o.ns.Output(Command{Args: args, Env: []string{"NO_COLOR=1"}})
}

// StartCLI starts the warren command, which goes on until somebody ends it; what it prints is
// in its log.
func (o *Operator) StartCLI(args ...string) *Process {
	o.ns.lab.tb.Helper()
	args = append([]string{filepath.Join(o.bin, "warren"), "--socket", o.socket}, args...)
	return o.ns.Start(Command{Args: args, Env: []string{"NO_COLOR=1"}})
}

// MustCLI is CLI that ends the test when the command fails.
func (o *Operator) MustCLI(args ...string) string {
	o.ns.lab.tb.Helper()
	out, _, err := o.CLI(args...)
	if err != nil {
		o.ns.lab.tb.Fatalf("%v\n%s", err, out)
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
	Remote        string   `json:"remote"`
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
func (o *Operator) show(v any, args ...string) error {
	out, _, err := o.CLI(append(append([]string{"show"}, args...), "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("lab: reading warren show %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Context is what the daemon says of one context.
func (o *Operator) Context(name string) ContextRow {
	o.ns.lab.tb.Helper()
	var answer struct {
		Contexts []ContextRow `json:"contexts"`
	}
	if err := o.show(&answer, "context"); err != nil {
		o.ns.lab.tb.Fatalf("%v", err)
	}
	for _, c := range answer.Contexts {
		if c.Name == name {
			return c
		}
	}
	o.ns.lab.tb.Fatalf("lab: warrend in %s has no context %s", o.ns.name, name)
	return ContextRow{}
}

// IKESAs are the IKE SAs of one context.
func (o *Operator) IKESAs(context string) []IKESA {
	o.ns.lab.tb.Helper()
	sas, err := o.ikeSAs(context)
	if err != nil {
		o.ns.lab.tb.Fatalf("%v", err)
	}
	return sas
}

func (o *Operator) ikeSAs(context string) ([]IKESA, error) {
	var answer struct {
		IKESAs []IKESA `json:"ike_sas"`
	}
	err := o.show(&answer, "crypto", "ikev2", "sa", "--context", context)
	return answer.IKESAs, err
}

// WaitSAs waits until a context has n IKE SAs that are established, each with a
// child SA, and returns them.
func (o *Operator) WaitSAs(context string, n int) []IKESA {
	o.ns.lab.tb.Helper()
	var found []IKESA
	o.ns.lab.Eventually(fmt.Sprintf("%d SAs in context %s", n, context), Patience, func() error {
		sas, err := o.ikeSAs(context)
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
func (o *Operator) Resources(context string) []Resource {
	o.ns.lab.tb.Helper()
	var answer struct {
		Resources []Resource `json:"resources"`
	}
	if err := o.show(&answer, "resource", "usage"); err != nil {
		o.ns.lab.tb.Fatalf("%v", err)
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
func (o *Operator) Namespace(context string) *Namespace {
	o.ns.lab.tb.Helper()
	return o.ns.lab.Open(o.System + "-" + context)
}
