package failovertest

import "time"

const (
	dataInterval = 10 * time.Millisecond
	resendAfter  = 30 * time.Millisecond
	deadAfter    = time.Second // dead peer detection
)

// client is one peer: it sets up an SA, sends packets, wants replies, and begins
// again when there are none for a second.
type client struct {
	world   *world
	index   int
	request uint64 // of the set-up; an answer to another one is stale
	sa      uint64 // 0: setting up
	highest uint64 // sequence number seen on sa
	heard   time.Time
}

func newClient(w *world, i int) *client {
	c := &client{world: w, index: i, request: 1}
	w.after(w.upTo(400*time.Millisecond), c.tick)
	return c
}

// tick sends what is due.
func (c *client) tick() {
	w := c.world
	if c.sa == 0 {
		request := c.request
		c.send(func(k *worker) { k.setUp(c.index, request) })
		w.after(resendAfter, c.tick)
		return
	}
	if w.now.Sub(c.heard) > deadAfter {
		w.logf("client %d gives SA %d up", c.index, c.sa)
		if !w.serving.IsZero() && w.now.Sub(w.serving) > deadAfter/2 {
			w.checkLost(c.sa, nil)
		}
		c.sa = 0
		c.request++
		w.after(0, c.tick)
		return
	}
	sa := c.sa
	c.send(func(k *worker) { k.data(c.index, sa) })
	w.after(dataInterval, c.tick)
}

// send brings a packet to the node that announced the addresses last.
func (c *client) send(deliver func(*worker)) {
	w := c.world
	w.after(w.delay(), func() {
		if w.owner < 0 {
			return
		}
		n := w.nodes[w.owner]
		if n.up && w.attached[n.index] && n.worker.active {
			deliver(n.worker)
		}
	})
}

// established is the answer to a set-up, or to a rekeying of ours.
func (c *client) established(request, sa uint64) {
	if request != c.request || sa <= c.sa {
		return
	}
	c.world.logf("client %d has SA %d", c.index, sa)
	if old := c.world.sas[c.sa]; old != nil {
		old.replaced = true
	}
	c.sa, c.highest, c.heard = sa, 0, c.world.now
	c.world.result.SetUps++
}

// packet is an ESP packet for the client.
func (c *client) packet(sa, seq uint64, from int) {
	if sa != c.sa {
		return
	}
	w := c.world
	if l := w.sas[sa]; seq <= c.highest && !l.excused && !w.reordered(seq, c.highest) {
		w.fail("client %d: replay drop on SA %d from node %d: %d after %d", c.index, sa, from, seq, c.highest)
	}
	c.highest = max(c.highest, seq)
	c.heard = w.now
	w.result.Replies++
}

// reordered reports whether a replay window of 64 packets takes seq.
func (w *world) reordered(seq, highest uint64) bool { return seq+64 > highest }
