//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// filesGateway starts a gateway whose contexts share storage, and where red may
// keep 1 MiB.
func filesGateway(t *testing.T) (*lab.Lab, *lab.Tenants, *lab.Warrend) {
	t.Helper()
	l := lab.New(t)
	n := l.TwoTenants()
	images := l.Path("images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		t.Fatal(err)
	}
	storage := "\n  storage \"shared\" {\n    path  = \"" + images + "\"\n    label = \"images\"\n  }\n"
	w := n.StartGateway(replace(t, "system.hcl",
		`memory         = "256MiB"`, "memory         = \"256MiB\"\n    storage        = \"1MiB\"",
		`config_url = "file:blue.hcl"`, storage+`  config_url = "file:blue.hcl"`,
		`config_url = "file:red.hcl"`, storage+`  config_url = "file:red.hcl"`))
	w.Ready()
	return l, n, w
}

// refused runs a command that must fail with one line that holds all words.
func refused(t *testing.T, w *lab.Warrend, args []string, words ...string) {
	t.Helper()
	out, stderr, err := w.CLI(args...)
	reason, _, _ := strings.Cut(stderr, "\n")
	if lab.ExitCode(err) != 1 || out != "" {
		t.Errorf("warren %s: %v, printed %q", strings.Join(args, " "), err, out)
	}
	for _, word := range words {
		if !strings.Contains(reason, word) {
			t.Errorf("warren %s: got %q, want %q", strings.Join(args, " "), reason, word)
		}
	}
}

// TestFiles copies files in and out, and has a context boot from its disk.
func TestFiles(t *testing.T) {
	_, n, w := filesGateway(t)
	s, address := client(t, n.Blue)

	// The configuration moves to the disk of its context, and a key with it.
	text := strings.Replace(lab.File("blue.hcl"), `"blue-client-key"`, `{ file = "disk0:/keys/clients.psk" }`, 1)
	w.Write("moved.hcl", text)
	w.Write("clients.psk", "blue-client-key\n")
	w.MustCLI("copy", filepath.Join(w.Dir, "moved.hcl"), "blue:disk0:/blue.hcl")
	w.MustCLI("copy", filepath.Join(w.Dir, "clients.psk"), "blue:disk0:/keys/")
	if got := w.MustCLI("more", "blue:disk0:/blue.hcl"); got != text {
		t.Errorf("more: got %q", got)
	}
	sum := sha256.Sum256([]byte(text))
	w.MustCLI("verify", "blue:disk0:/blue.hcl", hex.EncodeToString(sum[:]))
	if got := w.MustCLI("dir", "blue:disk0:/"); !strings.Contains(got, " blue.hcl\n") ||
		!strings.Contains(got, " keys/\n") {
		t.Errorf("dir: got\n%s", got)
	}
	back := filepath.Join(t.TempDir(), "back.hcl")
	w.MustCLI("copy", "blue:disk0:/blue.hcl", back)
	if got, err := os.ReadFile(back); err != nil || string(got) != text {
		t.Errorf("copied back: %q, %v", got, err)
	}

	system, err := os.ReadFile(w.Config)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(filepath.Base(w.Config), strings.Replace(string(system), "file:blue.hcl", "disk0:/blue.hcl", 1))
	if err := os.Remove(filepath.Join(w.Dir, "blue.hcl")); err != nil {
		t.Fatal(err)
	}
	before := w.Context("blue")
	w.MustCLI("reload")
	if got := w.Context("blue"); got.PID != before.PID {
		t.Errorf("after the reload: pid %d, before %d", got.PID, before.PID)
	}
	n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})

	w.Stop()
	w.Start()
	w.Ready()
	s.MustInitiate("blue")
	address = vip(t, s)
	n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})

	// A tenant's own file that is broken changes nothing.
	w.Write("moved.hcl", text+"\nipp_pool \"x\" {}\n")
	w.MustCLI("copy", filepath.Join(w.Dir, "moved.hcl"), "blue:disk0:/blue.hcl")
	if _, stderr, err := w.CLI("reload"); err == nil || !strings.Contains(stderr, "blue:disk0:/blue.hcl:") ||
		!strings.Contains(stderr, "Unknown block") {
		t.Errorf("reload with a broken file: %v, %q", err, stderr)
	}
	n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})
}

