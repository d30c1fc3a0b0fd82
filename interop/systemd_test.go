//go:build e2e

package interop

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
	"github.com/warrenvpn/warren/internal/pagetest"
)

// machineTimeout bounds a machine's life; the watchdog alone takes a minute of it.
const machineTimeout = 20 * time.Minute

// machinePackages are what the machine has beside systemd: a peer.
var machinePackages = []string{"charon-systemd", "strongswan-swanctl", "libcharon-extra-plugins",
	"libstrongswan-standard-plugins", "libstrongswan-extra-plugins"}

// programs are what is installed, in the places that the unit names.
var programs = map[string]string{
	"warrend": "/usr/local/sbin", "warren-context": "/usr/local/sbin", "warren": "/usr/local/bin",
}

// table is where the results are written.
var table = pagetest.Table{Page: "../docs/interop.md", Name: "systemd"}

// TestMain tells in one line each what is missing.
func TestMain(m *testing.M) {
	if lab.InMachine() {
		os.Exit(m.Run())
	}
	missing := 0
	complain := func(what string) { fmt.Fprintln(os.Stderr, "interop: missing:", what); missing++ }
	if os.Geteuid() != 0 {
		complain("root: a disk is made with its owners")
	}
	for _, program := range []string{lab.GuestKernel, "apt-get", "dpkg-deb", "mkfs.ext4"} {
		if _, err := exec.LookPath(program); err != nil {
			complain(program + " (make deps installs it, on Debian)")
		}
	}
	for program := range programs {
		if _, err := os.Stat(filepath.Join(lab.Bin(), program)); err != nil {
			complain(fmt.Sprintf("%s in %s (make build puts it there)", program, lab.Bin()))
		}
	}
	if missing > 0 {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestSystemd runs warrend.service, as it is, under the real systemd: what the unit
// does to tunnels and workers is what docs/upgrade.md says. The machine begins with
// the programs of internal/lab/replica-base and is upgraded to this tree.
func TestSystemd(t *testing.T) {
	if lab.InMachine() {
		return
	}
	files := map[string]string{"/etc/systemd/system/warrend.service": filepath.Join("..", "warrend.service")}
	for program, dir := range programs {
		files[filepath.Join(dir, program)] = filepath.Join(lab.Bin(), program)
	}
	out, err := lab.New(t).RunMachine(lab.Machine{
		Test: "TestUnitOnMachine", Packages: machinePackages, Files: files, Timeout: machineTimeout,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
	var told []string
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		if _, line, ok := strings.Cut(lines.Text(), resultMark); ok {
			told = append(told, line)
		}
	}
	if err := writeTable(told); err != nil {
		t.Error(err)
	}
}

// writeTable replaces the table of results.
func writeTable(told []string) error {
	if len(told) < 2 {
		return fmt.Errorf("the machine has told nothing: %q", told)
	}
	text := fmt.Sprintf("Run of %s, with\n\n* %s\n\n| what | result |\n|---|---|\n",
		time.Now().UTC().Format(time.DateOnly), strings.ReplaceAll(told[0], "; ", "\n* "))
	for _, line := range told[1:] {
		text += "| " + line + " |\n"
	}
	return table.Write(text)
}
