// Package iketest runs IKE engines in virtual time over a wire that drops,
// delays, reorders, duplicates and corrupts, all from one seed. Nodes can be
// killed between any two datagrams and come back from their journal, as a worker
// does. The lab watches what must never happen: a nonce used twice, a data plane
// that disagrees with the engine, a journal that does not give the state back.
//
// It is for tests only, and does no I/O.
package iketest

import (
	"bytes"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// Faults are the probabilities, per datagram, of what the wire does to it.
type Faults struct {
	Drop, Duplicate, Corrupt float64
	// Delay is the least, Jitter what may be added: more than the time between
	// two datagrams reorders them.
	Delay, Jitter time.Duration
}

// Lab is a set of nodes, the wire between them, and the time.
type Lab struct {
	Now    time.Time
	Faults Faults
	Nodes  []*Node
	// NAT maps addresses: a datagram from a key leaves as its value, and one to
	// the value arrives at the key.
	NAT map[netip.AddrPort]netip.AddrPort
	// Spy sees every datagram that a node sends, before the wire does; it may be
	// nil. Before is called ahead of each delivery.
	Spy    func(from *Node, d exchange.Datagram)
	Before func()
	// Crash is asked after each commit of changes whether the node dies before
	// it has sent anything of that Output; it may be nil.
	Crash func(n *Node) bool
	// Trouble holds what must not happen and did.
	Trouble []string

	// trace sees every Output before it is carried out, and after the node when all
	// of a call is: see Transcribe. They may be nil.
	trace func(n *Node, out *exchange.Output)
	after func(n *Node)

	rng   *rand.Rand
	queue deliveries
	count int
	ivs   map[string][32]byte
}

// Node is one engine with what surrounds it.
type Node struct {
	Name    string
	Addr    netip.Addr
	Config  exchange.Config
	Engine  *ike.Engine
	Journal [][]byte
	Events  []exchange.Event
	Errors  []error
	// Epoch is that of the activation: see ike.Engine.SetEpoch.
	Epoch uint64
	// Deaf nodes get no datagrams, and do not know it.
	Deaf bool
	// Plane are the child SAs as the records say.
	Plane map[uint64]sa.Child
	// Authorise answers AskSession; nil leaves it open.
	Authorise func(exchange.AskSession) exchange.AnswerSession

	lab  *Lab
	spis map[uint64]bool // of Engine, as it has told
}

// Start is when every Lab begins.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// New returns a Lab whose every random decision comes from seed.
func New(seed uint64, f Faults) *Lab {
	return &Lab{
		Now: Start, Faults: f, NAT: map[netip.AddrPort]netip.AddrPort{},
		rng: rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)), ivs: map[string][32]byte{},
	}
}

// random is the source of a node: deterministic, and different for each.
type random struct{ *rand.ChaCha8 }

// Read implements io.Reader.
func (r random) Read(b []byte) (int, error) { return r.ChaCha8.Read(b) }

// Add makes a node and activates it.
func (l *Lab) Add(name string, addr netip.Addr, cfg exchange.Config) *Node {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], l.rng.Uint64())
	copy(seed[8:], name)
	cfg.Rand = random{rand.NewChaCha8(seed)}
	n := &Node{Name: name, Addr: addr, Config: cfg, lab: l, Plane: map[uint64]sa.Child{}}
	l.Nodes = append(l.Nodes, n)
	n.boot()
	return n
}

// boot makes an engine from the journal.
func (n *Node) boot() {
	n.spis = map[uint64]bool{}
	cfg, spis := n.Config, n.spis
	cfg.Known = func(spi uint64, there bool) {
		if spis[spi] == there {
			n.lab.trouble("%s: SPI %016x told twice", n.Name, spi)
		}
		if spis[spi] = there; !there {
			delete(spis, spi)
		}
	}
	e, err := ike.New(&cfg)
	if err != nil {
		panic("iketest: " + err.Error())
	}
	for _, b := range n.Journal {
		r, err := ike.ParseRecord(b)
		if err != nil {
			n.lab.trouble("%s: journal: %v", n.Name, err)
			continue
		}
		if err := e.Replay(n.lab.Now, r); err != nil {
			n.lab.trouble("%s: replay: %v", n.Name, err)
		}
	}
	n.Engine = e
	e.SetEpoch(n.Epoch)
	n.Do(func(out *exchange.Output) error { e.Activate(n.lab.Now, out); return nil })
}

