package control

import (
	"net/netip"
	"time"
)

// Activated tells that the worker serves its tenant from now on.
type Activated struct {
	Epoch    uint64
	Sessions uint64
}

// StoodBy tells that the worker is the standby from now on.
type StoodBy struct{ Epoch uint64 }

// InStep tells that the standby has everything.
type InStep struct {
	Stream   string
	Position uint64
}

// TwinLost tells that the session with the twin has ended.
type TwinLost struct {
	Reason string
	Limit  time.Duration // how long was waited for the twin; 0: that is not why
}

// Reconfigured tells that the worker has another configuration.
type Reconfigured struct{}

// KeysExported tells that somebody has got the keys of all SAs.
type KeysExported struct{}

// ForeignAddress tells of a session that holds an address of no pool.
type ForeignAddress struct {
	Address  netip.Addr
	Identity string
}

// CaptureBegun tells that packets are captured.
type CaptureBegun struct{ Interface string }

// CaptureEnded tells that a capture has ended.
type CaptureEnded struct {
	Interface string
	Count     uint64 // packets
	Dropped   uint64 // packets for which its reader was too slow
}

// EventsLost tells of events, and lines, for which the worker had no room.
type EventsLost struct{ Count uint64 }

// WorkerReady tells that the worker of a context does what it was started for. A
// worker does not say that of itself.
type WorkerReady struct {
	PID  uint64
	Took time.Duration
}

// WorkerLost tells that the worker of a context has ended, and nobody had asked for
// that. A worker does not say that of itself.
type WorkerLost struct {
	Reason    string
	RestartIn time.Duration
}

// About implements Fact.
func (*Activated) About() About { return About{60, "context_active", LevelInfo, "context is active"} }

// Fields implements Fact.
func (e *Activated) Fields(f *Fields) {
	f.Number(1, "epoch", &e.Epoch)
	f.Number(2, "sessions", &e.Sessions)
}

// About implements Fact.
func (*StoodBy) About() About { return About{61, "context_standby", LevelInfo, "context is standby"} }

// Fields implements Fact.
func (e *StoodBy) Fields(f *Fields) { f.Number(1, "epoch", &e.Epoch) }

// About implements Fact.
func (*InStep) About() About { return About{62, "standby_in_step", LevelInfo, "standby is in step"} }

// Fields implements Fact.
func (e *InStep) Fields(f *Fields) {
	f.Text(1, "stream", &e.Stream)
	f.Number(2, "position", &e.Position)
}

// About implements Fact.
func (*TwinLost) About() About {
	return About{63, "twin_lost", LevelWarn, "session with the twin ended"}
}

// Fields implements Fact.
func (e *TwinLost) Fields(f *Fields) {
	f.Text(1, "reason", &e.Reason)
	f.OptionalDuration(2, "limit", &e.Limit)
}

// About implements Fact.
func (*Reconfigured) About() About {
	return About{64, "context_configured", LevelInfo, "configuration changed"}
}

// Fields implements Fact.
func (*Reconfigured) Fields(*Fields) {}

// About implements Fact.
func (*KeysExported) About() About {
	return About{65, "keys_exported", LevelWarn, "keys exported for debugging"}
}

// Fields implements Fact.
func (*KeysExported) Fields(*Fields) {}

// About implements Fact.
func (*ForeignAddress) About() About {
	return About{66, "foreign_address", LevelWarn, "a session holds an address of no pool"}
}

// Fields implements Fact.
func (e *ForeignAddress) Fields(f *Fields) {
	f.Addr(1, "address", &e.Address)
	f.Text(2, "identity", &e.Identity)
}

// About implements Fact.
func (*CaptureBegun) About() About { return About{67, "capture_begun", LevelInfo, "capture begins"} }

// Fields implements Fact.
func (e *CaptureBegun) Fields(f *Fields) { f.Text(1, "interface", &e.Interface) }

// About implements Fact.
func (*CaptureEnded) About() About { return About{68, "capture_ended", LevelInfo, "capture ends"} }

// Fields implements Fact.
func (e *CaptureEnded) Fields(f *Fields) {
	f.Text(1, "interface", &e.Interface)
	f.Number(2, "count", &e.Count)
	f.Number(3, "dropped", &e.Dropped)
}

// About implements Fact. The supervisor has a line of its own for it, which counts
// what it has dropped itself, too.
func (*EventsLost) About() About { return About{69, "events_lost", LevelWarn, ""} }

// Fields implements Fact.
func (e *EventsLost) Fields(f *Fields) { f.Number(1, "count", &e.Count) }

// About implements Fact.
func (*WorkerReady) About() About { return About{0, "worker_ready", LevelInfo, "worker ready"} }

// Fields implements Fact.
func (e *WorkerReady) Fields(f *Fields) {
	f.Number(1, "pid", &e.PID)
	f.Duration(2, "took", &e.Took)
}

// About implements Fact.
func (*WorkerLost) About() About { return About{0, "worker_lost", LevelError, "worker lost"} }

// Fields implements Fact.
func (e *WorkerLost) Fields(f *Fields) {
	f.Text(1, "reason", &e.Reason)
	f.Duration(2, "restart_in", &e.RestartIn)
}
