// Package failovertest runs two failover nodes, a model of their workers and two
// clients in virtual time, over links that are cut and healed, while nodes, supervisors and
// workers are killed between any two steps. The nodes' clocks differ, a node gets
// no processor for a while, workers hang, the failover key is changed, living nodes are
// said to be dead,
// and the worker of another context of the group says what it likes. A run follows from its seed alone.
//
// Role machines, heartbeats, journals, reservations and the memory-file store
// are the real ones. A worker is a model: SAs are numbers, an ESP packet is its
// sequence number. The package does no I/O; it is for tests.
package failovertest

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

const (
	poll = 50 * time.Millisecond
	hold = 150 * time.Millisecond

	groupName  = "1"
	tenantName = "acme"
	// hostileName is another context of the group, whose worker nobody controls.
	hostileName = "mallory"
	// quietName is a third one, which fares as tenantName does.
	quietName = "umbra"
	outside   = "outside"

	numLinks   = 2
	maxDelay   = 3 * time.Millisecond
	chaosTime  = 3 * time.Second
	quietTime  = 3 * time.Second
	settleTime = 200 * time.Millisecond
)

// Result is what a run did; it shows that the run tested something.
type Result struct {
	Kills, WorkerKills, Cuts, Takeovers, Switches int
	Partitions, SplitBrains, Sleeps, Lies, Hangs  int
	Rotations, Obituaries, Deceptions             int
	Orphans, Adoptions, Lapses, Yields, Spared    int
	Lone                                          int
	SetUps, Replies, Snapshots, Resumes, Rekeys   int
}

// Add adds up results.
func (r *Result) Add(o Result) {
	r.Kills += o.Kills
	r.WorkerKills += o.WorkerKills
	r.Cuts += o.Cuts
	r.Takeovers += o.Takeovers
	r.Switches += o.Switches
	r.Partitions += o.Partitions
	r.SplitBrains += o.SplitBrains
	r.Sleeps += o.Sleeps
	r.Lies += o.Lies
	r.Hangs += o.Hangs
	r.Rotations += o.Rotations
	r.Obituaries += o.Obituaries
	r.Deceptions += o.Deceptions
	r.Orphans += o.Orphans
	r.Adoptions += o.Adoptions
	r.Lapses += o.Lapses
	r.Yields += o.Yields
	r.Spared += o.Spared
	r.Lone += o.Lone
	r.SetUps += o.SetUps
	r.Replies += o.Replies
	r.Snapshots += o.Snapshots
	r.Resumes += o.Resumes
	r.Rekeys += o.Rekeys
}

// world is one run.
type world struct {
	rand    *rand.Rand
	start   time.Time
	now     time.Time
	events  events
	order   uint64
	nodes   [2]*node
	clients [2]*client
	result  Result
	trace   func(string, ...any)
	failure error

	linkUp    [numLinks]bool
	dataUp    bool    // the nodes reach each other over the data network
	attached  [2]bool // a node reaches the data network at all
	owner     int     // the node that announced the addresses last
	chaos     bool
	used      map[number]bool
	sas       map[uint64]*ledger
	nextSA    uint64
	together  time.Time // since when two active nodes could hear each other
	sessions  uint64
	session   [2]uint64 // by node: the session it believes in, 0 none
	sessionOn int       // the link of the newest session
	arrival   [2]time.Time
	apart     time.Time // when the nodes could not hear each other for the last time
	serving   time.Time // since when an active node has been reachable for the clients
	loose     time.Time // when a node had no data network for the last time
	deceived  time.Time // when it was pretended that a node is dead

	orphanBeside time.Time // since when an active worker without a supervisor has another one beside it
}

// number is one use of a sequence number with a key.
type number struct{ sa, seq uint64 }

// ledger is what all-knowing bookkeeping says of one SA that a client has.
type ledger struct {
	holder   [2]int // incarnation of the node that held it, 0 never
	excused  bool   // a partition of everything makes losing it legitimate
	replaced bool
}

// event is something that happens at a time; order breaks ties.
type event struct {
	at    time.Time
	order uint64
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	old[len(old)-1] = event{}
	*e = old[:len(old)-1]
	return x
}