// Recorded returns how many records there are of what is more than a handshake
// and its end.
func (n *Node) Recorded() int {
	count := 0
	handshakes := map[uint64]bool{}
	for _, b := range n.Journal {
		r, err := ike.ParseRecord(b)
		switch {
		case err == nil && r.Kind == exchange.RecordHalfOpen:
			handshakes[r.SPI] = true
		case err == nil && r.Kind == exchange.RecordIKEDown && handshakes[r.SPI]:
			delete(handshakes, r.SPI)
		default:
			count++
		}
	}
	return count
}

// Kill replaces the engine by one that knows only the journal.
func (n *Node) Kill() { n.boot() }

// Takeover is what the twin of n does in another activation: it goes on with the
// journal but for the last lost entries. n is that twin from now on.
func (n *Node) Takeover(epoch uint64, lost int) {
	n.Epoch = epoch
	n.Journal = n.Journal[:len(n.Journal)-lost]
	e, err := ike.New(&n.Config)
	if err != nil {
		panic("iketest: " + err.Error())
	}
	for _, b := range n.Journal {
		r, err := ike.ParseRecord(b)
		if err == nil {
			err = e.Replay(n.lab.Now, r)
		}
		if err != nil {
			n.lab.trouble("%s: takeover: %v", n.Name, err)
		}
	}
	clear(n.Plane)
	for _, s := range e.Status() {
		for _, c := range s.Children {
			n.Plane[c.ID] = c
		}
	}
	n.boot()
}

// Fork makes a node that has the address and the journal of n, and serves beside
// it in an activation of its own, as in a split brain. n gets nothing any more.
func (n *Node) Fork(name string, epoch uint64, lost int) *Node {
	l := n.lab
	f := &Node{Name: name, Addr: n.Addr, Config: n.Config, lab: l, Plane: map[uint64]sa.Child{}, Authorise: n.Authorise}
	f.Journal = slices.Clone(n.Journal)
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], l.rng.Uint64())
	f.Config.Rand = random{rand.NewChaCha8(seed)}
	l.Nodes = append(l.Nodes, f)
	n.Deaf = true
	f.Takeover(epoch, lost)
	return f
}

// Do calls the engine and carries out the Output.
func (n *Node) Do(f func(out *exchange.Output) error) {
	var out exchange.Output
	if err := f(&out); err != nil {
		n.Errors = append(n.Errors, err)
	}
	for len(out.Changes)+len(out.Send)+len(out.Events) > 0 {
		o := out
		out = exchange.Output{}
		if n.lab.trace != nil {
			n.lab.trace(n, &o)
		}
		n.commit(o.Changes)
		if l := n.lab; len(o.Changes) > 0 && l.Crash != nil && l.Crash(n) {
			n.boot()
			return
		}
		for _, d := range o.Send {
			n.lab.send(n, d)
		}
		for _, e := range o.Events {
			n.Events = append(n.Events, e)
			if q, ok := e.(exchange.AskSession); ok && n.Authorise != nil {
				if err := n.Engine.Answer(n.lab.Now, n.Authorise(q), &out); err != nil {
					n.lab.trouble("%s: answer: %v", n.Name, err)
				}
			}
		}
	}
	n.check()
	if n.lab.after != nil {
		n.lab.after(n)
	}
}

// Command gives the engine a command.
func (n *Node) Command(c exchange.Command) error {
	var err error
	n.Do(func(out *exchange.Output) error { err = n.Engine.Command(n.lab.Now, c, out); return err })
	return err
}

// commit journals and installs.
func (n *Node) commit(changes []exchange.Record) {
	for _, r := range changes {
		n.Journal = append(n.Journal, ike.AppendRecord(nil, r))
		if r.Kind == exchange.RecordIKEDown {
			for id, c := range n.Plane {
				if c.Owner == r.SPI {
					n.lab.trouble("%s: child %d was left to RecordIKEDown", n.Name, id)
				}
			}
		}
		if r.Kind == exchange.RecordIKE && r.Replaces != 0 {
			for id, c := range n.Plane {
				if c.Owner == r.Replaces {
					c.Owner = r.SPI
					n.Plane[id] = c
				}
			}
		}
		if r.Child == nil {
			continue
		}
		c := r.Child.Child
		_, known := n.Plane[c.ID]
		switch r.Child.Op {
		case sa.OpAdd, sa.OpRekey, sa.OpFollow:
			if known || c.Out.EncryptionKey.Len() == 0 {
				n.lab.trouble("%s: child %d installed twice, or without keys", n.Name, c.ID)
			}
			n.Plane[c.ID] = c
		case sa.OpMove:
			p := n.Plane[c.ID]
			p.LocalAddr, p.RemoteAddr, p.Encap = c.LocalAddr, c.RemoteAddr, c.Encap
			n.Plane[c.ID] = p
		case sa.OpDelete:
			if !known {
				n.lab.trouble("%s: child %d deleted, but not there", n.Name, c.ID)
			}
			delete(n.Plane, c.ID)
		}
	}
}