// TestFullTenant has red fill its disk while blue sends and writes.
func TestFullTenant(t *testing.T) {
	_, n, w := filesGateway(t)
	_, address := client(t, n.Blue)
	local := func(name string, size int) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	large, part, pkg := local("large", 1<<20+1), local("part", 300<<10), local("client.pkg", 5<<20)

	p := n.Blue.Client.StartPing(lab.Ping{From: address, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	refused(t, w, []string{"copy", large, "red:disk0:/large"},
		"writing red:disk0:/large: the storage limit is 1048576 bytes", "1048577 more do not fit")
	for _, name := range []string{"a", "b", "c"} {
		w.MustCLI("copy", part, "red:disk0:/"+name)
	}
	for range 20 {
		refused(t, w, []string{"copy", part, "red:disk0:/d"},
			"the storage limit is 1048576 bytes: 921600 are used and 307200 more do not fit")
	}
	refused(t, w, []string{"copy", "red:disk0:/a", "red:disk0:/d"}, "the storage limit is 1048576 bytes")
	w.MustCLI("copy", pkg, "blue:disk0:/")
	if r := p.Stop(); r.Lost() > 0 {
		t.Errorf("blue, while red filled its disk: %v", r)
	}
	for _, r := range w.Resources("red") {
		if r.Resource == "storage" && (r.Current != 921600 || r.Limit != 1<<20 || r.Denied != 22) {
			t.Errorf("show resource usage: got %+v", r)
		}
	}

	// What is shared can be read by both, and changed by the system only.
	w.MustCLI("copy", pkg, "images:/")
	for _, name := range []string{"blue:images:/client.pkg", "red:images:/client.pkg"} {
		refused(t, w, []string{"copy", part, name}, "writing "+name+": is read-only")
		refused(t, w, []string{"delete", name}, "deleting "+name+": is read-only")
	}
	w.MustCLI("copy", "red:images:/client.pkg", "blue:disk0:/again.pkg")
	refused(t, w, []string{"copy", "red:images:/client.pkg", "red:disk0:/again.pkg"},
		"the storage limit is 1048576 bytes")
	refused(t, w, []string{"copy", "red:images:/../../etc/shadow", "red:disk0:/x"}, `".." is no name of a file`)
	w.MustCLI("delete", "images:/client.pkg", "red:disk0:/a")
	w.MustCLI("copy", part, "red:disk0:/d")
}

// TestFilesFollow has the disk of a context follow from one unit to the other,
// through a change, a refusal and a takeover. Each step waits for what it needs,
// on both units.
func TestFilesFollow(t *testing.T) {
	l := lab.New(t)
	p := l.StartPair(lab.PairConfig{})
	group := p.Sites[0].Group
	local := filepath.Join(t.TempDir(), "client.pkg")
	if err := os.WriteFile(local, []byte(strings.Repeat("0123456789", 300_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	// on runs a command on the unit that is active; both have the same files then.
	on := func(args ...string) (active, standby *lab.PairNode) {
		t.Helper()
		p.Whole()
		active, standby = p.Active(group)
		active.MustCLI(args...)
		l.Eventually("the same files on both units after "+args[0], time.Minute, func() error {
			for _, name := range []string{"acme:disk0:/d/client.pkg", "acme:disk0:/small"} {
				ours, _, err := active.CLI("verify", name)
				theirs, stderr, theirErr := standby.CLI("verify", name)
				if (err == nil) != (theirErr == nil) || ours != theirs {
					return fmt.Errorf("%s: %q, %q: %s", name, ours, theirs, stderr)
				}
			}
			return nil
		})
		return active, standby
	}
	active, standby := on("copy", local, "acme:disk0:/d/")
	on("copy", active.Config, "acme:disk0:/small")
	refused(t, standby.Warrend, []string{"copy", local, "acme:disk0:/d/client.pkg"},
		`acme:disk0:/d/client.pkg cannot be changed here: context "acme" is standby on this unit`)
	refused(t, standby.Warrend, []string{"delete", "acme:disk0:/small"}, "is standby on this unit")
	_, standby = on("delete", "acme:disk0:/small")
	if out := standby.MustCLI("dir", "acme:disk0:/"); strings.Contains(out, "small") ||
		!strings.Contains(out, "read-only") {
		t.Errorf("dir on the standby unit: %s", out)
	}

	active, standby = on("copy", active.Config, "acme:disk0:/small")
	p.Kill(active)
	p.WaitRole(standby, group, "active")
	standby.MustCLI("verify", "acme:disk0:/small")
	_, stderr, err := standby.CLI("copy", "acme:disk0:/small", "acme:disk0:/d/client.pkg")
	if err != nil || !strings.Contains(stderr, "not yet on the standby unit") {
		t.Errorf("copy without a standby unit: %v, %q", err, stderr)
	}
	p.StartNode(active)
	on("delete", "acme:disk0:/small")
	if out := active.MustCLI("dir", "acme:disk0:/"); strings.Contains(out, "~") {
		t.Errorf("something was kept beside: %s", out)
	}
}

// TestFilesSurviveAnEmptierDisk: a unit that becomes active without a file that the
// other one has written takes it from there, and deletes nothing.
func TestFilesSurviveAnEmptierDisk(t *testing.T) {
	l := lab.New(t)
	p := l.StartPair(lab.PairConfig{})
	group := p.Sites[0].Group
	p.Whole()
	first, second := p.Active(group)
	p.Kill(second)
	if _, stderr, err := first.CLI("copy", first.Config, "acme:disk0:/d/only-here"); err != nil ||
		!strings.Contains(stderr, "not yet on the standby unit") {
		t.Errorf("copy without a standby unit: %v, %q", err, stderr)
	}
	want := first.MustCLI("verify", "acme:disk0:/d/only-here")
	p.Kill(first)
	p.StartNode(second)
	p.WaitRole(second, group, "active")
	if out, _, err := second.CLI("verify", "acme:disk0:/d/only-here"); err == nil {
		t.Fatalf("the unit has what nobody has told it: %s", out)
	}
	p.StartNode(first)
	p.Whole()
	l.Eventually("the file on both units", time.Minute, func() error {
		for _, n := range []*lab.PairNode{first, second} {
			if got, stderr, err := n.CLI("verify", "acme:disk0:/d/only-here"); err != nil || got != want {
				return fmt.Errorf("node %s: %q, %s", n.Port, got, stderr)
			}
		}
		return nil
	})
	wantLog(t, second.Warrend, "files taken that only the standby unit had")
	if active, _ := p.Active(group); active != second {
		t.Errorf("active is %s", active.Port)
	}
}

// TestFilesSurviveAKill kills the active node in the middle of a thousand files: the other
// one has every file that both were said to have, and when the first one is back both have
// what either was said to have.
func TestFilesSurviveAKill(t *testing.T) {
	l := lab.New(t)
	p := l.StartPair(lab.PairConfig{})
	group := p.Sites[0].Group
	p.Whole()
	first, second := p.Active(group)
	acked := p.KillAmongFiles(first, first, "acme:disk0:/d", 1000, 300)
	if missing := second.MissingFiles(acked.Both); len(missing) > 0 {
		t.Errorf("%d of %d files are lost, such as %s", len(missing), len(acked.Both), missing[0])
	}
	p.WaitRole(second, group, "active")
	second.MustCLI("delete", "acme:disk0:/d/0")
	p.StartNode(first)
	p.Whole()
	delete(acked.Both, "acme:disk0:/d/0")
	for name, text := range acked.Pending {
		acked.Both[name] = text
	}
	l.Eventually("all files on both nodes, and none that was deleted", time.Minute, func() error {
		for _, n := range []*lab.PairNode{first, second} {
			if missing := n.MissingFiles(acked.Both); len(missing) > 0 {
				return fmt.Errorf("node %s: %d files are missing, such as %s", n.Port, len(missing), missing[0])
			}
			if out, _, err := n.CLI("verify", "acme:disk0:/d/0"); err == nil {
				return fmt.Errorf("node %s has what was deleted: %s", n.Port, out)
			}
		}
		return nil
	})
}
