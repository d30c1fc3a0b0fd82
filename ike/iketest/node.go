package iketest

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/eap"
	"github.com/warrenvpn/warren/ike/exchange"
)

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
	// Also is a second address of the node; zero: it has one.
	Also netip.Addr
	// Deaf nodes get no datagrams, and do not know it.
	Deaf bool
	// Plane are the child SAs as the records say.
	Plane map[uint64]sa.Child
	// Authorise answers AskSession; nil leaves it open.
	Authorise func(exchange.AskSession) exchange.AnswerSession
	// Slow leaves the arithmetic of AskWork in Undone, until Work does it.
	Slow   bool
	Undone []exchange.AskWork

	// Users are whom EAP lets in, by Methods; nil: nobody. Authority answers for them, in this
	// life of the node. SlowEAP leaves the questions in Unsaid.
	Users     func(name string) eap.User
	Methods   []eap.Type
	Authority *Authority
	SlowEAP   bool
	Unsaid    []exchange.AskEAP

	lab    *Lab
	former map[netip.Addr]bool // addresses that it had: see moveTo
	spis   map[uint64]bool     // of Engine, as it has told
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
	n := &Node{Name: name, Addr: addr, Config: cfg, lab: l, Plane: map[uint64]sa.Child{},
		Methods: []eap.Type{eap.TypeMSCHAPv2, eap.TypeGTC, eap.TypeMD5}}
	l.Nodes = append(l.Nodes, n)
	n.boot()
	return n
}

// boot makes an engine from the journal.
func (n *Node) boot() {
	n.spis = map[uint64]bool{}
	cfg, spis := n.Config, n.spis
	authority := &Authority{eap.Config{Name: n.Name, Methods: n.Methods, Lookup: n.lookup, Rand: cfg.Rand},
		map[uint64]*eap.Server{}}
	n.Authority, n.Unsaid = authority, nil
	cfg.Known = func(spi uint64, there bool) {
		if spis[spi] == there {
			n.lab.trouble("%s: SPI %016x told twice", n.Name, spi)
		}
		if spis[spi] = there; !there {
			delete(spis, spi)
			delete(authority.conversations, spi)
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
	n.lab.transcript.restart(n)
	n.Do(func(out *exchange.Output) error { e.Activate(n.lab.Now, out); return nil })
}

// lookup finds a user.
func (n *Node) lookup(name string) eap.User {
	if n.Users == nil {
		return eap.User{}
	}
	return n.Users(name)
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
	err := f(&out)
	if err != nil {
		n.Errors = append(n.Errors, err)
	}
	n.lab.transcript.returned(n, err)
	for len(out.Changes)+len(out.Send)+len(out.Events) > 0 {
		o := out
		out = exchange.Output{}
		n.commit(o.Changes)
		if l := n.lab; len(o.Changes) > 0 && l.Crash != nil && l.Crash(n) {
			n.lab.transcript.line("crash", "before anything is sent")
			n.Kill()
			return
		}
		for _, d := range o.Send {
			n.lab.send(n, d)
		}
		for _, e := range o.Events {
			n.Events = append(n.Events, e)
			n.lab.transcript.event(n, e)
			if q, ok := e.(exchange.AskSession); ok && n.Authorise != nil {
				if err := n.Engine.Answer(n.lab.Now, n.Authorise(q), &out); err != nil {
					n.lab.trouble("%s: answer: %v", n.Name, err)
				}
				n.lab.transcript.returned(n, nil)
			}
			if q, ok := e.(exchange.AskWork); ok {
				n.work(q, &out)
			}
			if q, ok := e.(exchange.AskEAP); ok {
				n.eap(q, &out)
			}
		}
	}
	n.check()
	n.lab.transcript.compare(n)
}

// work does arithmetic, now or later.
func (n *Node) work(q exchange.AskWork, out *exchange.Output) {
	if n.Slow {
		n.Undone = append(n.Undone, q)
		return
	}
	q.Work.Do(n.lab.Now)
	if err := n.Engine.Answer(n.lab.Now, exchange.AnswerWork{Question: q.Question, Work: q.Work}, out); err != nil {
		n.lab.trouble("%s: work: %v", n.Name, err)
	}
}

// Work does the arithmetic that Slow has left. What it was for may be gone.
func (n *Node) Work() {
	undone := n.Undone
	n.Undone = nil
	for _, q := range undone {
		q.Work.Do(n.lab.Now)
		n.Do(func(out *exchange.Output) error {
			return n.Engine.Answer(n.lab.Now, exchange.AnswerWork{Question: q.Question, Work: q.Work}, out)
		})
	}
}

// Command gives the engine a command.
func (n *Node) Command(c exchange.Command) error {
	n.lab.transcript.command(n, c)
	var err error
	n.Do(func(out *exchange.Output) error { err = n.Engine.Command(n.lab.Now, c, out); return err })
	return err
}
