package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Ping is a series of ICMP echo requests.
type Ping struct {
	From, To string        // From may be empty
	Size     int           // bytes of data; 0: 56, as the ping program
	Count    int           // 0: 3 for Ping, without end for StartPing
	Interval time.Duration // 0: 200 ms
	// Timeout is for the last answers; 0: 10 s. Of those that are behind the answer to the
	// last request nobody waits for longer than a second.
	Timeout time.Duration
}

// PingResult is what became of a Ping.
type PingResult struct {
	Sent, Received int
	Corrupt        int           // answers whose data was not what was sent
	Min, Avg, Max  time.Duration // round-trip times
	// Outage is the longest time in which no request was answered, by the
	// requests' times of leaving.
	Outage time.Duration
	// Err is the last error of sending; the kernel of the sender refused.
	Err error
}

// Lost is how many requests had no answer.
func (r PingResult) Lost() int { return r.Sent - r.Received }

func (r PingResult) String() string {
	s := fmt.Sprintf("%d sent, %d lost, round trip %v/%v/%v, longest outage %v", r.Sent, r.Lost(),
		r.Min.Round(time.Microsecond), r.Avg.Round(time.Microsecond), r.Max.Round(time.Microsecond),
		r.Outage.Round(time.Millisecond))
	if r.Corrupt > 0 {
		s += fmt.Sprintf(", %d corrupt", r.Corrupt)
	}
	if r.Err != nil {
		s += fmt.Sprintf(" (%v)", r.Err)
	}
	return s
}

// Pinger is a Ping under way.
type Pinger struct {
	lab  *Lab
	ping Ping
	to   net.Addr
	conn *icmp.PacketConn
	id   int
	v6   bool
	stop chan struct{}
	once sync.Once
	wait sync.WaitGroup

	mu      sync.Mutex // guards what follows
	sent    []time.Time
	ended   bool                  // nothing more is sent
	trip    map[int]time.Duration // by sequence number from 0
	corrupt int
	err     error
}

// straggle is how far an answer may be behind that to a later request.
const straggle = time.Second

// pingIDs gives every Pinger of this process an identifier of its own.
var pingIDs = struct {
	sync.Mutex
	next uint16
}{}

// Ping sends the series and waits for its end.
func (ns *Namespace) Ping(p Ping) PingResult {
	ns.lab.tb.Helper()
	if p.Count == 0 {
		p.Count = 3
	}
	pinger := ns.StartPing(p)
	pinger.wait.Wait()
	return pinger.finish()
}

// MustPing is Ping that ends the test if a request is lost. One request is sent
// ahead: a path may have its neighbours and its MTU still to learn.
func (ns *Namespace) MustPing(p Ping) PingResult {
	ns.lab.tb.Helper()
	first := p
	first.Count, first.Timeout = 2, straggle
	ns.Ping(first)
	r := ns.Ping(p)
	if r.Lost() > 0 || r.Corrupt > 0 {
		ns.lab.tb.Fatalf("lab: ping from %s to %s, %d bytes: %v", ns.name, p.To, p.Size, r)
	}
	return r
}

// StartPing begins the series in the background; the lab, or Stop, ends it.
func (ns *Namespace) StartPing(p Ping) *Pinger {
	ns.lab.tb.Helper()
	if p.Size == 0 {
		p.Size = 56
	}
	if p.Interval == 0 {
		p.Interval = 200 * time.Millisecond
	}
	if p.Timeout == 0 {
		p.Timeout = 10 * time.Second
	}
	to, err := netip.ParseAddr(p.To)
	if err != nil {
		ns.lab.tb.Fatalf("lab: ping: %v", err)
	}
	r := &Pinger{
		lab: ns.lab, ping: p, to: &net.IPAddr{IP: to.AsSlice()}, v6: to.Is6(),
		stop: make(chan struct{}), trip: make(map[int]time.Duration),
	}
	pingIDs.Lock()
	pingIDs.next++
	r.id = int(pingIDs.next)
	pingIDs.Unlock()
	network, from := "ip4:icmp", "0.0.0.0"
	if r.v6 {
		network, from = "ip6:ipv6-icmp", "::"
	}
	if p.From != "" {
		from = p.From
	}
	err = ns.Do(func() (err error) {
		r.conn, err = icmp.ListenPacket(network, from)
		return err
	})
	if err != nil {
		ns.lab.tb.Fatalf("lab: ping from %s in %s: %v", from, ns.name, err)
	}
	r.wait.Go(r.send)
	r.wait.Go(r.receive)
	ns.lab.onClose(func() { r.Stop() })
	return r
}

