package spawn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

// process is one running warren-context.
type process struct {
	cmd    *exec.Cmd
	conn   *pipe.Conn
	exited chan struct{}
	exit   error  // how it ended; valid when exited is closed
	lines  *lines // what it logs
	box    control.Sandbox
	inner  int          // its number as it sees it
	tenant *spec.Tenant // as it was told
}

// start starts a process. It does nothing before its boot message, and until
// then it is put where it belongs. Nothing that an earlier one has begun is left
// then: it would share the sockets, the TUN device and the memory files.
func (w *Worker) start(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	if err := w.cfg.Group.Kill(ctx); err != nil {
		return nil, fmt.Errorf("spawn: what an earlier worker has left: %w", err)
	}
	conn, theirs, err := pipe.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	path, release, err := executable(w.cfg.Binary)
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer release()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("spawn: %w", err)
	}
	defer null.Close()
	passed, stderr, err := newLines(w.log())
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("spawn: making a pipe for the log: %w", err)
	}
	defer stderr.Close()
	cmd := &exec.Cmd{
		Path: path, Args: []string{"warren-context", w.cfg.Tenant.Name}, Dir: "/", Env: w.environment(),
		Stdin: null, Stdout: null, Stderr: stderr, ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{
			Setsid:     true, // a terminal's Ctrl-C is for the supervisor
			Credential: &syscall.Credential{Uid: w.cfg.UID, Gid: w.cfg.UID, Groups: []uint32{}},
		},
	}
	w.mu.Lock()
	caged := w.caged
	w.mu.Unlock()
	var box control.Sandbox
	err = w.cfg.Network.Do(func() error {
		var err error
		box, err = w.startConfined(cmd, caged)
		return err
	})
	if err != nil {
		conn.Close()
		passed.from.Close()
		return nil, fmt.Errorf("spawn: starting %s: %w", w.cfg.Binary, err)
	}
	p := &process{cmd: cmd, conn: conn, exited: make(chan struct{}), lines: passed, box: box, inner: cmd.Process.Pid}
	if cmd.SysProcAttr.Cloneflags&unix.CLONE_NEWPID != 0 {
		p.inner = 1
	}
	passed.start()
	go func() {
		awaitEnd(cmd.Process)
		p.exit = cmd.Wait()
		close(p.exited)
	}()
	expendable(p.pid())
	if err := w.cfg.Group.Add(p.pid()); err != nil {
		p.end(w.cfg.Log)
		return nil, err
	}
	return p, nil
}

// log says where the lines of a process go.
func (w *Worker) log() linesConfig {
	w.mu.Lock()
	limit, class := w.tenant.Limits.Syslogs, w.tenant.Class
	w.mu.Unlock()
	return linesConfig{
		tenant: w.cfg.Tenant.Name, format: w.cfg.LogFormat, perSecond: limit, to: w.cfg.Stderr, log: w.cfg.Log,
		tell: func(dropped int64) {
			w.cfg.Log.Warn("lines of the worker are lost", "class", class,
				"resource", string(resource.Syslogs), "limit", limit, "count", dropped)
		},
	}
}

// environment is all that a worker sees of ours.
func (w *Worker) environment() []string {
	env := []string{"GOTRACEBACK=single", "LANG=C"}
	if w.cfg.MemoryLimit > 0 {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(w.cfg.MemoryLimit/10*9, 10))
	}
	return env
}

// startConfined starts cmd from a thread that is thrown away afterwards, and
// that takes from itself what its child must never have. Where caged is set every
// part of that must be there.
func (w *Worker) startConfined(cmd *exec.Cmd, caged bool) (box control.Sandbox, err error) {
	if err := shed(); err != nil {
		return box, err
	}
	separate(cmd, &box)
	leave, err := enterEmptyRoot(w.cfg.Binary)
	box.Reach("mount namespace", err)
	switch {
	case errors.Is(err, errStuck):
		return box, err
	case err == nil:
		cmd.Path = programInRoot
	}
	if caged && len(box.Missing) > 0 {
		return box, fmt.Errorf("require_sandbox is set, and this is missing: %s", strings.Join(box.Missing, ", "))
	}
	if err := cmd.Start(); err != nil {
		return box, err
	}
	if leave != nil {
		// Where it cannot be taken away the worker could read its own program.
		_ = leave()
	}
	return box, nil
}

// shed takes from the calling thread what no worker may have.
func shed() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // the last capability was the one before
			break
		}
		if err != nil {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	// A raised priority is not for workers. The kernel counts from 40 down to 1.
	if p, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && p > 20 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 0); err != nil {
			return fmt.Errorf("setting the priority: %w", err)
		}
	}
	return nil
}

// separate gives cmd the namespaces that the kernel has, beside that of the
// network, which the calling thread is in. In its own namespace of processes a
// worker is the first one: whatever it may have begun ends with it.
func separate(cmd *exec.Cmd, box *control.Sandbox) {
	for _, n := range []struct {
		name string
		flag uintptr
	}{{"pid", unix.CLONE_NEWPID}, {"ipc", unix.CLONE_NEWIPC}, {"uts", unix.CLONE_NEWUTS}} {
		_, err := os.Stat("/proc/self/ns/" + n.name)
		if err == nil {
			cmd.SysProcAttr.Cloneflags |= n.flag
		} else {
			err = errors.New("the kernel has none")
		}
		box.Reach(n.name+" namespace", err)
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended waits for the end of the process, no longer than within.
func (p *process) ended(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// end makes sure that the process is gone, and reaped.
func (p *process) end(log *slog.Logger) {
	p.conn.Close()
	defer p.lines.stop()
	select {
	case <-p.exited:
		return
	default:
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		log.Error("worker cannot be killed", "pid", p.pid(), "reason", err)
	}
	<-p.exited
}

// workerScore makes a worker no dearer to the kernel than any other process,
// whatever the supervisor is.
const workerScore = "0"

// expendable takes from a process what it has inherited of the supervisor's
// safety from a lack of memory. The kernel refuses that only for a process that
// is gone, or that has inherited a score above: there it does not matter.
func expendable(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(workerScore), 0)
}

// firstFree is a number for a descriptor that no process of ours inherits.
const firstFree = 100

// executable returns a path of the binary that the worker's user can follow.
// Where the directories keep strangers out, as /root does, that leads through
// a descriptor of ours.
func executable(binary string) (path string, release func(), err error) {
	info, err := os.Stat(binary)
	if err != nil {
		return "", nil, fmt.Errorf("spawn: the worker program is missing: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o001 == 0 {
		return "", nil, fmt.Errorf("spawn: %s must be executable for everybody (chmod a+rx)", binary)
	}
	real, err := filepath.EvalSymlinks(binary)
	if err != nil {
		return "", nil, fmt.Errorf("spawn: finding the worker program: %w", err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", nil, fmt.Errorf("spawn: finding the worker program: %w", err)
	}
	if open(real) {
		return real, func() {}, nil
	}
	f, err := os.Open(real)
	if err != nil {
		return "", nil, fmt.Errorf("spawn: opening the worker program: %w", err)
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, firstFree)
	if err != nil {
		return "", nil, fmt.Errorf("spawn: opening the worker program: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd), func() { unix.Close(fd) }, nil
}

// open tells whether everybody may pass all directories on the way to path.
func open(path string) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}
