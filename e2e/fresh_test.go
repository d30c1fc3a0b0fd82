//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestFreshMachine has a gateway come and go on a machine that has had no named
// namespace since its start, as the machine of who tries the demo. A guest is
// one.
func TestFreshMachine(t *testing.T) {
	l := lab.New(t)
	out, err := l.RunGuest(lab.Guest{
		Test: "TestFreshMachineInGuest", Modules: []string{"ipv6", "veth", "tun"}, Timeout: 5 * time.Minute,
	})
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFreshMachineInGuest is what TestFreshMachine does in the guest: every name
// can be removed again, also those that were there before the daemon came.
func TestFreshMachineInGuest(t *testing.T) {
	if !lab.InGuest() {
		return
	}
	if _, err := os.Stat("/run/netns"); !os.IsNotExist(err) {
		t.Fatalf("the guest is no fresh machine: /run/netns: %v", err)
	}
	// As in a container: what is mounted in one place does not show in another.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	err := lab.Run(t.Logf, func(l *lab.Lab) error {
		// The guest's kernel has no control groups.
		l.TwoTenants().StartGateway(func(_, text string) string {
			return strings.ReplaceAll(text, `member     = "bronze"`, "")
		}).Ready()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir("/run/netns")
	if err != nil || len(left) > 0 {
		t.Errorf("names of namespaces left behind: %v, %v", left, err)
	}
}
