package spawn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

// A worker is asked whether its loop turns. Silence is judged only by who was
// listening, and only of a worker that could have spoken: what counts is the time
// for which this process had a processor, less the time for which the worker waited
// for one. A worker that is stopped is given up the soonest, one that sleeps next:
// its goroutines wait for each other. One that computes may be about to answer, and
// its data plane may work still.
//
// The kernel adds the time that a thread has waited only when the thread gets a
// processor: of one that still waits, neither sum of its schedstat moves. So the
// state of the threads is looked at, too.
const (
	// pingInterval is how often a ready worker is asked.
	pingInterval = time.Second
	// pingSoon is how soon nearly every answer comes; the silence begins then.
	pingSoon = 250 * time.Millisecond
	// silenceLook is how often a silence is looked at. What the supervisor is late
	// beyond that does not count: an answer may wait in its socket.
	silenceLook = 100 * time.Millisecond
	// silenceStopped is how long a worker may be stopped while it is silent.
	silenceStopped = 1500 * time.Millisecond
	// silenceUnready is when a worker that is silent is no longer called ready.
	silenceUnready = 1500 * time.Millisecond
	// silenceAsleep is the limit of a worker that does not compute, silenceBusy that
	// of one that does.
	silenceAsleep = 3 * time.Second
	silenceBusy   = 5 * time.Second
	// silenceMost is the limit of a worker, however long it has waited for a
	// processor.
	silenceMost = 15 * time.Second
	// busyShare is the part of a silence, one in so many, for which a worker must
	// have had a processor to count as computing.
	busyShare = 10
)

// errSilent is the end of a worker that does not answer.
var errSilent = errors.New("spawn: the worker does not answer")

// activity is what the threads of a process do.
type activity struct {
	// used and waited are sums over all threads since each began: the time on a
	// processor, and the time able to run but on a processor's queue. A wait that
	// lasts is in no sum. Where the kernel does not count them (CONFIG_SCHED_INFO)
	// counted is false.
	used, waited time.Duration
	counted      bool
	state        threadState
}

// threadState is the state of a process's threads at one moment.
type threadState uint8

const (
	asleep   threadState = iota // all wait for something, or it is not known
	runnable                    // one or more run, wait for a processor or for a disk
	stopped                     // all of them, by a signal or a debugger
)

// silence is the time for which a worker's answer is late. It does no I/O and reads
// no clock.
type silence struct {
	began, last time.Time
	listened    time.Duration // that the supervisor could have heard an answer
	counts      time.Duration // of these, that the worker did not wait for a processor
	stopped     time.Duration // of these, that it has been stopped without a break
	used        time.Duration // that the worker had a processor
	before      activity      // when it was looked at last
}

// judgement is what a silence means.
type judgement uint8

const (
	quiet      judgement = iota // it may answer yet
	unready                     // it should have answered, and may be at it
	unanswered                  // it is not waited for any longer
)

func newSilence(now time.Time, a activity) *silence {
	return &silence{began: now, last: now, before: a}
}

// look judges the silence at a time at which the worker's threads do what a says.
func (s *silence) look(now time.Time, a activity) judgement {
	passed := min(max(now.Sub(s.last), 0), silenceLook)
	used := max(a.used-s.before.used, 0) // threads that have ended are not counted
	waited := min(max(a.waited-s.before.waited, 0), passed)
	if a.state == runnable && used < passed/busyShare {
		waited = passed
	}
	s.listened += passed
	s.counts += passed - waited
	s.used += used
	if a.state == stopped {
		s.stopped += passed
	} else {
		s.stopped = 0
	}
	s.last, s.before = now, a
	limit := silenceBusy
	if a.counted && s.used < s.listened/busyShare {
		limit = silenceAsleep
	}
	switch {
	case s.stopped >= silenceStopped, s.counts >= limit, s.listened >= silenceMost:
		return unanswered
	case s.counts >= silenceUnready:
		return unready
	}
	return quiet
}

