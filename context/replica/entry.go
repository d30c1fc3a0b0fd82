package replica

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/record"
)

// errEntry is returned for an entry that no worker wrote.
var errEntry = errors.New("replica: malformed journal entry")

// counterEntry is what the other node needs to go on with a child SA: how far
// its outbound sequence numbers are reserved, and where its inbound window and
// its counts were a moment ago.
type counterEntry struct {
	child       uint64
	reservation journal.Reservation
	facts       esp.Facts // SequenceIn, packets and bytes
	unknown     record.Unknown
}

func (c *counterEntry) fields(f *record.Fields) {
	f.Keep(&c.unknown)
	record.Number(f, 1, &c.child)
	record.Number(f, 2, &c.reservation.Epoch)
	record.Number(f, 3, &c.reservation.Limit)
	record.Number(f, 4, &c.facts.SequenceIn)
	record.Number(f, 5, &c.facts.PacketsIn)
	record.Number(f, 6, &c.facts.BytesIn)
	record.Number(f, 7, &c.facts.PacketsOut)
	record.Number(f, 8, &c.facts.BytesOut)
	f.Require(c.child != 0)
}

// sessionEntry is what the IKE SA of a session does not say: when its peer logged
// in, which a rekeyed IKE SA does not know, and the bytes of child SAs that are
// gone.
type sessionEntry struct {
	spi               uint64 // ours, of the IKE SA
	since             time.Time
	bytesIn, bytesOut uint64
	unknown           record.Unknown
}

func (s *sessionEntry) fields(f *record.Fields) {
	f.Keep(&s.unknown)
	record.Number(f, 1, &s.spi)
	f.Instant(2, &s.since)
	record.Number(f, 3, &s.bytesIn)
	record.Number(f, 4, &s.bytesOut)
	f.Require(s.spi != 0)
}

// habitEntry is an address that an identity has given back: it gets the address
// again if it comes again while nobody else has it.
type habitEntry struct {
	addr     netip.Addr
	identity string
	unknown  record.Unknown
}

func (h *habitEntry) fields(f *record.Fields) {
	f.Keep(&h.unknown)
	f.Addr(1, &h.addr)
	f.Text(2, &h.identity)
	f.Require(h.addr.IsValid())
}

// entry is one entry of the journal, of one kind: one of its pointers is set. One
// of a kind that this program does not know has none, but unknown fields, and is
// passed on; one that it cannot read has lost.
//
// Unknown fields go into the journal and to the twin as they come. Beyond the next
// snapshot, which says the state anew, are only those within a record of the engine (see
// package ikev2), and those of a session, however often its IKE SA is rekeyed. A snapshot has
// none of an entry itself, of counters and of an address, and no entry of an unknown
// kind: nobody could tell what it is about, and when it has ended. So what has to outlive
// a snapshot that an older program writes is a field of a record of the engine.
//
// Records and sessions hold instants on the clock of the node that wrote them, and
// say what it showed then. On the same node the instants are as good as ever;
// another node reads them as as far off as they were there (received).
type entry struct {
	at       time.Time // of a record and a session: when it was written
	record   *exchange.Record
	counters *counterEntry
	session  *sessionEntry
	habit    *habitEntry
	unknown  record.Unknown

	// abandoned: record is the end of an IKE SA that this node has given up, whatever
	// the twin says of it later.
	abandoned bool

	// lost is why a record cannot be read, which may be one of a newer program.
	// record is then the end of the SA that it is about, as far as that is known.
	lost error
}

// fields lists the fields of the entry: tag 1 is batchTag. body is where the record is read
// into, which a pass that writes makes of the entry.
func (e *entry) fields(f *record.Fields, body *[]byte) {
	f.Keep(&e.unknown)
	f.Instant(2, &e.at)
	if e.record == nil {
		f.Part(3, body)
	} else {
		f.Write(3, func(b []byte) []byte { return ike.AppendRecord(b, *e.record) })
	}
	record.Optional(f, 4, &e.counters, func(f *record.Fields, c *counterEntry) { c.fields(f) })
	record.Optional(f, 5, &e.session, func(f *record.Fields, s *sessionEntry) { s.fields(f) })
	record.Optional(f, 6, &e.habit, func(f *record.Fields, h *habitEntry) { h.fields(f) })
	f.Flag(7, &e.abandoned)
	kinds := 0
	for _, set := range []bool{len(*body) > 0, e.counters != nil, e.session != nil, e.habit != nil} {
		if set {
			kinds++
		}
	}
	f.Require(kinds < 2)
}

