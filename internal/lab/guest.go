package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// GuestKernel is Debian's user-mode-linux: a kernel that is an ordinary process,
// with what the host's may lack.
const (
	GuestKernel  = "linux.uml"
	guestModules = "/usr/lib/uml/modules"
)

// guestVariable marks the environment of a guest's first process.
const guestVariable = "WARREN_GUEST"

// Guest is a test of this program that runs on another kernel.
type Guest struct {
	Test    string        // its name
	Modules []string      // of the kernel: "8021q"
	Env     []string      // more variables, "NAME=value" without blanks
	Timeout time.Duration // 0: a minute
}

// InGuest reports whether this process is the first one of a guest.
func InGuest() bool { return os.Getpid() == 1 && os.Getenv(guestVariable) != "" }

// RunGuest runs a test of this program in a guest, whose files are those of the
// host, to be read only. It returns what the test printed, and an error unless
// it passed.
func (l *Lab) RunGuest(g Guest) (string, error) {
	l.tb.Helper()
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	if g.Timeout == 0 {
		g.Timeout = time.Minute
	}
	// What the kernel does not know becomes environment, and what follows "--"
	// arguments, of its first process.
	args := append([]string{
		"mem=384M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		"init=" + self, guestVariable + "=" + strings.Join(g.Modules, ","), "WARREN_BIN=" + Bin(),
	}, g.Env...)
	return l.bootGuest(g.Timeout, []string{"--- PASS: " + g.Test + " ", guestEnd + "0"},
		append(args, "--", "-test.v", "-test.run=^"+g.Test+"$")...)
}

// bootGuest boots the kernel and waits until it has halted. It returns what came
// over the console, and an error where that lacks one of the texts.
func (l *Lab) bootGuest(timeout time.Duration, want []string, args ...string) (string, error) {
	l.tb.Helper()
	dir := filepath.Dir(l.Path("guest", "x"))
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, GuestKernel, append([]string{
		"quiet", "uml_dir=" + dir, "umid=guest", "con=null", "con0=null,fd:1", "ssl=null"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Its processes are processes of the host, in its process group.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	// The console is a terminal.
	text := strings.ReplaceAll(out.String(), "\r\n", "\n")
	if err != nil {
		return text, fmt.Errorf("lab: guest: %w", err)
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			return text, errors.New("lab: guest: the test did not pass")
		}
	}
	return text, nil
}

// guestEnd is printed with the exit code of the tests.
const guestEnd = "guest ends with exit code "

// ServeGuest is the life of a guest's first process: it makes the machine
// habitable, runs tests, and halts it.
func ServeGuest(tests func() int) {
	code := 1
	if err := furnishGuest(strings.Split(os.Getenv(guestVariable), ",")); err != nil {
		fmt.Println("guest:", err)
	} else {
		code = tests()
	}
	fmt.Printf("%s%d\n", guestEnd, code)
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// furnishGuest mounts what every program expects and loads modules. Temporary
// files are below /run: what is tested may itself be below the host's /tmp.
func furnishGuest(modules []string) error {
	os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	os.Setenv("TMPDIR", "/run")
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"},
	} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mounting %s: %w", m.dir, err)
		}
	}
	// A named namespace is a mount that others must see.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing mounts: %w", err)
	}
	var release unix.Utsname
	if err := unix.Uname(&release); err != nil {
		return err
	}
	root := filepath.Join(guestModules, unix.ByteSliceToString(release.Release[:]))
	for _, name := range modules {
		if err := loadModule(root, name); err != nil {
			return fmt.Errorf("loading %s: %w", name, err)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		if err := os.MkdirAll("/dev/net", 0o755); err != nil {
			return err
		}
		if err := unix.Mknod("/dev/net/tun", unix.S_IFCHR|0o600, int(unix.Mkdev(10, 200))); err != nil {
			return fmt.Errorf("making /dev/net/tun: %w", err)
		}
	}
	return nil
}

// loadModule loads a module of the kernel, after those that it needs, which
// modules.dep names.
func loadModule(root, name string) error {
	f, err := os.Open(filepath.Join(root, "modules.dep"))
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		file, needs, _ := strings.Cut(lines.Text(), ":")
		if filepath.Base(file) != name+".ko" {
			continue
		}
		list := append([]string{file}, strings.Fields(needs)...)
		for i := len(list) - 1; i >= 0; i-- { // what is needed first comes last
			if err := insertModule(filepath.Join(root, list[i])); err != nil {
				return fmt.Errorf("%s: %w", list[i], err)
			}
		}
		return nil
	}
	return errors.New("there is no such module " + strconv.Quote(name))
}

func insertModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}
