package ike

import "time"

// Engine is the key exchange of one tenant: every IKE SA of it. The zero value
// is not usable; New makes one.
//
// A driver makes an Engine with New, feeds it with what an earlier Engine wrote
// (Replay), calls Activate once, and from then on Receive, Command, Answer and,
// at the instant that Deadline names, Expire; after each call it does what the
// Output says, in the order that Output documents. Entries with Initiate set
// are connected from Activate on, without a Command.
//
// An error from Receive means that the datagram changed nothing; it is for
// counters and debugging only.
type Engine struct {
	cfg *Config
}

// New returns an Engine without SAs. It keeps silent until Activate.
func New(cfg *Config) (*Engine, error) { return &Engine{cfg: cfg}, nil }

// Configure replaces the configuration. Established SAs stay as they are, with
// the lifetimes they have; what they negotiate next obeys cfg. SAs whose
// profile has vanished are for the driver to end (DeleteIKE). On an error
// nothing has changed.
func (e *Engine) Configure(cfg *Config) error { return nil }

// Receive takes one IKE message from the network.
func (e *Engine) Receive(now time.Time, d Datagram, out *Output) error { return nil }

// Command does what the operator or the driver wants. An error says that the
// SA or Entry does not exist, or that it is not in a state to obey.
func (e *Engine) Command(now time.Time, c Command, out *Output) error { return nil }

// Answer goes on with the exchange that had asked (AskSession). An error says
// that nobody waits for it any more: what it grants should be taken back.
func (e *Engine) Answer(now time.Time, r Reply, out *Output) error { return nil }

// Expire does what time demands. Calling it early or twice does nothing.
func (e *Engine) Expire(now time.Time, out *Output) {}

// Deadline returns the instant for the next Expire, and false for never.
func (e *Engine) Deadline() (time.Time, bool) { return time.Time{}, false }

// Replay applies one record of a journal silently: after a restart, and
// continuously on a standby.
func (e *Engine) Replay(now time.Time, r Record) error { return nil }

// Activate starts the timers of all that Replay brought: liveness, lifetimes,
// keepalives, retransmissions, entries to initiate. Deadlines are spread so
// that many SAs cause no storm. No IV is used again: see ikev2's window.go.
func (e *Engine) Activate(now time.Time, out *Output) {}

// Snapshot yields the records that bring an empty Engine to the state of this
// one: one RecordIKE for every established IKE SA, each followed by its
// children. It stops when yield returns false.
func (e *Engine) Snapshot(yield func(Record) bool) {}

// Status describes every IKE SA, half-open ones too, ordered by SPI.
func (e *Engine) Status() []Status { return nil }

// ExportKeys returns the lines of Wireshark's ikev2_decryption_table and esp_sa
// files for all established SAs. They are secret: for debugging only.
func (e *Engine) ExportKeys() (ike, esp []string) { return nil, nil }