const (
	// entryRoom is what an entry takes at most beside its record, and beside what is not
	// known of it: the eight numbers of counters are the most.
	entryRoom = 128
	// itemRoom is what the head of a batch, or of an entry in it, takes at most.
	itemRoom = 16
)

// room is how many octets append appends at most.
func (e *entry) room() int {
	n := entryRoom + e.unknown.Len()
	switch {
	case e.record != nil:
		n += ike.RecordRoom(e.record)
	case e.counters != nil:
		n += e.counters.unknown.Len()
	case e.session != nil:
		n += e.session.unknown.Len()
	case e.habit != nil:
		n += len(e.habit.identity) + e.habit.unknown.Len()
	}
	return n
}

// encode returns the entry as the journal has it. The bytes hold keys.
func (e entry) encode() []byte { return e.append(nil) }

// append appends the entry to b. No copy of its keys is left elsewhere: there is room for
// them before they are written. b holds none, or has the room: growing would leave a copy.
func (e *entry) append(b []byte) []byte {
	var none []byte
	return record.Append(slices.Grow(b, e.room()), func(f *record.Fields) { e.fields(f, &none) })
}

// received makes e, that another node has just sent, an entry of a node whose
// clock shows now: every instant is as far off as it was there.
func (e entry) received(now time.Time) entry {
	d := now.Sub(e.at)
	switch {
	case e.lost != nil:
		e.at = now
	case e.record != nil:
		r := ike.ShiftRecord(*e.record, d)
		e.record, e.at = &r, now
	case e.session != nil:
		s := *e.session
		s.since = s.since.Add(d)
		e.session, e.at = &s, now
	}
	return e
}

// appendRecord appends the entry for a record of the engine at the instant at.
func appendRecord(b []byte, at time.Time, r exchange.Record) []byte {
	return (&entry{at: at, record: &r}).append(b)
}

// appendCounters appends the entry for c.
func appendCounters(b []byte, c counterEntry) []byte {
	return (&entry{counters: &c}).append(b)
}

// appendSession appends the entry for s at the instant at.
func appendSession(b []byte, at time.Time, s sessionEntry) []byte {
	return (&entry{at: at, session: &s}).append(b)
}

// appendHabit appends the entry for h.
func appendHabit(b []byte, h habitEntry) []byte { return (&entry{habit: &h}).append(b) }

const (
	// maxBatch is the size from which a batch is cut. What belongs together is
	// smaller by far; only an Output about very many SAs is larger.
	maxBatch = 256 << 10
	// maxParts bounds the entries of a batch.
	maxParts = 1 << 16
	// batchTag is the field of a batch: several entries, which count together or
	// not at all.
	batchTag record.Tag = 1
)

// appendEntries appends the one entry there is, or a batch of several.
func appendEntries(b []byte, all []entry) []byte {
	if len(all) == 1 {
		return all[0].append(b)
	}
	room := itemRoom
	for i := range all {
		room += itemRoom + all[i].room()
	}
	return record.Append(slices.Grow(b, room), func(f *record.Fields) {
		f.WriteItems(batchTag, len(all), func(i int, b []byte) []byte { return all[i].append(b) })
	})
}

// isBatch reports whether b is a batch.
func isBatch(b []byte) bool { return record.Find(b, batchTag) != nil }

// parseEntries reads an entry, or all of a batch; nothing of b is kept. A record
// that cannot be read is an entry with lost.
func parseEntries(b []byte) ([]entry, error) {
	if !isBatch(b) {
		e, err := parseEntry(b)
		return []entry{e}, err
	}
	var parts [][]byte
	if record.Parse(b, func(f *record.Fields) { f.Items(batchTag, &parts, maxParts) }) != nil {
		return nil, errEntry
	}
	out := make([]entry, len(parts))
	for i, p := range parts {
		var err error
		if out[i], err = parseEntry(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parseEntry reads one entry that is no batch.
func parseEntry(b []byte) (e entry, err error) {
	var body []byte
	if len(b) == 0 || isBatch(b) || record.Parse(b, func(f *record.Fields) { e.fields(f, &body) }) != nil {
		return entry{}, errEntry
	}
	if len(body) == 0 {
		return e, nil
	}
	r, err := ike.ParseRecord(body)
	if err != nil {
		e.lost = fmt.Errorf("replica: reading journal: %w", err)
		r = exchange.Record{Kind: exchange.RecordIKEDown, SPI: r.SPI}
	}
	if r.SPI != 0 {
		e.record = &r
	}
	return e, nil
}
