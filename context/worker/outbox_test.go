package worker

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// told reads what an outbox has written: lines of text as they are, events by their kind.
func told(t *testing.T, text string) (out []string, lost uint64) {
	t.Helper()
	for line := range strings.Lines(text) {
		if line[0] != control.EventMark {
			out = append(out, strings.TrimSuffix(line, "\n"))
			continue
		}
		e, err := control.ParseEvent([]byte(line))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if l, is := e.Fact.(*control.EventsLost); is {
			lost += l.Count
			continue
		}
		out = append(out, e.Fact.About().Kind)
	}
	return out, lost
}

// TestOutboxKeepsOrder: events and lines leave in the order in which they came, and all
// of them before end returns.
func TestOutboxKeepsOrder(t *testing.T) {
	var to lockedBuffer
	o := newOutbox(&to)
	o.event(control.Event{Time: time.Now(), Fact: &control.Restored{Count: 1}})
	io.WriteString(o, "a line\n")
	o.event(control.Event{Time: time.Now(), Fact: &control.StoodBy{}})
	o.end()
	got, lost := told(t, to.b.String())
	if strings.Join(got, ", ") != "restored, a line, context_standby" || lost != 0 {
		t.Errorf("got %q, %d lost", got, lost)
	}
}

// TestOutboxNeverBlocks: nobody who tells something waits for a supervisor that does not
// read, the outbox does not grow, and what had no room is told when it reads again.
func TestOutboxNeverBlocks(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := newOutbox(w)
	const n = 10_000
	for range n {
		o.event(control.Event{Time: time.Now(), Fact: &control.IKEDown{Reason: strings.Repeat("x", 100)}})
		io.WriteString(o, "a line of text\n")
	}
	o.mu.Lock()
	size := cap(o.waiting) + cap(o.spare)
	o.mu.Unlock()
	if size > 4*outboxSize {
		t.Errorf("%d bytes wait", size)
	}
	o.end() // which gives up
	read := make(chan string)
	go func() {
		var b bytes.Buffer
		b.ReadFrom(r)
		read <- b.String()
	}()
	<-o.done
	w.Close()
	got, lost := told(t, <-read)
	if len(got)+int(lost) != 2*n || lost == 0 || len(got) < 100 {
		t.Errorf("%d arrived and %d are said to be lost, of %d", len(got), lost, 2*n)
	}
	r.Close()
}

// TestTellerIsBounded: the class bounds events as it does lines, what is no line of the
// log counts for none, and what is told of the bound passes it.
func TestTellerIsBounded(t *testing.T) {
	sent := map[string]int{}
	lines := &syslogs{}
	lines.rate(1)
	teller := newTeller(&Config{
		Log:  slog.New(slog.DiscardHandler),
		Tell: func(e control.Event) { sent[e.Fact.About().Kind]++ },
	}, lines)
	for range 100 {
		teller.tell(&control.SessionUp{})
		teller.tell(&control.IKEUp{})
		teller.tellAnyway(&control.LimitReached{})
	}
	passed, suppressed := lines.counts()
	if sent["session_up"] != 100 || sent["limit_reached"] != 100 || sent["ike_up"] < syslogsSaved ||
		sent["ike_up"] > syslogsSaved+5 || passed+suppressed != 100 {
		t.Errorf("sent %v; %d passed and %d did not", sent, passed, suppressed)
	}
}

// BenchmarkTell measures what it costs the worker to tell what happens with a set-up: as
// lines of text, and as events.
func BenchmarkTell(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	peer := exchange.Peer{SPI: 0x1122334455667788, Remote: netip.MustParseAddrPort("198.51.100.2:4500"),
		RemoteID: "alice@blue.example", Profile: "DefaultRAGroup"}
	child := sa.Child{ID: 4711, Local: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("10.10.0.0/24"))},
		Remote: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("10.99.0.10/32"))}}
	assigned := []netip.Addr{netip.MustParseAddr("10.99.0.10")}
	tell := func(t *teller) {
		t.tell(&control.IKEUp{Peer: peerOf(peer), Profile: peer.Profile, Suite: "aes-256-gcm/sha384/x25519",
			Assigned: assigned})
		t.tell(&control.ChildUp{Peer: peerOf(peer), Child: child.ID, SPIIn: 0xfeedbeef, SPIOut: 0xc0decafe,
			Encryption: "aes-256-gcm", Encapsulation: "udp", LocalTS: texts(child.Local),
			RemoteTS: texts(child.Remote)})
	}
	b.Run("lines", func(b *testing.B) {
		log := slog.New(slog.NewTextHandler(null, nil)).With("tenant", "blue")
		t := newTeller(&Config{Log: log}, &syslogs{})
		b.ReportAllocs()
		for b.Loop() {
			tell(t)
		}
	})
	b.Run("slog", func(b *testing.B) { // as lines were written before there were events
		var lines syslogs
		log := slog.New(lines.limit(slog.NewTextHandler(null, nil))).With("tenant", "blue")
		of := func() *slog.Logger {
			return log.With("sa", fmt.Sprintf("%016x", peer.SPI), "peer", peer.Remote, "identity", peer.RemoteID)
		}
		b.ReportAllocs()
		for b.Loop() {
			of().Info("IKE SA established", "profile", peer.Profile, "suite", "aes-256-gcm/sha384/x25519",
				"nat", false, "initiator", false, "assigned", assigned)
			of().Info("child SA established", "spi_in", "0xfeedbeef", "spi_out", "0xc0decafe",
				"encryption", "aes-256-gcm", "encapsulation", "udp",
				"local_ts", texts(child.Local), "remote_ts", texts(child.Remote))
		}
	})
	b.Run("events", func(b *testing.B) {
		o := newOutbox(null)
		t := newTeller(&Config{Log: slog.New(slog.DiscardHandler), Tell: o.event}, &syslogs{})
		b.ReportAllocs()
		for b.Loop() {
			tell(t)
		}
		b.StopTimer()
		o.end()
	})
}
