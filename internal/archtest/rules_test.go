package archtest

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// fine is a small tree that breaks no rule; each case adds to it.
var fine = map[string]string{
	"esp/sa/sa.go": "// Package sa is a leaf.\npackage sa\n\n// SPI names an SA.\ntype SPI uint32\n",
	"context/spec/spec.go": "// Package spec is what a tenant is.\npackage spec\n\nimport " +
		"(\n\t\"net/netip\"\n\t\"time\"\n\t\"" + module +
		"esp/sa\"\n)\n\n// Peer is a peer.\ntype Peer struct { A netip.Addr; SPI sa.SPI; At time.Time }\n",
	"cmd/warren/main.go": "// Command warren asks.\npackage main\n\nimport _ " +
		"\"github.com/spf13/cobra\"\n\nfunc main() {}\n",
	"context/spec/testdata/bad.go": "package nonsense\n\nimport \"os\"\n",
	"tools/go.mod":                 "module tools\n",
	"tools/tools.go":               "package util\n",
	".git/x.go":                    "package broken {\n",
	"esp/plane/plane.go": "// Package plane is a driver.\npackage plane\n\nimport " +
		"(\n\t\"sync\"\n\t\"time\"\n)\n\n// Mu locks.\nvar Mu sync.Mutex\n\nfunc run() { go run(); time.Sleep(1) }\n",
	"esp/plane/plane_test.go": "package plane\n\nimport _ \"" + leakChecker + "\"\n",
	"internal/lab/lab_test.go": "package lab\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { if " +
		"testing.Short() { t.Skip() } }\n",
	"internal/lab/lab.go": "// Package lab is for tests.\npackage lab\n\nimport \"testing\"\n\n// Run " +
		"runs.\nfunc Run(*testing.T) {}\n",
	"context/policy/policy.go": "// Package policy resolves.\npackage policy\n\n// ParseX parses.\nfunc " +
		"ParseX([]byte) {}\n",
	"context/policy/policy_test.go": "package policy_test\n\nimport (\n\t\"testing\"\n\t\"os\"\n)\n\nfunc " +
		"FuzzParseX(f *testing.F) { if os.Getenv(\"CI\") == \"\" { f.Skip(\"no data\") } }\n",
	"context/README.md":    "This folder holds rooms.\n",
	"esp/replay/replay.go": "// Package replay is a leaf.\npackage replay\n\nimport _ \"sync/atomic\"\n",
	"ike/wire/wire.go": "// Package wire parses.\npackage wire\n\n// The kinds.\nconst (\n\tA = " +
		"iota\n\tB\n)\n",
	"ike/wire/wiretest/wiretest.go": "// Package wiretest builds.\npackage wiretest\n\nimport (\n\t_ " +
		"\"testing\"\n\t_ \"os\"\n\t_ \"" + module + "ike/wire\"\n)\n",
	"system/client/client.go":         "// Package client asks.\npackage client\n",
	"cmd/warren-context/main.go":      "// Command warren-context is the worker.\npackage main\n\nfunc main() {}\n",
	"internal/secret/secret_test.go":  "package secret\n\nconst where = \"../sha" + "red/data\"\n",
	"internal/secret/secret_other.go": "// Package secret holds keys.\npackage secret\n",
}