// length is how long the silence had lasted when it was looked at last.
func (s *silence) length() time.Duration {
	return (pingSoon + s.last.Sub(s.began)).Round(silenceLook)
}

// err is why a worker that is silent is not ready.
func (s *silence) err() error { return fmt.Errorf("%w, for %v now", errSilent, s.length()) }

// ping asks the worker's loop whether it turns, and returns when it answers: a
// refusal is a sign of life, too. The error is errSilent where it is to be given up,
// or errDied. A worker whose answer is late is not ready meanwhile.
func (w *Worker) ping(ctx context.Context, p *process) error {
	ctx, cancel := context.WithCancel(ctx)
	answered := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := p.conn.Call(ctx, control.KindPing, nil)
		answered <- err
	}()
	defer func() {
		cancel()
		<-ended
	}()
	soon := time.NewTimer(pingSoon)
	defer soon.Stop()
	select {
	case <-answered: // where the connection or ctx has ended, watch sees it
		return nil
	case <-soon.C:
	}
	return w.endure(p, answered)
}

// endure waits for an answer that is late.
func (w *Worker) endure(p *process, answered <-chan error) error {
	s := newSilence(time.Now(), activityOf(p.number))
	tick := time.NewTicker(silenceLook)
	defer tick.Stop()
	for late := false; ; {
		select {
		case err := <-answered:
			var refused *Refused
			if late && (err == nil || errors.As(err, &refused)) {
				w.cfg.Log.Info("worker answers again", "took", s.length())
				w.change(func(st *Status) { st.Ready, st.Reason = true, "" })
			}
			return nil
		case <-p.exited:
			return errDied
		case <-tick.C:
		}
		switch s.look(time.Now(), activityOf(p.number)) {
		case quiet:
		case unready:
			if !late {
				late = true
				w.cfg.Log.Warn("worker does not answer", "took", s.length())
			}
			w.change(func(st *Status) { st.Ready, st.Reason = false, s.err().Error() })
		case unanswered:
			w.change(func(st *Status) { st.Ready, st.Reason, st.Silences = false, s.err().Error(), st.Silences+1 })
			return s.err()
		}
	}
}

// activityOf returns what the threads of a process do: nothing when it is gone.
func activityOf(pid int) (a activity) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return a
	}
	halted, living := 0, 0
	for _, task := range tasks {
		if used, waited, ok := schedstat(task); ok {
			a.used += used
			a.waited += waited
			a.counted = true
		}
		if a.state == runnable {
			continue // one is enough
		}
		switch stateOf(task) {
		case 'R', 'D':
			a.state = runnable
		case 'T', 't':
			halted++
			living++
		case 0, 'Z', 'X': // it has ended
		default:
			living++
		}
	}
	if a.state != runnable && living > 0 && halted == living {
		a.state = stopped
	}
	return a
}

// schedstat returns what the thread with that directory has had of the processors
// (Documentation/scheduler/sched-stats.rst).
func schedstat(task string) (used, waited time.Duration, ok bool) {
	b, err := os.ReadFile(task + "/schedstat")
	if err != nil {
		return 0, 0, false // the thread has ended
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, 0, false
	}
	u, errUsed := strconv.ParseInt(fields[0], 10, 64)
	w, errWaited := strconv.ParseInt(fields[1], 10, 64)
	return time.Duration(u), time.Duration(w), errUsed == nil && errWaited == nil
}

// stateOf returns the state of the thread with that directory, as proc_pid_stat(5)
// has it: the letter behind its name, which may hold anything. It is 0 when the
// thread has ended.
func stateOf(task string) byte {
	b, err := os.ReadFile(task + "/stat")
	if err != nil {
		return 0
	}
	if i := bytes.LastIndexByte(b, ')'); i >= 0 && i+2 < len(b) {
		return b[i+2]
	}
	return 0
}