// check compares the engine with the data plane.
func (n *Node) check() {
	count := 0
	all := n.Engine.Status()
	if len(all) != len(n.spis) {
		n.lab.trouble("%s: %d IKE SAs, but %d SPIs are known", n.Name, len(all), len(n.spis))
	}
	for _, s := range all {
		if !n.spis[s.Peer.SPI] {
			n.lab.trouble("%s: SPI %016x is not known", n.Name, s.Peer.SPI)
		}
		for _, c := range s.Children {
			count++
			p, ok := n.Plane[c.ID]
			if !ok || p.Owner != c.Owner || p.RemoteAddr != c.RemoteAddr || p.In.SPI != c.In.SPI || p.Out.SPI != c.Out.SPI {
				n.lab.trouble("%s: child %d differs between engine and data plane", n.Name, c.ID)
			}
		}
	}
	if count != len(n.Plane) {
		n.lab.trouble("%s: engine has %d children, data plane %d", n.Name, count, len(n.Plane))
	}
}

// CheckSnapshot compares the state with what its snapshot gives. The order of
// the records is not part of the state: only what a record refers to stands
// before it.
func (n *Node) CheckSnapshot() {
	e, err := ike.New(&n.Config)
	if err != nil {
		panic(err)
	}
	var a, b [][]byte
	n.Engine.Snapshot(func(r exchange.Record) bool { a = append(a, ike.AppendRecord(nil, r)); return true })
	for range 2 { // applying twice changes nothing
		for _, bytes := range a {
			r, err := ike.ParseRecord(bytes)
			if err == nil {
				err = e.Replay(n.lab.Now, r)
			}
			if err != nil {
				n.lab.trouble("%s: snapshot: %v", n.Name, err)
			}
		}
	}
	e.Snapshot(func(r exchange.Record) bool { b = append(b, ike.AppendRecord(nil, r)); return true })
	slices.SortFunc(a, bytes.Compare)
	slices.SortFunc(b, bytes.Compare)
	if !slices.EqualFunc(a, b, bytes.Equal) {
		n.lab.trouble("%s: snapshot of the snapshot differs", n.Name)
	}
}

// trouble notes what must not happen.
func (l *Lab) trouble(format string, args ...any) {
	l.Trouble = append(l.Trouble, l.Now.Sub(Start).String()+": "+fmt.Sprintf(format, args...))
}

// send puts a datagram on the wire.
func (l *Lab) send(from *Node, d exchange.Datagram) {
	if d.Keepalive {
		return
	}
	if l.Spy != nil {
		l.Spy(from, d)
	}
	l.watch(d.Payload)
	if d.Local.Addr() != from.Addr {
		l.trouble("%s sends from %v", from.Name, d.Local)
	}
	if mapped, ok := l.NAT[d.Local]; ok {
		d.Local = mapped
	}
	copies := 1
	if l.rng.Float64() < l.Faults.Duplicate {
		copies = 2
	}
	for range copies {
		if l.rng.Float64() < l.Faults.Drop {
			continue
		}
		b := bytes.Clone(d.Payload)
		if l.rng.Float64() < l.Faults.Corrupt {
			b[l.rng.IntN(len(b))] ^= 1 << l.rng.IntN(8)
		}
		at := l.Now.Add(l.Faults.Delay)
		if l.Faults.Jitter > 0 {
			at = at.Add(time.Duration(l.rng.Int64N(int64(l.Faults.Jitter))))
		}
		l.Inject(at, exchange.Datagram{Local: d.Remote, Remote: d.Local, Payload: b})
	}
}

