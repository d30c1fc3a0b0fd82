package spawn

import (
	"bytes"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

// setUp are the events of one set-up.
func setUp(at time.Time) []control.Event {
	peer := control.Peer{SA: 0x1122334455667788, Peer: netip.MustParseAddrPort("198.51.100.2:4500"),
		Identity: "alice@blue.example"}
	return []control.Event{
		{Time: at, Fact: &control.IKEUp{Peer: peer, Profile: "DefaultRAGroup", Suite: "aes-256-gcm/sha384/x25519",
			Assigned: []netip.Addr{netip.MustParseAddr("10.99.0.10")}}},
		{Time: at, Fact: &control.ChildUp{Peer: peer, Child: 4711, SPIIn: 0xfeedbeef, SPIOut: 0xc0decafe,
			Encryption: "aes-256-gcm", Encapsulation: "udp", LocalTS: []string{"10.10.0.0/24"},
			RemoteTS: []string{"10.99.0.10/32"}}},
	}
}

// setUpLines are the lines that a worker of an earlier build writes for them.
const setUpLines = "time=2026-01-02T03:04:05.006Z level=INFO msg=\"IKE SA established\" tenant=blue " +
	"sa=1122334455667788 peer=198.51.100.2:4500 identity=alice@blue.example profile=DefaultRAGroup " +
	"suite=aes-256-gcm/sha384/x25519 nat=false initiator=false assigned=[10.99.0.10]\n" +
	"time=2026-01-02T03:04:05.006Z level=INFO msg=\"child SA established\" tenant=blue sa=1122334455667788 " +
	"peer=198.51.100.2:4500 identity=alice@blue.example spi_in=0xfeedbeef spi_out=0xc0decafe " +
	"encryption=aes-256-gcm encapsulation=udp local_ts=[10.10.0.0/24] remote_ts=[10.99.0.10/32] child=4711\n"

// past is when things have happened.
var past = time.Unix(1_700_000_000, 0)

// eventLines returns events as a worker writes them.
func eventLines(events ...control.Event) (b []byte) {
	for i := range events {
		b = control.AppendEvent(b, &events[i])
	}
	return b
}

// passEvents gives what a worker writes to lines, and returns the log, the events, and how
// many were said to be lost.
func passEvents(t *testing.T, cfg linesConfig, format string, in []byte) (
	log string, events []control.Event, lost int64,
) {
	t.Helper()
	var out bytes.Buffer
	var h slog.Handler = slog.NewTextHandler(&out, nil)
	if format == "json" {
		h = slog.NewJSONHandler(&out, nil)
	}
	cfg.tenant, cfg.format, cfg.to, cfg.log = "blue", format, &out, slog.New(h).With("tenant", "blue")
	cfg.tell = func(n int64) { lost += n }
	cfg.event = func(e control.Event) { events = append(events, e) }
	l, w, err := pipedLines(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.start()
	if _, err := w.Write(in); err != nil {
		t.Fatal(err)
	}
	w.Close()
	finish(l)
	return out.String(), events, lost
}

// TestEventsAreLines: an event becomes the line that the worker itself would have
// written, between those that it has written.
func TestEventsAreLines(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC).Local()
	in := eventLines(setUp(at)...)
	own := strings.Replace(strings.SplitAfter(setUpLines, "\n")[0], "IKE SA established", "a line", 1)
	log, events, lost := passEvents(t, linesConfig{}, "text", append([]byte(own), in...))
	stamp := at.Format("2006-01-02T15:04:05.000Z07:00")
	want := own + strings.ReplaceAll(setUpLines, "2026-01-02T03:04:05.006Z", stamp)
	if log != want || len(events) != 2 || lost != 0 {
		t.Errorf("%d events, %d lost, and\n%s, want\n%s", len(events), lost, log, want)
	}
	log, _, _ = passEvents(t, linesConfig{}, "json", in)
	if strings.Count(log, `"level":"INFO","msg":"child SA established","tenant":"blue","sa":"1122334455667788"`) != 1 {
		t.Errorf("as JSON:\n%s", log)
	}
}

// TestHostileEvents: what a worker says passes for nothing but an event of its own tenant
// that has happened already; what cannot be read, and what it says that it has lost, is
// counted.
func TestHostileEvents(t *testing.T) {
	later := time.Now().Add(time.Hour)
	good := eventLines(control.Event{Time: later, Fact: &control.StoodBy{Epoch: 7}})
	for _, tt := range []struct {
		name         string
		in           []byte
		resumed      bool
		lines        string // a part of the log
		events, lost int
	}{
		{"an event to come", good, false, "msg=\"context is standby\" tenant=blue epoch=7", 1, 0},
		{"escape sequences", eventLines(control.Event{Time: past, Fact: &control.IKEDown{Reason: "\x1b[2J"}}), false,
			"reason=?[2J\n", 1, 0},
		{"no event", []byte("\x1e\x18\n"), false, "", 0, 1},
		{"half an event", good[:len(good)-2], false, "", 0, 1},
		{"events lost", eventLines(control.Event{Time: past, Fact: &control.EventsLost{Count: 1 << 63}}), false,
			"", 1, maxEventsLost},
		{"an event without a line", eventLines(control.Event{Time: past, Fact: &control.SessionUp{}}), false,
			"", 1, 0},
		{"the rest of a line", append([]byte("second half of an event\n"), good...), true, "standby", 1, 1},
		{"a whole event first", append(good[:len(good):len(good)], "text\n"...), true, "text=text", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, events, lost := passEvents(t, linesConfig{resumed: tt.resumed}, "text", tt.in)
			if !strings.Contains(log, tt.lines) || tt.lines == "" && log != "" || len(events) != tt.events ||
				int(lost) != tt.lost {
				t.Errorf("%d events, %d lost, and %q", len(events), lost, log)
			}
			for _, e := range events {
				if e.Time.After(time.Now()) {
					t.Errorf("%+v is still to come", e)
				}
			}
		})
	}
}

