package worker

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

// TestRequireSandbox: a worker that lacks a part of its sandbox does not become a
// tenant where all of it is required, and names the part.
func TestRequireSandbox(t *testing.T) {
	var box control.Sandbox
	box.Reach("landlock 7", nil)
	p := &process{box: box}
	body, err := json.Marshal(control.Boot{
		Version: control.Version, Configuration: control.Configuration{Tenant: gatewayTenant(4)}, RequireSandbox: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.handle(t.Context(), &pipe.Request{Message: control.Message{Kind: control.KindBoot, Body: body}})
	const want = "require_sandbox is set, and this is missing: seccomp: there is no filter for this machine"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if p.worker != nil {
		t.Error("it has become the tenant")
	}
	if got := p.box.String(); !strings.HasPrefix(got, "landlock 7; missing: seccomp: ") {
		t.Errorf("the sandbox is %q", got)
	}
}

func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for cores, want := range map[float64]int{0: runtime.NumCPU(), 0.25: min(2, runtime.NumCPU()),
		1000: runtime.NumCPU()} {
		processors(cores)
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("%v cores: %d processors, want %d", cores, got, want)
		}
	}
}
