package spawn

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSilence judges workers that do not answer, and tells when each is called
// unready, and when it is given up; zero: never within 20 s.
func TestSilence(t *testing.T) {
	const ms, sec = time.Millisecond, time.Second
	for _, c := range []struct {
		name  string
		state threadState
		// Of each 100 ms: for how long the worker's threads run and wait in all, and
		// how late the supervisor looks.
		used, waited, late time.Duration
		// every is how often one of them gets a processor: before that the kernel has
		// counted no waiting; zero: in every look.
		every               time.Duration
		uncounted           bool
		unready, unanswered time.Duration // listened
	}{
		{name: "stopped", state: stopped, unanswered: 1500 * ms},
		{name: "stopped, and nothing is counted", state: stopped, uncounted: true, unanswered: 1500 * ms},
		{name: "asleep", unready: 1500 * ms, unanswered: 3 * sec},
		{name: "a thread of the runtime wakes now and then", used: 2 * ms, unready: 1500 * ms, unanswered: 3 * sec},
		{name: "computes", state: runnable, used: 100 * ms, unready: 1500 * ms, unanswered: 5 * sec},
		{name: "computes, and sleeps at every look", used: 20 * ms, unready: 1500 * ms, unanswered: 5 * sec},
		{name: "computes on four processors", state: runnable, used: 400 * ms, unready: 1500 * ms,
			unanswered: 5 * sec},
		{name: "gets half a processor", state: runnable, used: 50 * ms, waited: 50 * ms, unready: 3 * sec,
			unanswered: 10 * sec},
		{name: "gets none", state: runnable, waited: 100 * ms, every: 20 * sec, unanswered: 15 * sec},
		{name: "gets one every two seconds", state: runnable, used: 5 * ms, waited: 95 * ms, every: 2 * sec,
			unanswered: 15 * sec},
		{name: "wakes late every two seconds", waited: 100 * ms, every: 100 * ms, unanswered: 15 * sec},
		{name: "waits for a disk", state: runnable, unanswered: 15 * sec},
		{name: "many threads wait", state: runnable, used: 10 * ms, waited: 900 * ms, unanswered: 15 * sec},
		{name: "asleep, and nothing is counted", uncounted: true, unready: 1500 * ms, unanswered: 5 * sec},
		{name: "computes, and nothing is counted", state: runnable, uncounted: true, unanswered: 15 * sec},
		{name: "the supervisor is late, too", state: stopped, late: 900 * ms, unanswered: 1500 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			a := activity{state: c.state, counted: !c.uncounted}
			s := newSilence(now, a)
			var late, gone, used, waited time.Duration
			for listened := time.Duration(0); listened < 20*time.Second && gone == 0; {
				now, listened = now.Add(silenceLook+c.late), listened+silenceLook
				used, waited = used+c.used, waited+c.waited
				if c.every == 0 || listened%c.every == 0 {
					a.used, a.waited = used, waited
				}
				switch s.look(now, a) {
				case quiet:
				case unready:
					if late == 0 {
						late = listened
					}
				case unanswered:
					gone = listened
				}
			}
			if late != c.unready || gone != c.unanswered {
				t.Errorf("unready after %v, unanswered after %v, want %v and %v", late, gone, c.unready, c.unanswered)
			}
		})
	}
}

// TestSilenceGoesOn: a worker that was starved, or stopped for a while, has all its
// time afterwards.
func TestSilenceGoesOn(t *testing.T) {
	now := time.Unix(1000, 0)
	a := activity{counted: true}
	s := newSilence(now, a)
	for i, c := range []struct {
		looks int
		state threadState
		last  judgement
	}{
		{50, runnable, quiet},
		{14, stopped, quiet},
		{1, asleep, unready},
		{14, stopped, unready},
		{1, asleep, unanswered},
	} {
		var got judgement
		for range c.looks {
			now, a.state = now.Add(silenceLook), c.state
			got = s.look(now, a)
		}
		if got != c.last {
			t.Errorf("step %d: judgement %d, want %d", i, got, c.last)
		}
	}
}

// TestSilentWorkerIsReplaced stops a worker (SIGSTOP): it is not ready any more, and
// another one takes its place; a role that it is given meanwhile waits for no answer.
func TestSilentWorkerIsReplaced(t *testing.T) {
	w := run(t, "good")
	pid := w.until(t, "ready", ready).PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s := w.until(t, "its end", func(s Status) bool { return s.Silences == 1 && !s.Ready })
	if !strings.HasPrefix(s.Reason, errSilent.Error()) {
		t.Errorf("reason %q", s.Reason)
	}
	s = w.until(t, "its successor", func(s Status) bool { return s.Ready && s.PID != pid })
	t.Logf("replaced after %v", time.Since(began).Round(time.Millisecond))
	if s.Restarts != 1 || s.Silences != 1 {
		t.Errorf("got %+v", s)
	}
}

// TestLateAnswer: a late answer ends the silence, and so does the end of the process.
func TestLateAnswer(t *testing.T) {
	w := &Worker{cfg: Config{Log: slog.New(slog.DiscardHandler)}}
	p := &process{number: os.Getpid(), exited: make(chan struct{})}
	answered := make(chan error, 1)
	answered <- nil
	if err := w.endure(p, answered); err != nil {
		t.Errorf("an answer: %v", err)
	}
	close(p.exited)
	if err := w.endure(p, answered); !errors.Is(err, errDied) {
		t.Errorf("the end of the process: %v", err)
	}
}

// TestActivityOf: the threads of this process have had a processor, and one of them
// runs; a process that is stopped, and one that sleeps, are told apart.
func TestActivityOf(t *testing.T) {
	_, err := os.Stat("/proc/self/schedstat") // CONFIG_SCHED_INFO
	if a := activityOf(os.Getpid()); a.state != runnable || a.counted != (err == nil) || a.counted && a.used <= 0 {
		t.Errorf("got %+v", a)
	}
	if a := activityOf(0); a != (activity{}) {
		t.Errorf("of no process: %+v", a)
	}
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until := func(want threadState) {
		for activityOf(cmd.Process.Pid).state != want && t.Context().Err() == nil {
			runtime.Gosched()
		}
	}
	until(asleep)
	for _, s := range []struct {
		signal syscall.Signal
		want   threadState
	}{{syscall.SIGSTOP, stopped}, {syscall.SIGCONT, asleep}} {
		if err := cmd.Process.Signal(s.signal); err != nil {
			t.Error(err)
		}
		until(s.want)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
