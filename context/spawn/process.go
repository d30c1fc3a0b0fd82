package spawn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/confine"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

// process is one running warren-context.
type process struct {
	number  int // of the kernel
	started time.Time
	handle  *os.File    // its pidfd; nil: the kernel has none
	child   *os.Process // nil: an earlier supervisor has started it
	line    *pipe.Line
	conn    *pipe.Conn
	exited  chan struct{}
	exit    error  // how it ended, as far as that is known; valid when exited is closed
	lines   *lines // what it logs
	box     control.Sandbox
	build   string       // "": it has not booted
	inner   int          // its number as it sees it
	tenant  *spec.Tenant // as it was told
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
	line, theirs, err := pipe.NewLine()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	path, release, err := confine.Program(w.cfg.Binary)
	if err != nil {
		line.Close()
		return nil, err
	}
	defer release()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		line.Close()
		return nil, fmt.Errorf("spawn: %w", err)
	}
	defer null.Close()
	from, stderr, err := newBurstPipe()
	if err != nil {
		line.Close()
		return nil, fmt.Errorf("spawn: making a pipe for the log: %w", err)
	}
	defer stderr.Close()
	cmd := &exec.Cmd{
		Path: path, Args: []string{confine.WorkerProgram, w.cfg.Tenant.Name}, Dir: "/", Env: w.environment(),
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
		box, err = confine.Start(cmd, w.cfg.Binary, caged)
		return err
	})
	if err != nil {
		line.Close()
		from.Close()
		return nil, fmt.Errorf("spawn: starting %s: %w", w.cfg.Binary, err)
	}
	p := &process{number: cmd.Process.Pid, started: time.Now(), handle: handleOf(cmd.Process.Pid), child: cmd.Process,
		line: line, exited: make(chan struct{}), lines: newLines(w.log(), from), box: box, inner: cmd.Process.Pid}
	if cmd.SysProcAttr.Cloneflags&unix.CLONE_NEWPID != 0 {
		p.inner = 1
	}
	w.keptOr(w.keep.begin(p, w.Status())) // before anybody reads the log, and closes it
	p.lines.start()
	go func() {
		awaitEnd(cmd.Process)
		p.exit = cmd.Wait()
		close(p.exited)
	}()
	confine.Expendable(p.number)
	err = w.cfg.Group.Add(p.number)
	if err == nil {
		p.conn, err = line.Connect()
	}
	if err != nil {
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
	log := w.direct()
	return linesConfig{
		tenant: w.cfg.Tenant.Name, format: w.cfg.LogFormat, perSecond: limit, to: w.cfg.Stderr, log: log,
		event: w.cfg.Event,
		tell: func(dropped int64) {
			log.Warn("lines of the worker are lost", "class", class,
				"resource", string(resource.Syslogs), "limit", limit, "count", dropped)
		},
	}
}

// direct returns a logger that writes to the log itself, as what passes the lines on
// does, and waits with it where the log stalls: a worker must not fill what keeps the
// supervisor's own lines meanwhile.
func (w *Worker) direct() *slog.Logger {
	var level slog.Level // where the word is none, the worker does not start
	_ = level.UnmarshalText([]byte(w.cfg.LogLevel))
	opts := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w.cfg.Stderr, opts)
	if w.cfg.LogFormat == "json" {
		h = slog.NewJSONHandler(w.cfg.Stderr, opts)
	}
	return slog.New(h).With("tenant", w.cfg.Tenant.Name)
}

// environment is all that a worker sees of ours.
func (w *Worker) environment() []string {
	env := []string{"GOTRACEBACK=single", "LANG=C"}
	if w.cfg.MemoryLimit > 0 {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(w.cfg.MemoryLimit/10*9, 10))
	}
	return env
}

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

// end makes sure that the process is gone, and reaped where it is a child of ours.
func (p *process) end(log *slog.Logger) {
	if p.conn != nil {
		p.conn.Close()
	}
	defer func() {
		p.lines.stop()
		p.line.Close()
		if p.handle != nil {
			p.handle.Close()
		}
	}()
	select {
	case <-p.exited:
		return
	default:
	}
	if err := p.kill(); err != nil {
		log.Error("worker cannot be killed", "pid", p.number, "reason", err)
	}
	<-p.exited
}

// kill sends the signal that nobody survives. A process that has ended is no error.
func (p *process) kill() error {
	if p.child != nil {
		if err := p.child.Kill(); !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return nil
	}
	return killHandle(p.handle)
}
