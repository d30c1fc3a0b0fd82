package failovertest

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
)

const (
	block  = 32 // of numbers: small, so that runs meet its end
	most   = 1 << 40
	memory = 8 << 10
)

// sa is what a worker knows of one SA. The first part is its record.
type sa struct {
	id      uint64
	client  int
	request uint64
	reserve journal.Reservation

	next    uint64 // in the counter memory, like reserve.Limit: survives the worker, not the node
	asked   journal.Reservation
	askedAt journal.Position // 0: no raise is pending
	created journal.Position
	at      journal.Position // of the newest record
	rekeyed bool
}

const (
	recordPut    = 1
	recordDelete = 2
)

func (s *sa) encode(r journal.Reservation) []byte {
	b := []byte{recordPut, byte(s.client)}
	for _, v := range []uint64{s.id, s.request, r.Epoch, r.Limit} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// output is an answer about an SA that waits for its record.
type output struct {
	at   journal.Position
	sa   uint64
	send func()
}

// worker is the model of one tenant's worker.
type worker struct {
	node   *node
	mem    []byte
	store  *journal.Store
	table  map[uint64]*sa
	staged map[uint64]*sa

	active    bool
	hung      bool // its loop takes up nothing, no order either
	stopped   bool // hung, and its data plane does not move
	epoch     uint64
	quiescing bool
	sender    *journal.Sender
	receiver  *journal.Receiver
	held      []output
	pumping   bool

	lone    bool // the peer is away, says the supervisor
	tenure  failover.Tenure
	tends   int // the newest timer of tend
	vigil   failover.Vigil
	silence func() // a takeover that waits for that of the twin
}

func newWorker(n *node) *worker {
	k := &worker{node: n, mem: make([]byte, memory), table: map[uint64]*sa{},
		tenure: failover.NewTenure(hold), vigil: failover.NewVigil(hold)}
	k.open()
	k.receiver = journal.NewReceiver(journal.ReceiverConfig{Epoch: n.disk})
	k.epoch = n.disk
	return k
}

func (k *worker) open() {
	s, err := journal.Open(k.mem)
	if err != nil {
		k.node.world.fail("journal: %v", err)
	}
	k.store = s
}

// restart is a kill -9 of the worker alone: the memory files are left.
func (k *worker) restart() {
	w := k.node.world
	w.logf("node %d: worker restarts", k.node.index)
	w.endSession(k.node.index)
	old := k.table
	k.hung, k.stopped = false, false
	k.open()
	k.table, k.staged, k.held, k.pumping = map[uint64]*sa{}, nil, nil, false
	if err := k.store.Replay(func(b []byte) error { k.apply(b); return nil }); err != nil {
		w.fail("replay: %v", err)
	}
	for id, s := range k.table {
		if before := old[id]; before != nil {
			s.next = before.next
			if k.active && s.reserve != before.reserve { // asked for, not granted
				s.asked, s.askedAt = s.reserve, k.store.Next()-1
				s.reserve = before.reserve
			}
		}
	}
	if k.active {
		k.sender = journal.NewSender(journal.SenderConfig{
			Stream: k.store.Stream(), Epoch: k.epoch, Next: k.store.Next(),
		})
		k.checkQuiesced()
		return
	}
	k.receiver = journal.NewReceiver(k.copyConfig())
}

func (k *worker) copyConfig() journal.ReceiverConfig {
	return journal.ReceiverConfig{
		Stream: k.store.Stream(), Position: k.store.Next() - 1,
		Holds: k.store.Stream() != (journal.StreamID{}), Epoch: k.epoch,
	}
}

// apply applies one record to the table.
func (k *worker) apply(b []byte) { applyTo(k.table, b) }

func applyTo(table map[uint64]*sa, b []byte) {
	u := func(i int) uint64 { return binary.BigEndian.Uint64(b[2+8*i:]) }
	if b[0] == recordDelete {
		delete(table, u(0))
		return
	}
	s := table[u(0)]
	if s == nil {
		s = &sa{id: u(0), client: int(b[1]), request: u(1), next: 1}
		table[s.id] = s
	}
	s.reserve = journal.Reservation{Epoch: u(2), Limit: u(3)}
}

// state gives the records that the table adds up to, in a fixed order.
func (k *worker) state() [][]byte {
	var out [][]byte
	for _, id := range slices.Sorted(maps.Keys(k.table)) {
		s := k.table[id]
		r := s.reserve
		if s.askedAt != 0 {
			r = s.asked
		}
		out = append(out, s.encode(r))
	}
	return out
}

// append makes a record durable here and hands it to the sender.
func (k *worker) append(b []byte) journal.Position {
	w := k.node.world
	p, err := k.store.Append(b)
	if err == journal.ErrFull {
		if err = k.store.Compact(slices.Values(k.state())); err == nil {
			p, err = k.store.Append(b)
		}
	}
	if err != nil {
		w.fail("append: %v", err)
		return 0
	}
	q, err := k.sender.Append(b)
	if err != nil || p != q {
		w.fail("positions differ: store %d, sender %d, %v", p, q, err)
	}
	k.wake()
	return p
}

// activate takes over what the copy holds.
func (k *worker) activate(epoch uint64) {
	w, n := k.node.world, k.node
	w.endSession(n.index)
	k.tenure, k.silence = failover.NewTenure(hold), nil
	if !k.active && !k.receiver.Holds() {
		k.table = map[uint64]*sa{}
	}
	k.active, k.epoch, k.quiescing = true, epoch, false
	for id, s := range k.table {
		if s.askedAt != 0 {
			s.reserve = s.asked
		}
		first, r, ok := s.reserve.Takeover(epoch, block, most)
		if !ok && s.reserve.Limit < most {
			w.fail("node %d: SA %d: no number left: %+v epoch %d", n.index, id, s.reserve, epoch)
		}
		if !ok { // it has to be rekeyed
			first, r = most+1, journal.Reservation{Epoch: epoch, Limit: most}
		}
		*s = sa{id: s.id, client: s.client, request: s.request, reserve: r, next: first}
	}
	var stream journal.StreamID
	n.Read(stream[:])
	if err := k.store.Reset(stream, 0, slices.Values(k.state())); err != nil {
		w.fail("reset: %v", err)
	}
	k.receiver, k.staged, k.held = nil, nil, nil
	k.sender = journal.NewSender(journal.SenderConfig{Stream: stream, Epoch: epoch, Next: 1, Backlog: 2000})
}

// deactivate mutes the worker; what it has becomes the copy.
func (k *worker) deactivate(epoch uint64) {
	k.node.world.endSession(k.node.index)
	k.tenure = failover.NewTenure(hold)
	for _, s := range k.table {
		if s.askedAt != 0 { // the raise is in the journal, the twin may have it
			s.reserve, s.askedAt = s.asked, 0
		}
	}
	k.active, k.quiescing, k.held, k.sender = false, false, nil, nil
	k.epoch = max(k.epoch, epoch)
	k.receiver = journal.NewReceiver(k.copyConfig())
}

// quiesce ends the taking up of new set-ups, or begins it again.
func (k *worker) quiesce(on bool) {
	k.quiescing = on
	k.checkQuiesced()
}

func (k *worker) checkQuiesced() {
	if k.hung || !k.active || !k.quiescing || !k.sender.InStep() || !k.sender.Durable(k.store.Next()-1) {
		return
	}
	n, life := k.node, k.node.incarnation
	n.world.after(0, func() {
		if n.up && n.incarnation == life {
			n.tell(func(out *failover.Output) { n.machine.Quiesced(n.now(), groupName, out) })
		}
	})
}

// setUp is an IKE exchange with a client.
func (k *worker) setUp(client int, request uint64) {
	if k.quiescing || k.hung {
		return
	}
	for _, s := range k.table {
		if s.client == client && s.request == request {
			k.answer(s) // a retransmission
			return
		}
	}
	for id, s := range k.table {
		if s.client == client && s.request < request {
			delete(k.table, id)
			k.append(binary.BigEndian.AppendUint64([]byte{recordDelete, byte(client)}, id))
		}
	}
	k.answer(k.create(client, request))
}

// create makes an SA and its record.
func (k *worker) create(client int, request uint64) *sa {
	w := k.node.world
	w.nextSA++
	s := &sa{id: w.nextSA, client: client, request: request, next: 1, reserve: journal.Reserve(k.epoch, block)}
	k.table[s.id] = s
	l := &ledger{excused: w.wasApart()}
	l.holder[k.node.index] = k.node.incarnation
	w.sas[s.id] = l
	s.at = k.append(s.encode(s.reserve))
	s.created = s.at
	return s
}

// answer tells the client of its SA, once the record is durable.
func (k *worker) answer(s *sa) {
	w, id, request := k.node.world, s.id, s.request
	c := w.clients[s.client]
	k.held = append(k.held, output{s.at, id, func() { w.after(w.delay(), func() { c.established(request, id) }) }})
	k.wake()
}

// data is an ESP packet of a client; the answer needs a number.
func (k *worker) data(client int, id uint64) {
	w := k.node.world
	if k.stopped {
		return
	}
	s := k.table[id]
	if s == nil {
		w.checkLost(id, k.node)
		return
	}
	if s.next > s.reserve.Limit {
		if !s.rekeyed && !k.quiescing && !k.hung {
			s.rekeyed = true
			w.result.Rekeys++
			k.answer(k.create(client, s.request))
		}
		return
	}
	seq := s.next
	s.next++
	if w.used[number{id, seq}] {
		w.fail("number %d of SA %d is used twice, now by node %d", seq, id, k.node.index)
	}
	w.used[number{id, seq}] = true
	from := k.node.index
	w.after(w.delay(), func() { w.clients[client].packet(id, seq, from) })
	if !k.hung && s.askedAt == 0 && s.next+block/2 > s.reserve.Limit {
		if r, ok := s.reserve.Raise(block, most); ok {
			s.asked = r
			s.askedAt = k.append(s.encode(r))
		}
	}
}

// flush lets out what has become durable, and uses what has been granted.
func (k *worker) flush() {
	if k.hung {
		return
	}
	for len(k.held) > 0 && k.sender.Durable(k.held[0].at) {
		if k.sender.InStep() {
			k.node.world.checkCommitted(k.held[0].sa, k.node)
		}
		k.held[0].send()
		k.held = k.held[1:]
	}
	for _, id := range slices.Sorted(maps.Keys(k.table)) {
		if s := k.table[id]; s.askedAt != 0 && k.sender.Granted(s.created, s.askedAt) {
			s.reserve, s.askedAt = s.asked, 0
		}
	}
	k.checkQuiesced()
}
