package system

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/internal/roottest"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
	"github.com/warrenvpn/warren/vfs/vfstest"
)

// box is a configuration in a folder of its own; nothing of it is started.
type box struct {
	t   *testing.T
	dir string
	log bytes.Buffer
}

const twoContexts = `
interface "Ethernet1/1" { device = "wt-out" }
interface "Ethernet1/2" { device = "wt-in" }

class "bronze" {
  limits {
    vpn_anyconnect = 2
  }
}

context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
context "red" {
  member     = "bronze"
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/2" { name = "outside" }
}
`

const oneTenant = `
interface "outside" { address = "198.51.100.1/24" }
ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }
`

func newBox(t *testing.T) *box {
	roottest.Need(t)
	b := &box{t: t, dir: t.TempDir()}
	b.write("system.hcl", twoContexts)
	b.write("blue.hcl", oneTenant)
	b.write("red.hcl", oneTenant)
	return b
}

// write writes a file; the system file gets its system block.
func (b *box) write(name, text string) {
	b.t.Helper()
	if name == "system.hcl" {
		text = fmt.Sprintf("system {\n  name = \"wt-%d\"\n  state_dir = %q\n  run_dir = %q\n}\n", os.Getpid(),
			filepath.Join(b.dir, "state"), filepath.Join(b.dir, "run")) + text
	}
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// open reads the configuration as warrend does when it starts.
func (b *box) open() (*System, error) {
	b.log.Reset()
	return New(&Config{
		Path: filepath.Join(b.dir, "system.hcl"), Worker: os.Args[0], Stderr: os.Stderr,
		Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
}

func TestWeakAlgorithmsAreLogged(t *testing.T) {
	b := newBox(t)
	b.write("red.hcl", oneTenant+`
ikev2_policy "10" {
  encryption = ["3des"]
  integrity  = ["sha1"]
  group      = ["modp1024"]
  allow_weak = true
}
`)
	s, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, weak := range []string{"3des", "sha1", "modp1024"} {
		found := false
		for line := range strings.Lines(b.log.String()) {
			found = found || strings.Contains(line, "level=WARN") && strings.Contains(line, "red.hcl:") &&
				strings.Contains(line, weak+" is allowed")
		}
		if !found {
			t.Errorf("no line of the log warns of %s:\n%s", weak, &b.log)
		}
	}
}

func TestBrokenConfigurationLeavesNothing(t *testing.T) {
	b := newBox(t)
	b.write("red.hcl", strings.Replace(oneTenant, "ip_pool", "ip_pol", 1)+
		"\nroute \"10.0.0.1/8\" { interface = \"outside\" }\n")
	_, err := b.open()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.CodeRefused {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"red.hcl:3", `Did you mean "ip_pool"?`, "red.hcl:5", "10.0.0.0/8"} {
		if !strings.Contains(e.Detail, want) {
			t.Errorf("the report lacks %q:\n%s", want, e.Detail)
		}
	}
	if _, err := os.Stat(filepath.Join(b.dir, "run")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("run_dir: %v", err)
	}
}

// TestOneWarrend: name, state_dir and run_dir belong to one process, and a second
// one names it and touches nothing.
func TestOneWarrend(t *testing.T) {
	b := newBox(t)
	first, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ same, want string }{
		{"everything", `the name "wt-`},
		{"state_dir", "the state_dir " + filepath.Join(b.dir, "state")},
		{"run_dir", "the run_dir " + filepath.Join(b.dir, "run")},
		{"name", `the name "wt-`},
	} {
		other := &box{t: t, dir: t.TempDir()}
		name, state, run := fmt.Sprintf("wt-%d", os.Getpid()), filepath.Join(b.dir, "state"),
			filepath.Join(b.dir, "run")
		if tt.same != "everything" && tt.same != "name" {
			name += "-2"
		}
		if tt.same != "everything" && tt.same != "state_dir" {
			state = filepath.Join(other.dir, "state")
		}
		if tt.same != "everything" && tt.same != "run_dir" {
			run = filepath.Join(other.dir, "run")
		}
		before := vfstest.HostTree(t, b.dir)
		write(t, filepath.Join(other.dir, "system.hcl"),
			fmt.Sprintf("system {\n  name = %q\n  state_dir = %q\n  run_dir = %q\n}\n", name, state, run))
		_, err := other.open()
		for _, want := range []string{tt.want, fmt.Sprintf("(pid %d, %s/system.hcl)", os.Getpid(), b.dir),
			"nothing was touched"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a second warrend with the same %s: got %v, want %q", tt.same, err, want)
			}
		}
		if after := vfstest.HostTree(t, b.dir); after != before {
			t.Errorf("a second warrend with the same %s changed\n%s\ninto\n%s", tt.same, before, after)
		}
	}
	first.Close()
	second, err := b.open()
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	second.Close()
	if _, err := os.Stat(filepath.Join(b.dir, "run")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("run_dir: %v", err)
	}
}

// TestVLANAtPlanTime: where the kernel has no 802.1Q, the plan says so before
// anything is touched.
func TestVLANAtPlanTime(t *testing.T) {
	b := newBox(t)
	b.write("system.hcl", `
interface "Ethernet1/2" { device = "wt-in" }
interface "Ethernet1/2.200" {}
context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/2.200" { name = "outside" }
}
`)
	s, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	steps := plan.Steps(nil, s.life.Wanted())
	if len(steps) != 1 {
		t.Fatalf("steps: %v", steps)
	}
	err = s.tenants.Check(steps[0], nil)
	switch lacks := netns.ProbeVLAN(); {
	case lacks != nil && (!errors.Is(err, netns.ErrNoVLAN) || !strings.Contains(err.Error(), `interface "outside"`) ||
		!strings.Contains(err.Error(), "CONFIG_VLAN_8021Q")):
		t.Errorf("a kernel without 802.1Q: %v", err)
	case lacks == nil && (err == nil || !strings.Contains(err.Error(), "there is no device wt-in")):
		t.Errorf("a kernel with 802.1Q, but no such device: %v", err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
