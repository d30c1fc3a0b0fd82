package archtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const top = "../.."

// TestTree holds the real tree to every rule.
func TestTree(t *testing.T) {
	tree, err := Load(os.DirFS(top))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Packages) < 10 {
		t.Fatalf("only %d packages below %s: this is not the module's root", len(tree.Packages), top)
	}
	for _, r := range Rules {
		t.Run(strings.ReplaceAll(r.Name, " ", "_"), func(t *testing.T) {
			for _, f := range r.Check(tree) {
				t.Error(f)
			}
		})
	}
}

// linked are packages that a program must not contain, whoever imports them.
var linked = []struct {
	program string
	not     []string
	because string
}{
	{
		program: "cmd/warren-context",
		not: []string{"github.com/hashicorp/hcl/", "github.com/zclconf/go-cty", "github.com/vishvananda/netlink",
			"net/http", "github.com/spf13/cobra", "github.com/containerd/cgroups/", "os/exec", module + "configs",
			module + "system"},
		because: "a worker parses hostile packets: it starts in milliseconds, stays small, and has nothing " +
			"privileged to offer to whoever takes it over",
	},
	{
		program: "cmd/warren",
		not: []string{"github.com/vishvananda/netlink", "github.com/containerd/cgroups/", module + "ike/ikev2",
			module + "esp/plane",
			module + "context/worker", module + "context/spawn"},
		because: "the CLI only asks",
	},
	{
		program: "cmd/warrend",
		not:     []string{module + "ike/ikev2", module + "ike/ikev1", module + "esp/plane", module + "context/worker"},
		because: "the supervisor never parses a packet from the network",
	},
}

// TestWorkerModules: the worker links only the modules that have a star in
// docs/dependencies.md.
func TestWorkerModules(t *testing.T) {
	tree, err := Load(os.DirFS(top))
	if err != nil {
		t.Fatal(err)
	}
	rows := modules(tree.text(modulesPage))
	seen := map[string]bool{}
	for path := range strings.FieldsSeq(list(t, "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}",
		"./cmd/warren-context")) {
		if path+"/" == module || seen[path] {
			continue
		}
		seen[path] = true
		if star, direct := rows[path]; direct && !star {
			t.Errorf("warren-context links %s, which has no star in %s", path, modulesPage)
		}
	}
	for path, star := range rows {
		if star && !seen[path] {
			t.Errorf("warren-context does not link %s, which has a star in %s", path, modulesPage)
		}
	}
}

// list runs go list in the module's root.
func list(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// TestLinked looks at what the linker would see, which imports of imports
// decide.
func TestLinked(t *testing.T) {
	for _, l := range linked {
		t.Run(l.program, func(t *testing.T) {
			if _, err := os.Stat(top + "/" + l.program); err != nil {
				t.Fatalf("the program is not there: %v", err)
			}
			for pkg := range strings.FieldsSeq(list(t, "-deps", "./"+l.program)) {
				for _, bad := range l.not {
					if strings.HasPrefix(pkg+"/", strings.TrimSuffix(bad, "/")+"/") {
						t.Errorf("%s links %s: %s\n`go mod why -m` or `go list -deps -f '{{.ImportPath}}: "+
							"{{.Imports}}' ./%s` says who imports it",
							l.program, pkg, l.because, l.program)
					}
				}
			}
		})
	}
}
