package events

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

// ContextBuilt tells that a context has all that its worker needs.
type ContextBuilt struct{ Namespace, Class string }

// ContextFailed tells that a context cannot run, and when that is tried again.
type ContextFailed struct {
	Reason  string
	RetryIn time.Duration
}

// InterfaceLost tells that an interface of a context is gone, or has no carrier.
type InterfaceLost struct{ Interface, Reason string }

// InterfaceBack tells that it is there again.
type InterfaceBack struct{ Interface string }

// NetworkMended tells what was put right in the network of a context that somebody else had
// changed.
type NetworkMended struct{ Detail string }

// NetworkContested tells that somebody keeps changing the network of a context.
type NetworkContested struct{ Detail string }

// NetworkBroken tells that the network of a context is not as it must be, and cannot be put
// right.
type NetworkBroken struct{ Reason string }

// NetworkRestored tells that it is as it must be again.
type NetworkRestored struct{}

// GroupMended tells that the control group of a context was gone, and is there again.
type GroupMended struct{ Count uint64 }

// GroupLost tells that it is gone and cannot be made again.
type GroupLost struct{ Reason string }

// ConfigurationLoaded tells that a reload has made the startup configuration the running
// one, as far as it can be.
type ConfigurationLoaded struct{ Steps, Errors uint64 }

// ConfigurationApplied tells that another version of the configuration runs.
type ConfigurationApplied struct {
	Version        uint64
	Origin, Author string
	Steps          uint64
}

// ConfigurationRefused tells that a configuration was not applied: nothing has changed.
type ConfigurationRefused struct{ Reason string }

// ConfigurationConfirmed tells that a version is kept which would have been rolled back.
type ConfigurationConfirmed struct {
	Version uint64
	Author  string
}

// ConfigurationRolledBack tells that a version was not confirmed in time.
type ConfigurationRolledBack struct{ Version, Instead uint64 }

// ConfigurationStuck tells that a version was not confirmed in time, and goes on because
// the one before cannot run.
type ConfigurationStuck struct {
	Version, Instead uint64
	Reason           string
}

// Failover tells what happens between the units of a pair. Its kind and message are those
// of package failover's event.
type Failover struct {
	Kind, Message string
	Level         control.Level

	Group           string
	Changed         bool // From and To are roles
	From, To        string
	Epoch           uint64
	Link, Interface string
	Reason          string
}

// Missed tells a reader of the stream how many events it has missed.
type Missed struct{ Count uint64 }

// fresh are the facts of this package and of package spawn, each in its zero value but for
// the kinds of Failover, which FailoverKinds lists.
var fresh = []control.Fact{
	&ContextBuilt{}, &ContextFailed{}, &InterfaceLost{}, &InterfaceBack{}, &ConfigurationLoaded{},
	&ConfigurationApplied{}, &ConfigurationRefused{}, &ConfigurationConfirmed{}, &ConfigurationRolledBack{},
	&ConfigurationStuck{}, &NetworkMended{}, &NetworkContested{}, &NetworkBroken{}, &NetworkRestored{},
	&GroupMended{}, &GroupLost{}, &Missed{}, &control.WorkerReady{}, &control.WorkerLost{},
}

// FailoverKinds are the kinds of Failover.
var FailoverKinds = []string{
	"failover_role", "failover_peer_up", "failover_peer_down", "failover_peer_refused", "failover_link_up",
	"failover_link_down", "failover_links_failed", "failover_split_brain", "failover_configuration_same",
	"failover_configuration_differs", "failover_interface", "failover_handover", "failover_takeover_denied",
	"failover_skew",
}

// Kinds returns the kinds of all events that there are, sorted.
func Kinds() []string {
	out := slices.Clone(FailoverKinds)
	for _, f := range slices.Concat(fresh, control.ToldByWorkers()) {
		out = append(out, f.About().Kind)
	}
	slices.Sort(out)
	return out
}

// About implements control.Fact, as do all methods of this name.
func (*ContextBuilt) About() control.About {
	return control.About{Kind: "context_built", Level: control.LevelInfo, Message: "context built"}
}

// Fields implements control.Fact, as do all methods of this name.
func (e *ContextBuilt) Fields(f *control.Fields) {
	f.Text(1, "namespace", &e.Namespace)
	f.Text(2, "class", &e.Class)
}

// About implements control.Fact.
func (*ContextFailed) About() control.About {
	return control.About{Kind: "context_failed", Level: control.LevelError, Message: "context failed"}
}

// Fields implements control.Fact.
func (e *ContextFailed) Fields(f *control.Fields) {
	f.Text(1, "reason", &e.Reason)
	f.Duration(2, "retry_in", &e.RetryIn)
}

// About implements control.Fact.
func (*InterfaceLost) About() control.About {
	return control.About{Kind: "interface_lost", Level: control.LevelWarn, Message: "interface lost"}
}

// Fields implements control.Fact.
func (e *InterfaceLost) Fields(f *control.Fields) {
	f.Text(1, "interface", &e.Interface)
	f.Text(2, "reason", &e.Reason)
}

// About implements control.Fact.
func (*InterfaceBack) About() control.About {
	return control.About{Kind: "interface_back", Level: control.LevelInfo, Message: "interface is back"}
}

// Fields implements control.Fact.
func (e *InterfaceBack) Fields(f *control.Fields) { f.Text(1, "interface", &e.Interface) }

