package task

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a task that writes its life into a journal.
type fake struct {
	name    string
	journal *journal
	ready   chan struct{}
	startup error         // ends before it is ready
	crash   chan struct{} // ends when closed
	bye     error         // returned at its proper end
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (f *fake) String() string         { return f.name }
func (f *fake) Ready() <-chan struct{} { return f.ready }
func (f *fake) Run(ctx context.Context) error {
	f.journal.add("start " + f.name)
	defer f.journal.add("end " + f.name)
	if f.startup != nil {
		return f.startup
	}
	close(f.ready)
	select {
	case <-ctx.Done():
		return f.bye
	case <-f.crash:
		return errors.New("crashed")
	}
}

func TestRun(t *testing.T) {
	tests := []struct {
		name    string
		change  func(a, b, c *fake)
		want    string
		journal string
	}{
		{"orderly", func(a, b, c *fake) {}, "", "start a, start b, start c, started, end c, end b, end a"},
		{"end by context is no error", func(a, b, c *fake) { b.bye = context.Canceled }, "",
			"start a, start b, start c, started, end c, end b, end a"},
		{"stop error", func(a, b, c *fake) { b.bye = errors.New("stuck") }, "stopping b: stuck",
			"start a, start b, start c, started, end c, end b, end a"},
		{"start error", func(a, b, c *fake) { b.startup = errors.New("no port") }, "b: no port",
			"start a, start b, end b, end a"},
		{"crash", func(a, b, c *fake) { close(b.crash) }, "b: crashed",
			"start a, start b, start c, started, end c, end a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			j := &journal{}
			tasks := make([]*fake, 3)
			for i, name := range []string{"a", "b", "c"} {
				tasks[i] = &fake{name: name, journal: j, ready: make(chan struct{}), crash: make(chan struct{})}
			}
			test.change(tasks[0], tasks[1], tasks[2])
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			started := func() {
				j.add("started")
				if test.name != "crash" {
					cancel()
				}
			}
			err := Run(ctx, slog.New(slog.DiscardHandler), started, tasks[0], tasks[1], tasks[2])
			if got := text(err); got != test.want {
				t.Errorf("error %q, want %q", got, test.want)
			}
			lines := j.lines
			if test.name == "crash" { // b ends whenever it likes
				lines = strings.Split(strings.Replace(strings.Join(lines, ", "), ", end b", "", 1), ", ")
			}
			if diff := cmp.Diff(test.journal, strings.Join(lines, ", ")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestRunEndsEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j := &journal{}
	a := &fake{name: "a", journal: j, ready: make(chan struct{}), crash: make(chan struct{})}
	called := false
	if err := Run(ctx, slog.New(slog.DiscardHandler), func() { called = true }, a); err != nil || called {
		t.Errorf("error %v, started called: %t", err, called)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