func load(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	root := fstest.MapFS{}
	for _, m := range []map[string]string{fine, files} {
		for name, body := range m {
			root[name] = &fstest.MapFile{Data: []byte(body)}
		}
	}
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func findings(tree *Tree) []string {
	var out []string
	for _, r := range Rules {
		for _, f := range r.Check(tree) {
			out = append(out, f.String())
		}
	}
	return out
}

func TestFine(t *testing.T) {
	for _, f := range findings(load(t, nil)) {
		t.Errorf("the tree that breaks no rule: %s", f)
	}
}

// spec returns a file of the pure package context/spec.
func spec(body string) map[string]string {
	return map[string]string{"context/spec/more.go": "package spec\n\n" + body + "\n"}
}

// imports returns a file in folder that imports targets.
func imports(folder string, targets ...string) map[string]string {
	name := folder[strings.LastIndexByte(folder, '/')+1:]
	body := "package " + name + "\n"
	for _, x := range targets {
		body += fmt.Sprintf("import _ %q\n", x)
	}
	return map[string]string{folder + "/more.go": body}
}

// logs returns a dictionary and a file with one statement.
func logs(statement string) map[string]string {
	return map[string]string{
		"docs/logging.md":   "| key | meaning |\n| `peer`, `sa` | as `usual` |\n",
		"esp/plane/more.go": "package plane\n\nfunc f() { " + statement + " }\n",
	}
}

// requires returns a go.mod and the page that explains one module.
func requires(list string) map[string]string {
	return map[string]string{
		"go.mod":               "module x\n\nrequire (\n\t" + list + "\n)\n",
		"docs/dependencies.md": "| module | where |\n| `a.example/x` * | esp/sa |\n",
	}
}

func TestBroken(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string // the one finding, or its beginning
	}{
		{"leaf imports", imports("context/spec", module+"ike/wire"),
			"context/spec/more.go:2: context/spec must not import ike/wire: it is a leaf"},
		{"ike meets esp", imports("ike/wire", module+"esp"),
			"ike/wire/more.go:2: ike/wire must not import esp: codecs"},
		{"pure imports driver", imports("context/policy", module+"esp/plane"),
			"context/policy/more.go:2: context/policy must not import esp/plane: it resolves attributes from a " +
				"specification. A pure package never imports a driver"},
		{"client imports supervisor", imports("system/client", module+"system"),
			"system/client/more.go:2: system/client must not import system: the client knows"},
		{"production imports fake", imports("esp/plane", module+"esp/esptest"),
			"esp/plane/more.go:2: esp/plane must not import"},
		{"production imports testing", imports("esp/plane", "testing"), "esp/plane/more.go:2: testing is for tests"},
		{"cobra elsewhere", imports("system/client", "github.com/spf13/cobra"),
			"system/client/more.go:2: github.com/spf13/cobra belongs into cmd/warren"},
		{"HCL elsewhere", imports("esp/plane", "github.com/hashicorp/hcl/v2/hclsyntax"),
			"esp/plane/more.go:2: github.com/hashicorp/hcl"},
		{"new folder", map[string]string{"billing/billing.go": "// Package billing bills.\npackage billing\n"},
			"billing: this folder is no room"},

		{"net", imports("context/spec", "net"),
			"context/spec/more.go:2: context/spec is pure and must not import net:"},
		{"net/http", imports("context/spec", "net/http"),
			"context/spec/more.go:2: context/spec is pure and must not import net/http"},
		{"os", imports("context/spec", "os"), "context/spec/more.go:2: context/spec is pure"},
		{"x/sys", imports("context/spec", "golang.org/x/sys/unix"), "context/spec/more.go:2: context/spec is pure"},
		{"context", imports("context/spec", "context"), "context/spec/more.go:2: context/spec is pure"},
		{"sync", imports("esp/replay", "sync"),
			"esp/replay/more.go:2: esp/replay is pure and must not import sync: one goroutine"},
		{"atomic", imports("context/spec", "sync/atomic"), "context/spec/more.go:2: context/spec is pure"},
		{"slog", imports("context/spec", "log/slog"), "context/spec/more.go:2: context/spec is pure"},
		{"random", imports("context/spec", "math/rand/v2"), "context/spec/more.go:2: context/spec is pure"},
		{"goroutine", spec("func f() { go f() }"),
			"context/spec/more.go:3: context/spec is pure and must not start a goroutine"},
		{"clock", spec("import \"time\"\nvar x = time.Now()"),
			"context/spec/more.go:4: context/spec is pure and must not use time.Now"},
		{"clock by another name", spec("import c \"time\"\nvar x = c.NewTimer(1)"),
			"context/spec/more.go:4: context/spec is pure and must not use time.NewTimer"},
		{"clock as value", spec("import \"time\"\nvar now = time.Now"), "context/spec/more.go:4: context/spec is pure"},
		{"clock with a dot", spec("import . \"time\"\nvar now = Now()"),
			"context/spec/more.go: time must not be imported with a dot"},

		{"name of package", map[string]string{"vfs/disk/disk.go": "// Package other is.\npackage other\n"},
			"vfs/disk: package other must be named after its folder, disk"},
		{"name twice", map[string]string{"vfs/spec/spec.go": "// Package spec is.\npackage spec\n"},
			"vfs/spec: package spec has the name of context/spec"},
		{"two names", map[string]string{"vfs/a.go": "// Package vfs is.\npackage vfs\n", "vfs/b.go": "package disk\n"},
			"vfs/b.go: package disk beside package vfs"},
		{"util", map[string]string{"vfs/util/util.go": "// Package util is.\npackage util\n"},
			`vfs/util: "util" says nothing`},
		{"type Context",
			map[string]string{"system/client/c.go": "package client\n\n// Context is.\ntype Context struct{}\n"},
			"system/client/c.go:4: no type of ours is called Context"},
		{"alias of context",
			map[string]string{"system/client/c.go": "package client\n\nimport c \"context\"\n\nvar _ = c.Canceled\n"},
			"system/client/c.go:3: package context is never imported under another name"},

		{"no package comment", map[string]string{"vfs/vfs.go": "package vfs\n"}, "vfs: no package comment"},
		{"two package comments", map[string]string{"esp/sa/more.go": "// Package sa is more.\npackage sa\n"},
			"esp/sa: 2 package comments"},
		{"strange comment of a program", map[string]string{"cmd/warrend/main.go": "// Runs.\npackage main\n"},
			`cmd/warrend: the package comment must begin with "Command warrend "`},
		{"strange package comment", map[string]string{"vfs/vfs.go": "// files.\npackage vfs\n"},
			`vfs: the package comment must begin with "Package vfs "`},

		{"no fuzz target", spec("// ParsePeer parses.\nfunc ParsePeer([]byte) {}"),
			"context/spec/more.go:4: ParsePeer has no fuzz target: write FuzzParsePeer into context/spec"},
		{"skip",
			map[string]string{"context/spec/s_test.go": "package spec\n\nimport \"testing\"\n\nfunc TestX(t " +
				"*testing.T) { t.Skip() }\n"}, "context/spec/s_test.go:5: this may skip a test in CI"},

		{"long file", spec(strings.Repeat("//\n", maxLines)), "context/spec/more.go: 703 lines"},
		{"long test",
			map[string]string{"context/spec/l_test.go": "package spec\n" + strings.Repeat("//\n", maxTestLines)},
			"context/spec/l_test.go: 1201 lines"},
		{"long function", spec("func f() {\n" + strings.Repeat("\t_ = 1\n", maxFunc) + "}"),
			"context/spec/more.go:3: f has 102 lines"},
		{"wide type",
			map[string]string{"context/worker/w.go": "// Package worker is.\npackage worker\n\ntype Worker struct { " +
				"a, b int; " + strings.Repeat("X\n", 14) + " }\n"},
			"context/worker: Worker has 16 fields, and 15 are the limit"},
		{"many methods",
			map[string]string{
				"context/worker/w.go": "// Package worker is.\npackage worker\n\ntype Worker struct{}\n\n" +
					strings.Repeat("func (w *Worker) f() {}\nfunc g(x int, w *Worker) {}\nfunc h(w Worker) {}\n", 14)},
			"context/worker: Worker has 42 methods and functions that take it, and 40 are the limit"},
		{"question about the role",
			map[string]string{"context/replica/r.go": "// Package replica is.\npackage replica\n\n// Replica " +
				"is.\ntype Replica struct{}\n\n// Serves says.\nfunc (*Replica) Serves() bool { return true }\n"},
			"context/replica/r.go:8: Serves is a question with yes or no"},
		{"role as a type",
			map[string]string{"context/replica/r.go": "// Package replica is.\npackage replica\n\n// Standby " +
				"is.\ntype Standby struct{}\n"},
			"context/replica/r.go:5: Standby is a role"},
		{"path of one machine", map[string]string{"README.md": "\ncd /wo" + "rk/main\n"}, `README.md:2: "/wo` +
			`rk/" is a path of one machine`},
		{"data of tests", spec("const where = \"../sha" + "red/data\""),
			"context/spec/more.go:3: only tests may read files from outside"},
		{"unfinished", spec("// TO" + "DO later."), "context/spec/more.go:3: \"TO" + "DO\": finish it"},
		{"log key", logs("log.Info(\"up\", \"peer\", 1, \"pear\", 2)"),
			`esp/plane/more.go:3: docs/logging.md has no key "pear"`},
		{"log key of a derived logger", logs("x.log.With(\"sa\", 1).Warn(\"up\", \"peer\", 1, \"pear\", 2)"),
			`esp/plane/more.go:3: docs/logging.md has no key "pear"`},
		{"log key in a list", logs("log.Info(\"up\", append([]any{\"pear\", 1}, args...)...)"),
			`esp/plane/more.go:3: docs/logging.md has no key "pear"`},
		{"key of a fact", map[string]string{
			"docs/logging.md": "| key | meaning |\n| `peer` | as usual |\n",
			"esp/plane/more.go": "package plane\n\nfunc (e *up) fields(f *Fields) { f.Text(1, \"pear\", &e.a) }\n" +
				"func (e *up) Fields(f *control.Fields) { f.Text(1, \"peer\", &e.a) }\n"},
			`esp/plane/more.go:3: docs/logging.md has no key "pear"`},
		{"log key that varies", logs("log.Info(\"up\", name, 1)"),
			"esp/plane/more.go:3: the key of a log record is a constant"},
		{"log message that varies", logs("log.Info(fmt.Sprint(1))"),
			"esp/plane/more.go:3: the message of a log record is a constant"},
		{"wide line",
			map[string]string{"vfs/w.go": "// Package vfs is.\npackage vfs\n\n//" + strings.Repeat(" word", 24)},
			"vfs/w.go:4: 122 columns, and 120 are the limit"},
		{"wide line of a page", map[string]string{"docs/a.md": "|" + strings.Repeat(" cell", 40) + "\n" +
			strings.Repeat("word ", 25)},
			"docs/a.md:2: 125 columns"},
		{"goroutine without a leak check", spec("func f() { go f() }"),
			"context/spec/more.go:3: this starts a goroutine"},
		{"text of an error", logs("log.Info(\"up\", \"sa\", 1, \"peer\", err.Error())"),
			"esp/plane/more.go:3: an error is a value"},
		{"log key that nobody uses", logs("log.Info(\"up\", \"peer\", 1)"),
			`docs/logging.md: no log record has the key "sa" any more`},
		{"module without a row", requires("a.example/x v1.0.0\n\tb.example/y v1.0.0\n\tc.example/z v1.0.0 // indirect"),
			"docs/dependencies.md: b.example/y is required by go.mod"},
		{"row without a module", requires("b.example/y v1.0.0"),
			"docs/dependencies.md: a.example/x is not required by go.mod any more"},
		{"unfinished in words", map[string]string{"docs/x.md": "This is not yet impl" + "emented.\n"},
			"docs/x.md:1: \"not yet impl" + "emented\""},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			got := findings(load(t, tt.files))
			found := false
			for _, f := range got {
				found = found || strings.HasPrefix(f, tt.want)
			}
			if !found {
				t.Errorf("got %q, want one that begins with %q", got, tt.want)
			}
		})
	}
}