// About implements control.Fact.
func (*NetworkMended) About() control.About {
	return control.About{Kind: "network_mended", Level: control.LevelInfo, Message: "network of the context put right"}
}

// Fields implements control.Fact.
func (e *NetworkMended) Fields(f *control.Fields) { f.Text(1, "detail", &e.Detail) }

// About implements control.Fact.
func (*NetworkContested) About() control.About {
	return control.About{Kind: "network_contested", Level: control.LevelWarn,
		Message: "somebody keeps changing the network of the context: it is put right less and less often"}
}

// Fields implements control.Fact.
func (e *NetworkContested) Fields(f *control.Fields) { f.Text(1, "detail", &e.Detail) }

// About implements control.Fact.
func (*NetworkBroken) About() control.About {
	return control.About{Kind: "network_broken", Level: control.LevelWarn,
		Message: "network of the context cannot be put right"}
}

// Fields implements control.Fact.
func (e *NetworkBroken) Fields(f *control.Fields) { f.Text(1, "reason", &e.Reason) }

// About implements control.Fact.
func (*NetworkRestored) About() control.About {
	return control.About{Kind: "network_restored", Level: control.LevelInfo,
		Message: "network of the context is as it must be again"}
}

// Fields implements control.Fact.
func (*NetworkRestored) Fields(*control.Fields) {}

// About implements control.Fact.
func (*GroupMended) About() control.About {
	return control.About{Kind: "group_mended", Level: control.LevelWarn,
		Message: "control group made again: somebody had removed it"}
}

// Fields implements control.Fact.
func (e *GroupMended) Fields(f *control.Fields) { f.Number(1, "count", &e.Count) }

// About implements control.Fact.
func (*GroupLost) About() control.About {
	return control.About{Kind: "group_lost", Level: control.LevelWarn,
		Message: "control group was removed and cannot be made again: limits are not enforced"}
}

// Fields implements control.Fact.
func (e *GroupLost) Fields(f *control.Fields) { f.Text(1, "reason", &e.Reason) }

// About implements control.Fact.
func (*ConfigurationLoaded) About() control.About {
	return control.About{Kind: "configuration_loaded", Level: control.LevelInfo, Message: "configuration loaded"}
}

// Fields implements control.Fact.
func (e *ConfigurationLoaded) Fields(f *control.Fields) {
	f.Number(1, "steps", &e.Steps)
	f.Number(2, "errors", &e.Errors)
}

// About implements control.Fact.
func (*ConfigurationApplied) About() control.About {
	return control.About{Kind: "configuration_applied", Level: control.LevelInfo, Message: "configuration applied"}
}

// Fields implements control.Fact.
func (e *ConfigurationApplied) Fields(f *control.Fields) {
	f.Number(1, "version", &e.Version)
	f.Text(2, "origin", &e.Origin)
	f.Text(3, "author", &e.Author)
	f.Number(4, "steps", &e.Steps)
}

// About implements control.Fact.
func (*ConfigurationRefused) About() control.About {
	return control.About{Kind: "configuration_refused", Level: control.LevelError,
		Message: "configuration not applied"}
}

// Fields implements control.Fact.
func (e *ConfigurationRefused) Fields(f *control.Fields) { f.Text(1, "reason", &e.Reason) }

// About implements control.Fact.
func (*ConfigurationConfirmed) About() control.About {
	return control.About{Kind: "configuration_confirmed", Level: control.LevelInfo, Message: "configuration confirmed"}
}

// Fields implements control.Fact.
func (e *ConfigurationConfirmed) Fields(f *control.Fields) {
	f.Number(1, "version", &e.Version)
	f.Text(2, "author", &e.Author)
}

// About implements control.Fact.
func (*ConfigurationRolledBack) About() control.About {
	return control.About{Kind: "configuration_rolled_back", Level: control.LevelWarn,
		Message: "configuration rolled back: it was not confirmed"}
}

// Fields implements control.Fact.
func (e *ConfigurationRolledBack) Fields(f *control.Fields) {
	f.Number(1, "version", &e.Version)
	f.Number(2, "instead", &e.Instead)
}

// About implements control.Fact.
func (*ConfigurationStuck) About() control.About {
	return control.About{Kind: "configuration_stuck", Level: control.LevelError,
		Message: "configuration not rolled back although it was not confirmed"}
}

// Fields implements control.Fact.
func (e *ConfigurationStuck) Fields(f *control.Fields) {
	f.Number(1, "version", &e.Version)
	f.Number(2, "instead", &e.Instead)
	f.Text(3, "reason", &e.Reason)
}

// About implements control.Fact.
func (e *Failover) About() control.About {
	return control.About{Kind: e.Kind, Level: e.Level, Message: e.Message}
}

// Fields implements control.Fact.
func (e *Failover) Fields(f *control.Fields) {
	f.OptionalText(1, "group", &e.Group)
	if e.Changed {
		f.Text(2, "from", &e.From)
		f.Text(3, "to", &e.To)
	}
	if e.Epoch != 0 {
		f.Number(4, "epoch", &e.Epoch)
	}
	f.OptionalText(5, "interface", &e.Interface)
	f.OptionalText(6, "link", &e.Link)
	f.OptionalText(7, "reason", &e.Reason)
}

// About implements control.Fact.
func (*Missed) About() control.About {
	return control.About{Kind: "events_missed", Level: control.LevelWarn}
}

// Fields implements control.Fact.
func (e *Missed) Fields(f *control.Fields) { f.Number(1, "count", &e.Count) }
