package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/internal/fdstore/fdstoretest"
)

// Process is a program that runs in a namespace. What it prints is in a file.
type Process struct {
	lab    *Lab
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when it has ended and was reaped
	err    error         // of its end, valid once exited is closed
}

// Command is a program to run in a namespace.
type Command struct {
	Name string   // for its log; empty: the program's
	Args []string // the program and its arguments
	Env  []string // more variables, "NAME=value"
	Dir  string

	keeper *fdstoretest.Keeper // gives it what it keeps; nil: there is none
}

// Run runs a program in the namespace to its end and returns what it printed,
// both streams together.
func (ns *Namespace) Run(args ...string) (string, error) {
	out, errs, err := ns.Output(Command{Args: args})
	return out + errs, err
}

// Output runs a program in the namespace to its end and returns what it printed
// on standard output and on standard error.
func (ns *Namespace) Output(c Command) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := c.build()
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := ns.Do(cmd.Start); err != nil {
		return "", "", fmt.Errorf("lab: %s: %w", c.Args[0], err)
	}
	err = cmd.Wait()
	if err != nil {
		err = fmt.Errorf("lab: %s in %s: %w: %s", strings.Join(c.Args, " "), ns.name, err,
			strings.TrimSpace(errs.String()))
	}
	return out.String(), errs.String(), err
}

// MustRun is Run that ends the test when the program fails.
func (ns *Namespace) MustRun(args ...string) string {
	ns.lab.tb.Helper()
	out, err := ns.Run(args...)
	if err != nil {
		ns.lab.tb.Fatalf("%v\n%s", err, out)
	}
	return out
}

// Start starts a program in the namespace; the lab ends it.
func (ns *Namespace) Start(c Command) *Process {
	ns.lab.tb.Helper()
	if c.Name == "" {
		c.Name = c.Args[0][strings.LastIndexByte(c.Args[0], '/')+1:]
	}
	p := &Process{lab: ns.lab, name: c.Name, exited: make(chan struct{})}
	p.log = ns.lab.Path("log", fmt.Sprintf("%s-%s-%d.log", ns.name, c.Name, count.Add(1)))
	f, err := os.Create(p.log)
	if err != nil {
		ns.lab.tb.Fatalf("lab: %v", err)
	}
	defer f.Close()
	p.cmd = c.build()
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if c.keeper != nil {
		release, err := c.keeper.Hand(p.cmd)
		if err != nil {
			ns.lab.tb.Fatalf("lab: %v", err)
		}
		defer release()
	}
	if err := ns.Do(p.cmd.Start); err != nil {
		ns.lab.tb.Fatalf("lab: starting %s in %s: %v", c.Name, ns.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	ns.lab.onClose(func() {
		p.Stop()
		if ns.lab.tb.Failed() {
			ns.lab.tb.Logf("lab: last lines of %s in %s:\n%s", p.name, ns.name, tail(p.Log(), 60))
		}
	})
	return p
}

// build makes the command. Its session is its own, as a daemon's is: so its
// priority counts, and an interrupt from the terminal reaches this process alone,
// which then ends things in order. It dies with the namespace's thread, which is to say with us.
func (c Command) build() *exec.Cmd {
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir = c.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process; to one that has ended, nothing.
func (p *Process) Signal(s os.Signal) {
	err := p.cmd.Process.Signal(s)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.lab.tb.Logf("lab: signal to %s: %v", p.name, err)
	}
}

// Wait waits for the process's end, at most for the timeout, or Patience where that is
// longer.
func (p *Process) Wait(timeout time.Duration) error {
	timeout = max(timeout, Patience)
	select {
	case <-p.exited:
		return p.err
	case <-time.After(timeout):
		return fmt.Errorf("lab: %s still runs after %v", p.name, timeout)
	}
}

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Stop asks the process to end, insists after Patience, and waits.
func (p *Process) Stop() {
	if !p.Running() {
		return
	}
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(Patience):
	}
	p.lab.tb.Logf("lab: %s did not end on SIGTERM within %v", p.name, Patience)
	p.Kill()
}

// Kill ends the process with SIGKILL and waits.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exited
}

// Log is what the process has printed so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// WaitLog waits until the process has printed text.
func (p *Process) WaitLog(text string, timeout time.Duration) {
	p.lab.tb.Helper()
	p.lab.Eventually(p.name+" to print "+text, timeout, func() error {
		if strings.Contains(p.Log(), text) {
			return nil
		}
		if !p.Running() {
			return fmt.Errorf("it has ended: %v: %s", p.err, tail(p.Log(), 10))
		}
		return errors.New("not in its log")
	})
}

// WaitLine waits until the process has printed a line that has all words, as Eventually
// does; the error is the whole log.
func (p *Process) WaitLine(timeout time.Duration, words ...string) error {
	return until(max(timeout, Patience), func() error {
		log := p.Log()
		for line := range strings.Lines(log) {
			if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
				return nil
			}
		}
		return fmt.Errorf("no line of the log of %s has all of %q:\n%s", p.name, words, log)
	})
}

// tail is the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
