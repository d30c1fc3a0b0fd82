package plane

import (
	"sync"
	"sync/atomic"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

// tunSide is the inner side of a plane: the queues of the TUN device, which
// packet takes which carrier, and what is alike for all carriers. It knows
// neither SPIs nor keys nor sockets.
type tunSide struct {
	*base
	policies esp.PolicyTable[Link]
	taps     atomic.Pointer[[]Tap]    // nil: none
	policers atomic.Pointer[policers] // nil: there is no bound
	rated    rateUse
	clear    limiter // reports about packets that no carrier takes
	queues   []*queue

	// mu guards what follows and makes one writer at a time of policies. The
	// pipelines do not take it.
	mu        sync.Mutex
	receivers []*Receiver
}

func newTUNSide(b *base, devices []tun.Device) *tunSide {
	t := &tunSide{base: b, clear: limiter{perSecond: 1}}
	for i, d := range devices {
		q := &queue{tun: t, dev: d, icmp: limiter{perSecond: 1000}}
		q.burst.queue, q.burst.stats = i, &q.stats
		t.queues = append(t.queues, q)
	}
	t.setOptions(b.options.Load())
	return t
}

// setOptions switches the offloads of the devices.
func (t *tunSide) setOptions(o *Options) {
	for _, q := range t.queues {
		if d, ok := q.dev.(deviceOffloader); ok {
			d.SetOffload(!o.NoTUNOffload)
		}
	}
}

// attach installs the link for packets between these selectors.
func (t *tunSide) attach(id uint64, local, remote []sa.Selector, l *Link) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.policies.Add(id, local, remote, l)
}

func (t *tunSide) detach(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policies.Remove(id)
}

// demote says whether the link is only for packets that no other one takes.
func (t *tunSide) demote(id uint64, on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policies.Demote(id, on)
}

// receiver returns a new Receiver. Its packets are written to a queue of the TUN
// device, to each in turn.
func (t *tunSide) receiver() *Receiver {
	t.mu.Lock()
	defer t.mu.Unlock()
	device := t.queues[len(t.receivers)%len(t.queues)].dev
	r := &Receiver{tun: t, options: t.options.Load(), join: tun.NewCoalescer(device)}
	t.receivers = append(t.receivers, r)
	return r
}

// counts returns what all of the plane has counted.
func (t *tunSide) counts() stats.Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	var s stats.Counts
	t.other.addTo(&s)
	for _, q := range t.queues {
		q.stats.addTo(&s)
	}
	for _, r := range t.receivers {
		r.stats.addTo(&s)
	}
	return s
}

func (t *tunSide) close() {
	for _, q := range t.queues {
		q.dev.Close()
	}
}
