package replica

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/record/recordtest"
)

// entries is one entry of every kind.
var entries = [][]byte{
	appendRecord(nil, time.Unix(9, 0), exchange.Record{Kind: exchange.RecordIKEDown, SPI: 7}),
	appendCounters(nil, counterEntry{
		child: 7, reservation: journal.Reservation{Epoch: 1, Limit: 4096},
		facts: esp.Facts{SequenceIn: 1, PacketsIn: 2, BytesIn: 3, PacketsOut: 4, BytesOut: 5},
	}),
	appendSession(nil, time.Unix(9, 0), sessionEntry{spi: 7, since: time.Unix(1, 2), bytesIn: 3, bytesOut: 4}),
	appendHabit(nil, habitEntry{addr: netip.MustParseAddr("10.99.0.10"), identity: "alice@example"}),
	appendHabit(nil, habitEntry{addr: netip.MustParseAddr("2001:db8::10"), identity: "asn1dn:CN=alice"}),
	entry{
		at: time.Unix(9, 0), record: &exchange.Record{Kind: exchange.RecordIKEDown, SPI: 7}, abandoned: true,
	}.encode(),
}

// appendBatch appends the entry for parts.
func appendBatch(b []byte, parts [][]byte) []byte {
	return record.Append(b, func(f *record.Fields) { f.Items(batchTag, &parts, maxParts) })
}

func TestEntriesRoundTrip(t *testing.T) {
	for i, b := range append(entries, appendBatch(nil, entries)) {
		all, err := parseEntries(b)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		again := appendEntries(nil, all)
		if !bytes.Equal(again, b) {
			t.Errorf("entry %d: got % x, want % x", i, again, b)
		}
	}
}

// TestOlderEntries reads what older programs wrote.
func TestOlderEntries(t *testing.T) {
	samples := []recordtest.Sample{{Name: "batch", Bytes: appendBatch(nil, entries)}}
	for i, name := range []string{"record", "counters", "session", "habit-IPv4", "habit-IPv6", "given-up"} {
		samples = append(samples, recordtest.Sample{Name: name, Bytes: entries[i]})
	}
	recordtest.Read(t, samples, func(b []byte) error {
		all, err := parseEntries(b)
		for _, e := range all {
			err = errors.Join(err, e.lost)
		}
		return err
	})
}

func TestEntriesMalformed(t *testing.T) {
	batch := appendBatch(nil, entries)
	for name, b := range map[string][]byte{
		"nothing":               nil,
		"two kinds":             append(bytes.Clone(entries[1]), entries[3]...),
		"a batch cut":           batch[:len(batch)-1],
		"a batch in a batch":    appendBatch(nil, [][]byte{batch}),
		"nothing in a batch":    appendBatch(nil, [][]byte{{}}),
		"counters of nothing":   appendCounters(nil, counterEntry{}),
		"a session of nothing":  appendSession(nil, time.Unix(9, 0), sessionEntry{}),
		"a habit of no address": appendHabit(nil, habitEntry{identity: "alice@example"}),
	} {
		if _, err := parseEntries(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// more adds a field that nobody knows to a record.
func more(b []byte) []byte {
	n := uint64(7)
	return record.Append(bytes.Clone(b), func(f *record.Fields) { record.Number(f, 1000, &n) })
}

// TestEntriesOfNewerProgram: what this program does not know is passed on, entries
// of another kind included, and a record that it cannot read ends the SA that it is
// about, and nothing else.
func TestEntriesOfNewerProgram(t *testing.T) {
	for i, b := range append(entries, nil) {
		b = more(b)
		e, err := parseEntry(b)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if got := e.received(e.at).encode(); !bytes.Equal(got, b) {
			t.Errorf("entry %d: passed on as % x, want % x", i, got, b)
		}
	}
	at, kind, spi := time.Unix(9, 0), uint8(99), uint64(7)
	newer := record.Append(nil, func(f *record.Fields) { record.Number(f, 1, &kind); record.Number(f, 2, &spi) })
	for _, c := range []struct {
		body []byte
		spi  uint64
	}{{newer, 7}, {[]byte{0}, 0}} {
		b := record.Append(nil, func(f *record.Fields) { f.Instant(2, &at); f.Part(3, &c.body) })
		all, err := parseEntries(appendBatch(nil, [][]byte{entries[1], b}))
		if err != nil || len(all) != 2 || all[0].counters == nil || all[1].lost == nil {
			t.Fatalf("body % x: got %+v, %v", c.body, all, err)
		}
		r := all[1].record
		if (r != nil) != (c.spi != 0) || r != nil && (r.Kind != exchange.RecordIKEDown || r.SPI != c.spi) {
			t.Errorf("body % x: got %+v", c.body, r)
		}
		again, err := parseEntry(all[1].received(at).encode())
		if err != nil || again.lost != nil || (again.record != nil) != (c.spi != 0) {
			t.Errorf("body % x: written as %+v, %v", c.body, again, err)
		}
	}
}

// TestUnreadableRecord: what stands in a journal behind a record that this program
// cannot read is read.
func TestUnreadableRecord(t *testing.T) {
	l, err := openLedger(Memory{Bytes: make([]byte, 1<<20)})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte{0}
	unreadable := record.Append(nil, func(f *record.Fields) { f.Part(3, &body) })
	for _, b := range [][]byte{unreadable, entries[3]} {
		if _, err := l.store.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	lost, habits := 0, 0
	if err := l.replay(func(e entry) {
		switch {
		case e.lost != nil:
			lost++
		case e.habit != nil:
			habits++
		}
	}); err != nil || lost != 1 || habits != 1 {
		t.Errorf("got %v, %d lost, %d habits", err, lost, habits)
	}
}
