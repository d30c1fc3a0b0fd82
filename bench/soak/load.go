package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// busyArgument makes this program one that only burns processor time.
const busyArgument = "busy"

// busyProcesses is how many run beside what is tested, with its priority.
const busyProcesses = 4

// ciLimit is how long `.ci/run` may take beside them.
const ciLimit = time.Hour

// burn never returns.
func burn() {
	for b := [sha256.Size]byte{}; ; {
		b = sha256.Sum256(b[:])
	}
}

// startBusy starts the busy processes; stop ends them.
func startBusy() (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var running []*exec.Cmd
	stop = func() {
		for _, cmd := range running {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	for range busyProcesses {
		cmd := exec.Command(self, busyArgument)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			stop()
			return nil, err
		}
		running = append(running, cmd)
	}
	return stop, nil
}

// continuousIntegration runs `.ci/run` in a fresh clone.
func continuousIntegration() (string, error) {
	dir, err := os.MkdirTemp("", "warren-soak-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	clone := filepath.Join(dir, "warren")
	if out, err := exec.Command("git", "clone", "-q", ".", clone).CombinedOutput(); err != nil {
		return "", fmt.Errorf("git clone: %w: %s", err, out)
	}
	data := os.Getenv("WARREN_TEST_DATA")
	if data == "" {
		if data, err = filepath.Abs("../shared/data"); err != nil {
			return "", err
		}
	}
	var out bytes.Buffer
	cmd := exec.Command(".ci/run")
	cmd.Dir, cmd.Env = clone, append(os.Environ(), "WARREN_TEST_DATA="+data)
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Run(); err != nil {
		kept := filepath.Join("bench", "out", "soak-ci.log")
		if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(kept, out.Bytes(), 0o644); err != nil {
			return "", err
		}
		return "", fmt.Errorf("%w, its output is in %s: %s", err, kept, failures(out.String()))
	}
	if took := time.Since(began); took > ciLimit {
		return "", fmt.Errorf("green, but after %v", took.Round(time.Second))
	}
	return "green", nil
}

// failures are the lines that name what failed.
func failures(out string) string {
	var list []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(strings.TrimSpace(line), "--- FAIL") || strings.HasPrefix(line, "make: ***") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return strings.Join(list, ", ")
}