// TestEventsAreBounded: a worker that tells events without end is bounded as one that
// writes lines is.
func TestEventsAreBounded(t *testing.T) {
	in := bytes.Repeat(eventLines(control.Event{Time: past, Fact: &control.StoodBy{}}), 2000)
	log, events, lost := passEvents(t, linesConfig{perSecond: 1}, "text", in)
	if n := strings.Count(log, "\n"); n != len(events) || n < leastBurst || n > leastBurst+100 ||
		n+int(lost) != 2000 {
		t.Errorf("%d lines, %d events, %d lost", n, len(events), lost)
	}
}

// TestRecordsKeepLevel: an event below the level of the log is no line of it, and an event
// all the same.
func TestRecordsKeepLevel(t *testing.T) {
	var out records
	told := 0
	r := newEventReader(&linesConfig{
		tenant: "blue", log: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})),
		event: func(control.Event) { told++ },
	}, &out)
	for _, e := range setUp(time.Now()) {
		r.read(time.Now(), eventLines(e))
	}
	r.read(time.Now(), eventLines(control.Event{Time: past, Fact: &control.PeersRefused{Count: 3}}))
	if told != 3 || out.count != 1 || !strings.Contains(string(out.text), "count=3") {
		t.Errorf("%d events, %d lines: %s", told, out.count, out.text)
	}
}

// BenchmarkPass measures what it costs the supervisor to pass on what a worker tells of a
// set-up: as lines of text, and as events.
func BenchmarkPass(b *testing.B) {
	for _, bb := range []struct {
		name string
		in   []byte
	}{
		{"lines", []byte(setUpLines)}, {"events", eventLines(setUp(time.Now())...)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l, w, err := pipedLines(linesConfig{tenant: "blue", format: "text", perSecond: 1 << 30, to: io.Discard,
				log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			if err != nil {
				b.Fatal(err)
			}
			defer l.from.Close()
			defer w.Close()
			lines := bytes.SplitAfter(bytes.TrimSuffix(bb.in, []byte("\n")), []byte("\n"))
			lines[1] = append(lines[1], '\n')
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				for _, line := range lines {
					l.pass(now, line)
				}
				l.out = records{text: l.out.text[:0]}
			}
		})
	}
}
