package spawn

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSilence judges workers that do not answer, and tells when each is called
// unready, and when it is given up; zero: never within 20 s.
func TestSilence(t *testing.T) {
	for _, c := range []struct {
		name string
		// Of each 100 ms: for how long the worker's threads run and wait in all, and
		// how late the supervisor looks.
		used, waited, late  time.Duration
		unready, unanswered time.Duration // listened
	}{
		{name: "stopped", unanswered: 1500 * time.Millisecond},
		{name: "a thread of the runtime wakes now and then", used: 2 * time.Millisecond,
			unanswered: 1500 * time.Millisecond},
		{name: "computes", used: 100 * time.Millisecond, unready: 1500 * time.Millisecond, unanswered: 5 * time.Second},
		{name: "computes on four processors", used: 400 * time.Millisecond, unready: 1500 * time.Millisecond,
			unanswered: 5 * time.Second},
		{name: "gets half a processor", used: 50 * time.Millisecond, waited: 50 * time.Millisecond,
			unready: 3 * time.Second, unanswered: 10 * time.Second},
		{name: "gets none", waited: 100 * time.Millisecond, unanswered: 15 * time.Second},
		{name: "many threads wait", used: 10 * time.Millisecond, waited: 900 * time.Millisecond,
			unanswered: 15 * time.Second},
		{name: "the supervisor is late, too", late: 900 * time.Millisecond, unanswered: 1500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			var cpu cpuTime
			s := newSilence(now, cpu)
			var late, gone time.Duration
			for listened := time.Duration(0); listened < 20*time.Second && gone == 0; {
				now, listened = now.Add(silenceLook+c.late), listened+silenceLook
				cpu.used += c.used
				cpu.waited += c.waited
				switch s.look(now, cpu) {
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
	p := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}, exited: make(chan struct{})}
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

// TestCPUTimeOf: the threads of this process have had a processor.
func TestCPUTimeOf(t *testing.T) {
	_, err := os.Stat("/proc/self/schedstat") // CONFIG_SCHED_INFO
	if c := cpuTimeOf(os.Getpid()); c.used <= 0 && err == nil || c.waited < 0 {
		t.Errorf("got %+v", c)
	}
	if c := cpuTimeOf(0); c != (cpuTime{}) {
		t.Errorf("of no process: %+v", c)
	}
}
