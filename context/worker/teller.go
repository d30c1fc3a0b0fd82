package worker

import (
	"log/slog"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/eventlog"
	"github.com/warrenvpn/warren/ike/exchange"
)

// teller tells the supervisor what happens: as an event what a user of the context may
// want to know, which is a type of context/control, and as a line of text what helps to
// find a fault. Both are within the bound of the class; its methods may be called by
// any goroutine.
type teller struct {
	log   *slog.Logger // within the bound
	send  func(control.Event)
	lines *syslogs
}

// newTeller returns a teller for what cfg says.
func newTeller(cfg *Config, lines *syslogs) *teller {
	t := &teller{log: slog.New(lines.limit(cfg.Log.Handler())), send: cfg.Tell, lines: lines}
	if t.send == nil {
		plain := cfg.Log.Handler()
		t.send = func(e control.Event) { _, _ = eventlog.Write(plain, &e) } // a log that fails cannot be told
	}
	return t
}

// tell tells a fact, unless the bound is reached; then it is counted. What is no line
// of the log counts for none.
func (t *teller) tell(f control.Fact) {
	now := time.Now()
	if f.About().Message == "" || t.lines.allow(now) {
		t.send(control.Event{Time: now, Fact: f})
	}
}

// tellAnyway tells a fact without regard for the bound: of the bound itself, and what
// comes once a minute at most.
func (t *teller) tellAnyway(f control.Fact) { t.send(control.Event{Time: time.Now(), Fact: f}) }

// peerOf is a peer in the words of events.
func peerOf(p exchange.Peer) control.Peer {
	return control.Peer{SA: p.SPI, Peer: p.Remote, Identity: p.Name()}
}
