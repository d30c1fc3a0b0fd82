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
			"net/http", "github.com/spf13/cobra", "github.com/containerd/cgroups/", "os/exec", module + "configs", module + "system"},
		because: "a worker parses hostile packets: it starts in milliseconds, stays small, and has nothing privileged to offer to whoever takes it over",
	},
	{
		program: "cmd/warren",
		not: []string{"github.com/vishvananda/netlink", "github.com/containerd/cgroups/", module + "ike/ikev2", module + "esp/plane",
			module + "context/worker", module + "context/spawn"},
		because: "the CLI only asks",
	},
	{
		program: "cmd/warrend",
		not:     []string{module + "ike/ikev2", module + "ike/ikev1", module + "esp/plane", module + "context/worker"},
		because: "the supervisor never parses a packet from the network",
	},
}

// TestLinked looks at what the linker would see, which imports of imports
// decide.
func TestLinked(t *testing.T) {
	for _, l := range linked {
		t.Run(l.program, func(t *testing.T) {
			if _, err := os.Stat(top + "/" + l.program); err != nil {
				t.Fatalf("the program is not there: %v", err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./"+l.program)
			cmd.Dir = top
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("go list: %v\n%s", err, stderr.String())
			}
			for pkg := range strings.FieldsSeq(string(out)) {
				for _, bad := range l.not {
					if strings.HasPrefix(pkg+"/", strings.TrimSuffix(bad, "/")+"/") {
						t.Errorf("%s links %s: %s\n`go mod why -m` or `go list -deps -f '{{.ImportPath}}: {{.Imports}}' ./%s` says who imports it",
							l.program, pkg, l.because, l.program)
					}
				}
			}
		})
	}
}