// Stop ends the series, waits for the last answers and tells what became of it.
func (r *Pinger) Stop() PingResult {
	r.once.Do(func() { close(r.stop) })
	r.wait.Wait()
	return r.finish()
}

// Received is how many answers have come so far.
func (r *Pinger) Received() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.trip)
}

// send sends until the count is reached or Stop is called, and says how long the last
// answers may take.
func (r *Pinger) send() {
	defer r.end()
	tick := time.NewTicker(r.ping.Interval)
	defer tick.Stop()
	for n := 0; r.ping.Count == 0 || n < r.ping.Count; n++ {
		r.mu.Lock()
		r.sent = append(r.sent, time.Now())
		r.mu.Unlock()
		if _, err := r.conn.WriteTo(r.request(n), r.to); err != nil {
			r.mu.Lock()
			r.err = err
			r.mu.Unlock()
		}
		select {
		case <-tick.C:
		case <-r.stop:
			return
		}
	}
}

// end has receive wait for the last answers.
func (r *Pinger) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.limit()
}

// limit sets how long receive waits, once all is sent.
func (r *Pinger) limit() {
	_, last := r.trip[len(r.sent)-1]
	r.conn.SetReadDeadline(time.Now().Add(lastWait(r.ping.Timeout, len(r.trip) == len(r.sent), last)))
}

// lastWait is how much longer one waits for what is under way, at most for limit, when all
// of it has come, or the last of it.
func lastWait(limit time.Duration, all, last bool) time.Duration {
	switch {
	case all:
		return 0
	case last:
		return min(limit, straggle)
	}
	return limit
}

// request is the n-th echo request. Its data is different in every one.
func (r *Pinger) request(n int) []byte {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: r.id, Seq: n & 0xffff, Data: r.data(n)}}
	if r.v6 {
		m.Type = ipv6.ICMPTypeEchoRequest // the kernel fills in the checksum
	}
	b, err := m.Marshal(nil)
	if err != nil {
		panic("lab: internal error: " + err.Error())
	}
	return b
}

func (r *Pinger) data(n int) []byte {
	data := make([]byte, max(r.ping.Size, 8))
	for i := range data {
		data[i] = byte(i*7 + n)
	}
	binary.BigEndian.PutUint64(data, uint64(n))
	return data
}

// receive takes answers until send has set a deadline and it has passed, or
// until everything is answered.
func (r *Pinger) receive() {
	defer r.conn.Close()
	protocol := 1
	if r.v6 {
		protocol = 58
	}
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.conn.ReadFrom(b)
		if err != nil {
			return
		}
		now := time.Now()
		m, err := icmp.ParseMessage(protocol, b[:n])
		if err != nil || (m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply) {
			continue
		}
		echo, ok := m.Body.(*icmp.Echo)
		if !ok || echo.ID != r.id || from.String() != r.to.String() || len(echo.Data) < 8 {
			continue
		}
		r.answered(int(binary.BigEndian.Uint64(echo.Data)), echo.Data, now)
	}
}

// answered notes an answer.
func (r *Pinger) answered(n int, data []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n < 0 || n >= len(r.sent) || !bytes.Equal(data, r.data(n)) {
		r.corrupt++
		return
	}
	if _, again := r.trip[n]; again {
		return
	}
	r.trip[n] = now.Sub(r.sent[n])
	if r.ended && (n == len(r.sent)-1 || len(r.trip) == len(r.sent)) {
		r.limit()
	}
}

// finish computes the result.
func (r *Pinger) finish() PingResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	result := PingResult{Sent: len(r.sent), Received: len(r.trip), Corrupt: r.corrupt, Err: r.err}
	var sum time.Duration
	for _, trip := range r.trip {
		sum += trip
		if result.Min == 0 || trip < result.Min {
			result.Min = trip
		}
		result.Max = max(result.Max, trip)
	}
	result.Outage = outage(r.sent, r.ping.Interval, func(n int) bool {
		_, answered := r.trip[n]
		return answered
	})
	if len(r.trip) > 0 {
		result.Avg = sum / time.Duration(len(r.trip))
	}
	return result
}