// Run plays one seed. Trace, which may be nil, gets the story.
func Run(seed uint64, trace func(format string, args ...any)) (Result, error) {
	if trace == nil {
		trace = func(string, ...any) {}
	}
	w := &world{
		rand: rand.New(rand.NewPCG(seed, 0x57617272656e)), trace: trace,
		start:  time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		linkUp: [numLinks]bool{true, true}, dataUp: true, attached: [2]bool{true, true},
		chaos: true, used: map[number]bool{}, sas: map[uint64]*ledger{}, owner: -1,
	}
	w.now = w.start
	first, second := secret.Copy([]byte("a failover key for the lab")), secret.Copy([]byte("the next failover key"))
	for i := range w.nodes {
		w.nodes[i] = &node{world: w, index: i, keys: []secret.Value{first}}
		w.after(w.upTo(300*time.Millisecond), w.nodes[i].boot)
	}
	for i := range w.clients {
		w.clients[i] = newClient(w, i)
	}
	w.after(500*time.Millisecond+w.upTo(300*time.Millisecond), w.disturb)
	w.after(50*time.Millisecond, w.tendSession)
	// Another failover key, on one node after the other.
	if w.rand.IntN(2) == 0 {
		i, at := w.rand.IntN(2), time.Duration(0)
		for step, keys := range [][]secret.Value{{second, first}, {second, first}, {second}, {second}} {
			at += w.upTo(time.Second)
			w.after(at, func() { w.nodes[(i+step)%2].configure(keys...) })
		}
		w.result.Rotations++
	}
	w.run(w.start.Add(chaosTime))
	w.heal()
	w.run(w.start.Add(chaosTime + quietTime))
	w.checkEnd()
	return w.result, w.failure
}

// run plays events until end or the first violation.
func (w *world) run(end time.Time) {
	for w.failure == nil && len(w.events) > 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
		if !w.attached[0] || !w.attached[1] {
			w.loose = w.now
		}
		if w.partitioned() || w.activeSleeps() {
			w.apart = w.now
		}
		w.checkStep()
		w.checkOrphan()
		// The death of a node between any two steps.
		if w.chaos && w.rand.IntN(6000) == 0 {
			w.kill()
		}
	}
}

// after schedules do.
func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{w.now.Add(d), w.order, do})
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rand.Int64N(int64(d))) }

// delay is how long a message travels.
func (w *world) delay() time.Duration {
	return 100*time.Microsecond + w.upTo(maxDelay-100*time.Microsecond)
}

func (w *world) fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf("at %v: %s", w.now.Sub(w.start), fmt.Sprintf(format, args...))
	}
}

func (w *world) logf(format string, args ...any) {
	w.trace("%12v "+format, append([]any{w.now.Sub(w.start)}, args...)...)
}

// carry sends a heartbeat from node i to its peer.
func (w *world) carry(i int, d failover.Datagram) {
	peer := w.nodes[1-i]
	open := func() bool {
		if d.Path.Link == failover.DataPath {
			return w.dataReach()
		}
		return w.linkUp[d.Path.Link]
	}
	if !open() {
		return
	}
	w.after(w.delay(), func() {
		if open() && peer.up {
			peer.receive(d.Path, d.Payload)
		}
	})
}

func (w *world) dataReach() bool { return w.dataUp && w.attached[0] && w.attached[1] }

// wasApart reports whether the nodes may not have heard each other since they
// were partitioned.
func (w *world) wasApart() bool {
	return w.partitioned() || !w.apart.IsZero() && w.now.Sub(w.apart) < 2*poll
}

// activeSleeps reports whether an active node gets no processor.
func (w *world) activeSleeps() bool {
	for _, n := range w.nodes {
		if n.up && n.worker.active && n.sleeps() {
			return true
		}
	}
	return false
}

// partitioned reports whether the nodes cannot hear each other at all.
func (w *world) partitioned() bool {
	return !w.dataReach() && !w.linkUp[0] && !w.linkUp[1]
}
