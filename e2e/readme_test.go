//go:build e2e

package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestTutorial pastes the shell blocks of the README into one shell, as a
// newcomer would. It has its own mounts, so that the names which the tutorial
// uses on the host are nobody else's.
func TestTutorial(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -eu\nmount -t tmpfs lab /run/netns\nmkdir -p /tmp/tour\nmount -t tmpfs lab /tmp/tour\n")
	blocks := strings.Split(string(readme), "```sh\n")[1:]
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		b = strings.Replace(b, "make build\n", "", 1) // it is built
		b = strings.Replace(b, "$PWD/bin", lab.Bin(), 1)
		script.WriteString(b + "\n")
	}
	script.WriteString("echo the tutorial ends well\n")

	l := lab.New(t)
	ns := l.Namespace("newcomer")
	p := ns.Start(lab.Command{Name: "tutorial", Args: []string{
		"unshare", "--mount", "--propagation", "private", "bash", l.WriteFile(script.String(), "tutorial.sh")}})
	if err := p.Wait(5 * time.Minute); err != nil {
		syscall.Kill(-p.PID(), syscall.SIGKILL) // the shell's daemons are in its group
		t.Fatalf("%v\n%s", err, p.Log())
	}
	log := p.Log()
	for _, want := range []string{"alice@blue.example", "10.99.0.10", "0% packet loss", "the tutorial ends well"} {
		if !strings.Contains(log, want) {
			t.Errorf("what the tutorial prints has no %q:\n%s", want, log)
		}
	}
}
