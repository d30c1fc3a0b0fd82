package lab

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
)

// Flow is a stream of small UDP datagrams in one direction. Where a ping needs
// both directions and cannot tell which one is broken, a Flow needs one.
type Flow struct {
	From, To       *Namespace
	Source, Target string        // addresses; Source may be empty
	Interval       time.Duration // 0: 10 ms
	Grace          time.Duration // how long the last ones may take, as Ping.Timeout
}

// FlowResult is what became of a Flow.
type FlowResult struct {
	Sent, Received int
	Twice          int // datagrams that arrived more than once
	// Outage is the longest time in which nothing of what was sent arrived, by
	// the times of sending.
	Outage time.Duration
}

// Lost is how many datagrams did not arrive.
func (r FlowResult) Lost() int { return r.Sent - r.Received }

func (r FlowResult) String() string {
	s := fmt.Sprintf("%4d ms, %d of %d lost", r.Outage.Milliseconds(), r.Lost(), r.Sent)
	if r.Twice > 0 {
		s += fmt.Sprintf(", %d twice", r.Twice)
	}
	return s
}

// FlowRun is a Flow under way.
type FlowRun struct {
	flow     Flow
	out, in  *net.UDPConn
	stop     chan struct{}
	once     sync.Once
	wait     sync.WaitGroup
	mu       sync.Mutex // guards what follows
	sent     []time.Time
	ended    bool // nothing more is sent
	received []bool
	arrived  int
	twice    int
}

// StartFlow begins to send; the lab, or Stop, ends it.
func (l *Lab) StartFlow(f Flow) *FlowRun {
	l.tb.Helper()
	if f.Interval == 0 {
		f.Interval = 10 * time.Millisecond
	}
	if f.Grace == 0 {
		f.Grace = 10 * time.Second
	}
	r := &FlowRun{flow: f, stop: make(chan struct{})}
	err := f.To.Do(func() (err error) {
		r.in, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(f.Target)})
		return err
	})
	if err == nil {
		err = f.From.Do(func() (err error) {
			r.out, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(f.Source)})
			return err
		})
	}
	if err != nil {
		l.tb.Fatalf("lab: flow from %s to %s: %v", f.From.name, f.Target, err)
	}
	r.wait.Go(r.send)
	r.wait.Go(r.receive)
	l.onClose(func() { r.Stop() })
	return r
}

// Stop ends the stream, waits for the last datagrams and tells what became of
// it.
func (r *FlowRun) Stop() FlowResult {
	r.once.Do(func() { close(r.stop) })
	r.wait.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return FlowResult{
		Sent: len(r.sent), Received: r.arrived, Twice: r.twice,
		Outage: outage(r.sent, r.flow.Interval, func(n int) bool { return r.received[n] }),
	}
}

// Received is how many datagrams have arrived so far.
func (r *FlowRun) Received() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.arrived
}

func (r *FlowRun) send() {
	defer r.out.Close()
	defer r.end()
	tick := time.NewTicker(r.flow.Interval)
	defer tick.Stop()
	b := make([]byte, 64)
	for n := uint64(0); ; n++ {
		binary.BigEndian.PutUint64(b, n)
		r.mu.Lock()
		r.sent, r.received = append(r.sent, time.Now()), append(r.received, false)
		r.mu.Unlock()
		// A refusal by the kernel is a loss like any other.
		_, _ = r.out.WriteTo(b, r.in.LocalAddr())
		select {
		case <-tick.C:
		case <-r.stop:
			return
		}
	}
}

// end has receive wait for the last datagrams.
func (r *FlowRun) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.limit()
}

// limit sets how long receive waits, once all is sent.
func (r *FlowRun) limit() {
	r.in.SetReadDeadline(time.Now().Add(lastWait(r.flow.Grace, r.arrived == len(r.sent), r.received[len(r.sent)-1])))
}

// receive takes datagrams until send has set a deadline and it has passed.
func (r *FlowRun) receive() {
	defer r.in.Close()
	b := make([]byte, 1<<11)
	for {
		n, _, err := r.in.ReadFrom(b)
		if err != nil {
			return
		}
		if n == 64 {
			r.note(binary.BigEndian.Uint64(b))
		}
	}
}

func (r *FlowRun) note(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case n >= uint64(len(r.received)):
	case r.received[n]:
		r.twice++
	default:
		r.received[n] = true
		r.arrived++
		if r.ended && (n == uint64(len(r.sent)-1) || r.arrived == len(r.sent)) {
			r.limit()
		}
	}
}

// outage is the longest time between sending something that did not get through
// and sending the next thing that did; what was sent is interval apart.
func outage(sent []time.Time, interval time.Duration, through func(n int) bool) time.Duration {
	var longest time.Duration
	last := -1 // the last one that got through
	for n := range sent {
		if !through(n) {
			continue
		}
		if n > last+1 {
			longest = max(longest, sent[n].Sub(sent[last+1]))
		}
		last = n
	}
	if n := len(sent); n > 0 && last < n-1 {
		longest = max(longest, sent[n-1].Add(interval).Sub(sent[last+1]))
	}
	return longest
}