// TestDocs: a small share of names may go without a comment, more may not.
func TestDocs(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "// F%d does.\nfunc F%d() {}\n", i, i)
		}
		return b.String()
	}
	tests := []struct {
		name, body string
		want       int
	}{
		{"two of a hundred", many(98) + "func X() {}\nfunc Y() {}\n", 0},
		{"two of thirty", many(28) + "func X() {}\n// y does.\nfunc Y() {}\n", 3},
		{"kinds", "type T struct{}\nfunc (*T) M() {}\nfunc (t T) n() {}\nfunc (u u) M() {}\ntype u int\nvar V, w = " +
			"1, 2\nconst C = 1 // C is\n", 4},
		{"other name", "// Thing is.\ntype Thing2 int\n// The Other thing.\ntype Other int\n", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{"vfs/vfs.go": {Data: []byte("// Package vfs is.\npackage vfs\n\n" + tt.body)}}
			tree, err := Load(root)
			if err != nil {
				t.Fatal(err)
			}
			if got := checkDocs(tree); len(got) != tt.want {
				t.Errorf("got %d findings %v, want %d", len(got), got, tt.want)
			}
		})
	}
}

// TestRooms: every room is reachable, says why, and names rooms that exist in
// the design.
func TestRooms(t *testing.T) {
	known := map[string]bool{"...": true}
	for _, r := range rooms {
		if known[r.path] {
			t.Errorf("%s has two lines", r.path)
		}
		known[r.path] = true
		if r.because == "" {
			t.Errorf("%s has no reason", r.path)
		}
	}
	for _, r := range rooms {
		for _, m := range r.may {
			if !known[m] && !known[m+"/..."] && !known[strings.TrimSuffix(m, "/...")] {
				t.Errorf("%s may import %s, which is no room", r.path, m)
			}
			if to, ok := roomOf(strings.TrimSuffix(m, "/...")); r.pure && m != "..." && (!ok || !to.pure) {
				t.Errorf("%s is pure and may import %s, which is not", r.path, m)
			}
		}
	}
}
