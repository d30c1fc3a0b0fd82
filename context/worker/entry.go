package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// The journal holds entries of these kinds, told apart by the first byte. Records
// and sessions hold instants on the clock of the node that wrote them: behind the
// kind stands what it showed then, 8 bytes. On the same node the instants are as
// good as ever; another node reads them as as far off as they were there (received).
const (
	entryRecord   = 1 // an exchange.Record
	entryCounters = 2 // counters of one child SA
	entrySession  = 3 // what a session has behind it
	entryBatch    = 4 // several of the others, which count together or not at all
	entryHabit    = 5 // an address that came back to its pool
)

// countersSize is the length of an encoded counters entry.
const countersSize = 1 + 8*8

// errEntry is returned for an entry that no worker of this version wrote.
var errEntry = errors.New("worker: malformed journal entry")

// counterEntry is what the other node needs to go on with a child SA: how far
// its outbound sequence numbers are reserved, and where its inbound window and
// its counts were a moment ago.
type counterEntry struct {
	child       uint64
	reservation journal.Reservation
	facts       esp.Facts // SequenceIn, packets and bytes
}

// sessionSize is the length of an encoded session entry.
const sessionSize = 1 + 5*8

// sessionEntry is what the IKE SA of a session does not say: when its peer logged
// in, which a rekeyed IKE SA does not know, and the bytes of child SAs that are
// gone.
type sessionEntry struct {
	spi               uint64 // ours, of the IKE SA
	since             time.Time
	bytesIn, bytesOut uint64
}

// habitEntry is an address that an identity has given back: it gets the address
// again if it comes again while nobody else has it.
type habitEntry struct {
	addr     netip.Addr
	identity string
}

// maxHabitIdentity bounds the identity of a habit entry, in bytes.
const maxHabitIdentity = 1 << 16

// entry is one parsed journal entry; one field is set.
type entry struct {
	at       time.Time // when it was written, by the clock there; not of counters
	habit    *habitEntry
	record   *exchange.Record
	counters *counterEntry
	session  *sessionEntry
}

// received makes e, that another node has just sent, an entry of a node whose
// clock shows now: every instant is as far off as it was there.
func (e entry) received(now time.Time) entry {
	d := now.Sub(e.at)
	switch {
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
	return ike.AppendRecord(binary.BigEndian.AppendUint64(append(b, entryRecord), uint64(at.UnixNano())), r)
}

// appendCounters appends the entry for c.
func appendCounters(b []byte, c counterEntry) []byte {
	b = append(b, entryCounters)
	for _, v := range []uint64{
		c.child, c.reservation.Epoch, c.reservation.Limit, c.facts.SequenceIn,
		c.facts.PacketsIn, c.facts.BytesIn, c.facts.PacketsOut, c.facts.BytesOut,
	} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// appendSession appends the entry for s at the instant at.
func appendSession(b []byte, at time.Time, s sessionEntry) []byte {
	b = append(b, entrySession)
	for _, v := range []uint64{uint64(at.UnixNano()), s.spi, uint64(s.since.UnixNano()), s.bytesIn, s.bytesOut} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// appendHabit appends the entry for h.
func appendHabit(b []byte, h habitEntry) []byte {
	addr := h.addr.AsSlice()
	b = append(append(b, entryHabit, byte(len(addr))), addr...)
	return append(b, h.identity...)
}

// parseHabit reads what follows the kind of a habit entry.
func parseHabit(b []byte) (habitEntry, bool) {
	var addr []byte
	s := cryptobyte.String(b)
	if !s.ReadUint8LengthPrefixed((*cryptobyte.String)(&addr)) || len(s) > maxHabitIdentity {
		return habitEntry{}, false
	}
	a, ok := netip.AddrFromSlice(addr)
	return habitEntry{addr: a, identity: string(s)}, ok
}

// maxBatch is the size from which a batch is cut. What belongs together is
// smaller by far; only an Output about very many SAs is larger.
const maxBatch = 256 << 10

// appendBatch appends the entry for parts.
func appendBatch(b []byte, parts [][]byte) []byte {
	b = append(b, entryBatch)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

// parseEntries reads an entry, or all of a batch; nothing of b is kept.
func parseEntries(b []byte) ([]entry, error) {
	if len(b) == 0 || b[0] != entryBatch {
		e, err := parseEntry(b)
		return []entry{e}, err
	}
	var out []entry
	for s := cryptobyte.String(b[1:]); !s.Empty(); {
		var size uint32
		var part []byte
		if !s.ReadUint32(&size) || uint64(size) > uint64(len(s)) || !s.ReadBytes(&part, int(size)) {
			return nil, errEntry
		}
		e, err := parseEntry(part)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, errEntry
	}
	return out, nil
}

// parseEntry reads one entry that is no batch.
func parseEntry(b []byte) (entry, error) {
	switch {
	case len(b) > 8 && b[0] == entryRecord:
		r, err := ike.ParseRecord(b[9:])
		if err != nil {
			return entry{}, fmt.Errorf("worker: reading journal: %w", err)
		}
		return entry{at: instant(binary.BigEndian.Uint64(b[1:])), record: &r}, nil
	case len(b) > 0 && b[0] == entryHabit:
		if h, ok := parseHabit(b[1:]); ok {
			return entry{habit: &h}, nil
		}
	case len(b) == countersSize && b[0] == entryCounters:
		var v [8]uint64
		for i := range v {
			v[i] = binary.BigEndian.Uint64(b[1+8*i:])
		}
		return entry{counters: &counterEntry{
			child:       v[0],
			reservation: journal.Reservation{Epoch: v[1], Limit: v[2]},
			facts:       esp.Facts{SequenceIn: v[3], PacketsIn: v[4], BytesIn: v[5], PacketsOut: v[6], BytesOut: v[7]},
		}}, nil
	case len(b) == sessionSize && b[0] == entrySession:
		var v [5]uint64
		for i := range v {
			v[i] = binary.BigEndian.Uint64(b[1+8*i:])
		}
		return entry{at: instant(v[0]), session: &sessionEntry{spi: v[1], since: instant(v[2]), bytesIn: v[3], bytesOut: v[4]}}, nil
	}
	return entry{}, errEntry
}

// instant reads nanoseconds since 1970.
func instant(v uint64) time.Time { return time.Unix(0, int64(v)) }
