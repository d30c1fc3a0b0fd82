package lab

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// replicaBase is a commit from which a node of a pair can be upgraded to this
// tree: each replicates to the other. A change of a record, a heartbeat or a message
// between the nodes moves it to the commit before that change.
//
//go:embed replica-base
var replicaBase string

// upgradeBase is a commit whose warrend can be followed by one of this tree, which takes
// its workers up. A change of what is handed over (context/spawn/state.go), or of the control
// protocol, moves it to the commit before that change.
//
//go:embed upgrade-base
var upgradeBase string

// ReplicaBase returns the folder with the programs of the commit in replica-base.
func ReplicaBase(tb testing.TB) string {
	tb.Helper()
	return base(tb, "replica-base", replicaBase)
}

// UpgradeBase returns the folder with the programs of the commit in upgrade-base.
func UpgradeBase(tb testing.TB) string {
	tb.Helper()
	return base(tb, "upgrade-base", upgradeBase)
}

// base returns the folder with the programs of a commit that a file names. They are built
// once, from the repository, into .cache. A commit that is no ancestor of this tree fails
// the test: nobody has run it.
func base(tb testing.TB, file, commit string) string {
	tb.Helper()
	root := filepath.Dir(Bin())
	commit = strings.TrimSpace(commit)
	if dir := os.Getenv("WARREN_BIN"); dir != "" {
		tb.Fatalf("lab: WARREN_BIN is %s: where the repository is cannot be told from that", dir)
	}
	run := func(name string, args ...string) {
		tb.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			tb.Fatalf("lab: programs of %s: %s %s: %v\n%s", commit, name, strings.Join(args, " "), err, out)
		}
	}
	if err := exec.Command("git", "-C", root, "merge-base", "--is-ancestor", commit, "HEAD").Run(); err != nil {
		tb.Fatalf("lab: internal/lab/%s names %s, which is no ancestor of this tree: %v "+
			"(a shallow clone does not have it: git fetch --unshallow)", file, commit, err)
	}
	dir := filepath.Join(root, ".cache", file+"-"+commit)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		tb.Fatal("lab:", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), file+"-")
	if err != nil {
		tb.Fatal("lab:", err)
	}
	defer os.RemoveAll(work)
	source, bin, archive := filepath.Join(work, "source"), filepath.Join(work, "bin"), filepath.Join(work, "source.tar")
	if err := os.Mkdir(source, 0o755); err != nil {
		tb.Fatal("lab:", err)
	}
	run("git", "-C", root, "archive", "-o", archive, commit)
	run("tar", "-x", "-f", archive, "-C", source)
	run("go", "-C", source, "build", "-trimpath", "-buildvcs=false", "-o", bin+"/", "./cmd/...")
	if err := os.Rename(bin, dir); err != nil && !os.IsExist(err) {
		tb.Fatal("lab:", err)
	}
	return dir
}

// Replace stops a node as an operator does who upgrades it, and starts it with the
// programs in bin.
func (p *Pair) Replace(n *PairNode, bin string) {
	p.lab.tb.Helper()
	n.Stop()
	n.bin = bin
	p.StartNode(n)
}
