package spawn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

const (
	// adoptTimeout is what a worker of an earlier supervisor gets to go on under this
	// one. One that does not is replaced, with its SAs.
	adoptTimeout = 5 * time.Second
)

// Adopt returns a Worker that goes on with one of an earlier supervisor, whose
// descriptors the Network has. It takes k over, but on error. A process that has
// ended meanwhile, or does not answer, is replaced like any other. Its tenant may be
// another one than cfg says: it is made that.
func Adopt(cfg *Config, k *Kept) (*Worker, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w := newWorker(cfg, k.memory, k.keep.state.Clock)
	w.keep, w.adopted = k.keep, true
	w.keep.state.Note = cfg.Note
	w.keptOr(w.keep.file.write(&w.keep.state))
	w.status.Restarts, w.status.Silences = k.keep.state.Restarts, k.keep.state.Silences
	if k.line == nil {
		return w, nil
	}
	var err error
	if w.taken, err = takeUp(k, w.log()); err != nil {
		cfg.Log.Error("the process of an earlier supervisor cannot be taken up", "reason", err)
	}
	return w, nil
}

// takeUp makes a process of what was kept of one. On error the rest of it is still k's.
func takeUp(k *Kept, log linesConfig) (*process, error) {
	s := k.keep.state.Process
	log.resumed = true
	from, err := burstPipeFrom(k.log.File(keptLog))
	if err != nil {
		return nil, err
	}
	line, err := pipe.LineFromFile(k.line.File(keptLine))
	if err != nil {
		return nil, errors.Join(err, from.Close())
	}
	p := &process{
		number: s.PID, started: s.Started, handle: k.process.File(keptProcess), line: line,
		exited: make(chan struct{}),
		lines:  newLines(log, from), box: s.Box, build: s.Build, inner: s.Inner}
	p.lines.start()
	go func() {
		p.exit = awaitHandle(p.handle)
		close(p.exited)
	}()
	return p, nil
}

// next returns the process of the next life: that of an earlier supervisor, or a new
// one.
func (w *Worker) next(ctx context.Context) (*process, error) {
	p := w.taken
	if p == nil {
		return w.start(ctx)
	}
	w.taken = nil
	var err error
	if p.conn, err = p.line.Connect(); err != nil {
		p.end(w.cfg.Log)
		w.keptOr(w.keep.end())
		return nil, fmt.Errorf("spawn: taking a worker up: %w", err)
	}
	return p, nil
}

// adopt makes the process of an earlier supervisor the tenant, and returns what it plays. It
// may be the tenant already.
func (w *Worker) adopt(ctx context.Context, p *process) (control.Activation, error) {
	w.mu.Lock()
	p.tenant = w.tenant
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, adoptTimeout)
	defer cancel()
	booted, err := w.greet(ctx, p, control.KindAdopt, control.Adopt{
		Version: control.Version, Configuration: control.ConfigurationOf(p.tenant),
	})
	if err != nil {
		return control.Activation{}, fmt.Errorf("spawn: taking a worker up: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ordered {
		w.activation = booted.Activation
	}
	return booted.Activation, nil
}

// Leave tells the worker that this supervisor ends in order: where it turns out to be
// the last one the worker says goodbye to its peers. It goes on until then. Without a
// worker that is ready there is nobody to tell.
func (w *Worker) Leave(ctx context.Context) error {
	_, err := w.call(ctx, control.KindLeave, nil)
	if errors.Is(err, ErrNotReady) {
		return nil
	}
	return err
}

// Dismiss stops a worker of an earlier supervisor that nobody wants any more: it says
// goodbye to its peers, or is killed. Of cfg the Tenant's name and all that is about
// the log are needed. k is closed.
func Dismiss(ctx context.Context, cfg *Config, k *Kept) error {
	if k.line == nil {
		return k.Close()
	}
	w := newWorker(cfg, k.memory, 0)
	p, err := takeUp(k, w.log())
	if err != nil {
		return errors.Join(err, k.Close())
	}
	if p.conn, err = p.line.Connect(); err == nil {
		served := make(chan error, 1)
		go func() { served <- p.conn.Serve(context.WithoutCancel(ctx), refuseAll) }()
		w.stop(ctx, p)
		p.conn.Close()
		<-served
	}
	p.end(w.cfg.Log)
	return k.Close()
}

// refuseAll answers a worker that is on its way out.
func refuseAll(context.Context, *pipe.Request) (any, error) {
	return nil, errors.New("spawn: the context is stopped")
}
