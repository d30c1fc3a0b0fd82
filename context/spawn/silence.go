package spawn

import (
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
// for one. A worker that neither answers nor computes is given up the soonest: it
// was stopped, or its goroutines wait for each other. One that computes may be about
// to answer, and its data plane may work still.
const (
	// pingInterval is how often a ready worker is asked.
	pingInterval = time.Second
	// pingSoon is how soon nearly every answer comes; the silence begins then.
	pingSoon = 250 * time.Millisecond
	// silenceLook is how often a silence is looked at. What the supervisor is late
	// beyond that does not count: an answer may wait in its socket.
	silenceLook = 100 * time.Millisecond
	// silenceStill is how long a worker that does not compute may be silent, and
	// when one that does is no longer called ready; silenceBusy is its limit.
	silenceStill = 1500 * time.Millisecond
	silenceBusy  = 5 * time.Second
	// silenceMost is the limit of a worker, however long it has waited for a
	// processor.
	silenceMost = 15 * time.Second
	// busyShare is the part of a silence, one in so many, for which a worker must
	// have had a processor to count as computing.
	busyShare = 10
)

// errSilent is the end of a worker that does not answer.
var errSilent = errors.New("spawn: the worker does not answer")

// cpuTime is what all threads of a process have had of the processors.
type cpuTime struct {
	used   time.Duration // running
	waited time.Duration // able to run, on a processor's queue
}

// silence is the time for which a worker's answer is late. It does no I/O and reads
// no clock.
type silence struct {
	began, last time.Time
	listened    time.Duration // that the supervisor could have heard an answer
	before      cpuTime
}

// judgement is what a silence means.
type judgement uint8

const (
	quiet      judgement = iota // it may answer yet
	unready                     // it should have answered, and computes
	unanswered                  // it is not waited for any longer
)

func newSilence(now time.Time, c cpuTime) *silence {
	return &silence{began: now, last: now, before: c}
}

// look judges the silence at a time at which the worker's threads have had c.
func (s *silence) look(now time.Time, c cpuTime) judgement {
	s.listened += min(max(now.Sub(s.last), 0), silenceLook)
	s.last = now
	used := max(c.used-s.before.used, 0) // threads that have ended are not counted
	counts := s.listened - max(c.waited-s.before.waited, 0)
	still := used < s.listened/busyShare
	switch {
	case counts >= silenceBusy, still && counts >= silenceStill, s.listened >= silenceMost:
		return unanswered
	case counts >= silenceStill:
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
	s := newSilence(time.Now(), cpuTimeOf(p.pid()))
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
		switch s.look(time.Now(), cpuTimeOf(p.pid())) {
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

// cpuTimeOf returns what the threads of a process have had of the processors: zero
// where the kernel does not count it (CONFIG_SCHED_INFO), or when it is gone.
func cpuTimeOf(pid int) (sum cpuTime) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return sum
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		fields := strings.Fields(string(b))
		if len(fields) < 2 {
			continue
		}
		used, _ := strconv.ParseInt(fields[0], 10, 64)
		waited, _ := strconv.ParseInt(fields[1], 10, 64)
		sum.used += time.Duration(used)
		sum.waited += time.Duration(waited)
	}
	return sum
}