// Inject has a datagram arrive at d.Local at an instant.
func (l *Lab) Inject(at time.Time, d exchange.Datagram) {
	l.count++
	heap.Push(&l.queue, delivery{at, l.count, d})
}

// watch notes the nonce of every protected message: (key, IV) must be unique,
// but for repeats of the same bytes. All suites of the lab are AEADs.
func (l *Lab) watch(b []byte) {
	m, err := wire.ParseMessage(b)
	if err != nil {
		l.trouble("malformed message sent: %v", err)
		return
	}
	sk, ok := wire.Find[wire.SK](m.Payloads)
	if !ok {
		return
	}
	nonce := fmt.Sprintf("%016x %016x %v %x", m.SPIi, m.SPIr, m.Initiator(), sk.Body[:8])
	sum := sha256.Sum256(b)
	if old, used := l.ivs[nonce]; used && old != sum {
		l.trouble("nonce used twice: %s", nonce)
	}
	l.ivs[nonce] = sum
}

// Nonces returns how many different nonces were used.
func (l *Lab) Nonces() int { return len(l.ivs) }

// step does the next thing that happens up to end, and reports false when there
// is none.
func (l *Lab) step(end time.Time) bool {
	var who *Node
	at := end
	for _, n := range l.Nodes {
		if t, ok := n.Engine.Deadline(); ok && t.Before(at) {
			at, who = t, n
		}
	}
	if len(l.queue) > 0 && !l.queue[0].at.After(at) {
		d := heap.Pop(&l.queue).(delivery)
		l.advance(d.at)
		if l.Before != nil {
			l.Before()
		}
		l.deliver(d.Datagram)
		return true
	}
	if who == nil {
		return false
	}
	l.advance(at)
	who.Do(func(out *exchange.Output) error { who.Engine.Expire(l.Now, out); return nil })
	return true
}

func (l *Lab) advance(t time.Time) {
	if t.After(l.Now) {
		l.Now = t
	}
}

func (l *Lab) deliver(d exchange.Datagram) {
	for inside, outside := range l.NAT {
		if outside == d.Local {
			d.Local = inside
		}
	}
	for _, n := range l.Nodes {
		if n.Addr == d.Local.Addr() && !n.Deaf {
			n.Do(func(out *exchange.Output) error { return n.Engine.Receive(l.Now, d, out) })
		}
	}
}

// Run lets time pass.
func (l *Lab) Run(d time.Duration) {
	end := l.Now.Add(d)
	for l.step(end) {
	}
	l.Now = end
}

// Until lets time pass until done, at most d, and reports whether it was.
func (l *Lab) Until(d time.Duration, done func() bool) bool {
	end := l.Now.Add(d)
	for !done() {
		if !l.step(end) {
			l.Now = end
			return done()
		}
	}
	return true
}

// Established returns the established SAs of a node.
func (n *Node) Established() []exchange.Status {
	var out []exchange.Status
	for _, s := range n.Engine.Status() {
		if s.State == "ESTABLISHED" {
			out = append(out, s)
		}
	}
	return out
}

// Up reports whether both nodes have the same live child SA under the same
// established IKE SA.
func Up(a, b *Node) bool {
	for _, s := range a.Established() {
		for _, t := range b.Established() {
			if s.Peer.SPI != t.PeerSPI || s.PeerSPI != t.Peer.SPI {
				continue
			}
			for _, c := range s.Children {
				for _, d := range t.Children {
					if c.In.SPI == d.Out.SPI && c.Out.SPI == d.In.SPI && c.In.EncryptionKey.Equal(d.Out.EncryptionKey) &&
						c.Out.EncryptionKey.Equal(d.In.EncryptionKey) {
						return true
					}
				}
			}
		}
	}
	return false
}

// Down reports whether neither node has an SA.
func Down(a, b *Node) bool { return len(a.Engine.Status()) == 0 && len(b.Engine.Status()) == 0 }

type delivery struct {
	at    time.Time
	count int
	exchange.Datagram
}

type deliveries []delivery

// Len implements heap.Interface.
func (q deliveries) Len() int { return len(q) }

// Less implements heap.Interface.
func (q deliveries) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].count < q[j].count
}

// Swap implements heap.Interface.
func (q deliveries) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *deliveries) Push(x any) { *q = append(*q, x.(delivery)) }

// Pop implements heap.Interface.
func (q *deliveries) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
