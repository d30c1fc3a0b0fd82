package checker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/confine"
	"github.com/warrenvpn/warren/context/control"
)

// child is the process that checks, seen from here.
type child struct {
	limits limits
	cmd    *exec.Cmd
	texts  *os.File      // to it
	said   *bufio.Reader // of from
	from   *os.File      // its greeting, then a byte for each verdict
	stderr *os.File      // what its runtime says when it gives up
	box    control.Sandbox
	last   []byte // of stderr, known after end
}

// Lengths of what the process says.
const (
	maxGreeting = 4 << 10
	maxLast     = 64 << 10 // what a pipe holds: nobody reads before the process has ended
)

// start starts a process and waits until it has confined itself.
func (c *Checker) start() (*child, error) {
	k := &child{limits: c.limits}
	var theirs []*os.File
	closeTheirs := func() {
		for _, f := range theirs {
			f.Close()
		}
	}
	pipe := func(ours **os.File, in bool) error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		if in {
			r, w = w, r
		}
		*ours, theirs = r, append(theirs, w)
		return nil
	}
	if err := errors.Join(pipe(&k.texts, true), pipe(&k.from, false), pipe(&k.stderr, false)); err != nil {
		closeTheirs()
		k.close()
		return nil, err
	}
	k.said = bufio.NewReaderSize(k.from, maxGreeting)
	k.cmd = &exec.Cmd{
		Path: c.cfg.Program, Args: []string{confine.CheckerProgram}, Dir: "/",
		Env:   []string{"LANG=C", "GOTRACEBACK=none"},
		Stdin: theirs[0], Stdout: theirs[1], Stderr: theirs[2],
		SysProcAttr: &syscall.SysProcAttr{
			Setsid: true, Cloneflags: unix.CLONE_NEWNET,
			Credential: &syscall.Credential{Uid: c.cfg.UID, Gid: c.cfg.UID, Groups: []uint32{}},
		},
	}
	caged := c.caged.Load()
	var err error
	done := make(chan struct{})
	go func() { // on a thread of its own, which ends with the goroutine
		defer close(done)
		runtime.LockOSThread()
		k.box, err = confine.Start(k.cmd, c.cfg.Program, caged)
	}()
	<-done
	closeTheirs() // so that the end of the process is the end of what it says
	if err != nil {
		k.close()
		return nil, err
	}
	confine.Expendable(k.cmd.Process.Pid)
	if err := k.greet(); err != nil {
		k.end()
		return nil, k.reason(err)
	}
	if caged && len(k.box.Missing) > 0 {
		k.end()
		return nil, fmt.Errorf("require_sandbox is set, and this is missing: %s", strings.Join(k.box.Missing, ", "))
	}
	c.tell(k.box)
	return k, nil
}

// tell logs once what confines the process.
func (c *Checker) tell(box control.Sandbox) {
	switch {
	case c.told:
	case len(box.Missing) > 0:
		c.cfg.Log.Warn("texts of contexts are checked in a sandbox that lacks a part", "sandbox", box.String())
	default:
		c.cfg.Log.Info("texts of contexts are checked in a sandbox", "sandbox", box.String())
	}
	c.told = true
}

// greet reads what the process says before it has read anything: what confines it.
func (k *child) greet() error {
	if err := k.from.SetReadDeadline(time.Now().Add(k.limits.wall)); err != nil {
		return err
	}
	line, err := k.said.ReadSlice('\n')
	if err != nil {
		return err
	}
	var inside control.Sandbox
	if err := json.Unmarshal(line, &inside); err != nil {
		return err
	}
	k.box.Reached, k.box.Missing = append(k.box.Reached, inside.Reached...), append(k.box.Missing, inside.Missing...)
	return nil
}

// check gives the process a text and waits for its verdict. After an error the process
// is of no use any more.
func (k *child) check(text []byte) error {
	deadline := time.Now().Add(k.limits.wall)
	if err := errors.Join(k.texts.SetWriteDeadline(deadline), k.from.SetReadDeadline(deadline)); err != nil {
		return err
	}
	if _, err := k.texts.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
		return err
	}
	verdict, err := k.said.ReadByte()
	if err != nil {
		return err
	}
	if verdict != harmless || k.said.Buffered() > 0 {
		return errors.New("the process that checks it has said something else than it should")
	}
	return nil
}

// end kills the process with all that it may have begun, and reaps it.
func (k *child) end() {
	// The group first: where there is no namespace of processes others may be in it.
	_ = unix.Kill(-k.cmd.Process.Pid, unix.SIGKILL)
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait() // its state says how it has ended
	if k.stderr.SetReadDeadline(time.Now().Add(lastLimit)) == nil {
		k.last, _ = io.ReadAll(io.LimitReader(k.stderr, maxLast)) // as far as there is anything
	}
	k.close()
}

// used is the processor time of a process that has ended.
func (k *child) used() time.Duration {
	return k.cmd.ProcessState.UserTime() + k.cmd.ProcessState.SystemTime()
}

// lastLimit bounds the wait for the end of a pipe whose other end nobody has any more.
const lastLimit = time.Second

func (k *child) close() {
	for _, f := range []*os.File{k.texts, k.from, k.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// reason says what is wrong with a text for which the process, which has ended by now,
// had no verdict but err.
func (k *child) reason(err error) error {
	state := k.cmd.ProcessState
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("its checking took more than %v", k.limits.wall)
	case !errors.Is(err, io.EOF) && !errors.Is(err, unix.EPIPE):
		return err
	// A process that could not say so has had its overtime, too.
	case state.ExitCode() == exitOvertime, k.used() >= k.limits.cpu:
		return fmt.Errorf("its checking took more than %v of processor time", k.limits.cpu)
	case bytes.Contains(k.last, []byte("out of memory")), bytes.Contains(k.last, []byte("cannot allocate memory")):
		return fmt.Errorf("its checking took more than %d MiB of memory", k.limits.memory>>20)
	}
	return fmt.Errorf("its checking has ended the process that did it (%v)", state)
}
