package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Machine is a Debian of its own on a user-mode kernel, with systemd as its first
// process, on which a test of this program is run as a service. It has nothing of
// the host but the files that it is given: its disk is an image, which is gone when
// it ends.
type Machine struct {
	Test     string            // the name of the test
	Packages []string          // of Debian, beside what systemd needs
	Files    map[string]string // by their path there, that of a file here
	Timeout  time.Duration     // for all of it
}

const (
	// machineVariable marks the environment of a test that runs on a machine.
	machineVariable = "WARREN_MACHINE"
	// machineDisk is the size of its disk, most of which is a hole.
	machineDisk = "2G"
	// machineMemory is what a kernel, systemd, two daemons and a test need.
	machineMemory = "768M"
)

// machinePackages are what boots, and what the lab and units use.
var machinePackages = []string{"systemd", "systemd-sysv", "bash", "dash", "coreutils", "grep", "sed", "mount",
	"util-linux", "kmod", "base-files", "iproute2"}

// InMachine reports whether this process is a test on a machine.
func InMachine() bool { return os.Getenv(machineVariable) != "" }

// machineService runs the test. Whatever its end, the machine is switched off.
const machineService = `[Unit]
Description=A test
After=basic.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
Environment=` + machineVariable + `=1
ExecStart=/usr/local/lib/lab/test -test.v -test.run=^%s$
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
LimitNOFILE=65536
`

// RunMachine boots a machine, runs its test and returns what that printed, and an
// error unless it passed.
func (l *Lab) RunMachine(m Machine) (string, error) {
	l.tb.Helper()
	image := l.Path("machine", "disk.img")
	if err := makeDisk(image, l.Path("machine", "root"), &m); err != nil {
		return "", fmt.Errorf("lab: machine: %w", err)
	}
	return l.bootGuest(m.Timeout, []string{"--- PASS: " + m.Test + " "}, "mem="+machineMemory, "ubd0="+image,
		"root=/dev/ubda", "rw", "systemd.getty_auto=no", "systemd.show_status=no", "systemd.unit=multi-user.target")
}

// makeDisk makes the image of a machine's disk, by way of a folder.
func makeDisk(image, root string, m *Machine) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cache := filepath.Join(filepath.Dir(Bin()), ".cache", "debian")
	if err := unpackDebian(root, cache, append(machinePackages, m.Packages...)); err != nil {
		return err
	}
	for path, text := range map[string]string{
		"etc/machine-id":                  "0123456789abcdef0123456789abcdef\n",
		"etc/hostname":                    "machine\n",
		"etc/systemd/system/test.service": fmt.Sprintf(machineService, m.Test),
	} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		return err
	}
	if err := os.Symlink("../test.service", filepath.Join(wants, "test.service")); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(root, "usr/lib/modules"), os.DirFS(guestModules)); err != nil {
		return err
	}
	if err := copyProgram(filepath.Join(root, "usr/local/lib/lab/test"), self); err != nil {
		return err
	}
	for to, from := range m.Files {
		if err := copyProgram(filepath.Join(root, to), from); err != nil {
			return err
		}
	}
	_, err = output("mkfs.ext4", "-q", "-O", "^has_journal", "-d", root, image, machineDisk)
	return err
}

// copyProgram copies a file, with its permissions, and makes its folder.
func copyProgram(to, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, info.Mode().Perm())
}
