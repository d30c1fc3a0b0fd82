package lifecycle

import (
	"time"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// Author is who changes a configuration.
type Author struct {
	UID  int
	Name string
}

// Plan is what would be done.
type Plan struct {
	Steps    []plan.Explained
	Warnings []string
	// Problems are what stands against it now. A context whose own configuration
	// cannot be used would go on as it runs; against all else Apply refuses.
	Problems []fault.ContextError
	// Basis is what the plan was made from: an Apply with it does just this plan, or
	// refuses.
	Basis Basis
}

// Leniency is what a change does about contexts whose configuration has a mistake or
// cannot be had from its server. By default they go on as they run, and are named.
type Leniency struct {
	// Strict refuses the change of all.
	Strict bool
	// AllowStale takes the last good copy where what a server has cannot be used.
	AllowStale bool
	// Local changes this unit of a pair alone.
	Local bool
}

// Apply is how a configuration is applied.
type Apply struct {
	// Confirm is how many seconds Confirm may take to come before everything is
	// rolled back; 0: it need not come.
	Confirm int
	Comment string // one line for the history
	Leniency
	// Basis is that of the plan that is to be done, and nothing else; nil: whatever
	// the files say is. Strict and AllowStale are as they were for it.
	Basis *Basis
}

// Rollback is an Apply of an earlier version.
type Rollback struct {
	Version int // one of the history
	Confirm int // seconds, as in Apply
	Comment string
	Local   bool // as in Leniency
}

// Applied is what was done.
type Applied struct {
	Steps    []plan.Explained
	Warnings []string
	// Problems are the contexts whose own configuration could not be used: each goes
	// on as it ran before, or is left out.
	Problems []fault.ContextError
	Version  int // that runs now
	// ConfirmBefore is when all is rolled back unless it is confirmed; zero: it
	// need not be.
	ConfirmBefore time.Time
}

// Reloaded tells what a reload did.
type Reloaded struct {
	Steps    []string // what was done, in order; none when nothing had changed
	Warnings []string // of the configuration
	Errors   []fault.ContextError
}

// Version is one running configuration, now or in the past.
type Version struct {
	Number  int
	Time    time.Time // it began to run
	Author  string
	UID     int
	Origin  string // "start", "reload", "apply", "rollback", "sync-config"
	Comment string
	Running bool
	// ConfirmBefore is as in Applied.
	ConfirmBefore time.Time
}

// Text is one file of a configuration. Secrets are stars.
type Text struct {
	Name     string   // where it was read from
	Contexts []string // whose it is; empty: the system's
	Text     string
}

// Texts are the files of a configuration.
type Texts struct {
	Version int // of the running configuration; 0: of another one
	Files   []Text
}

// Diff is what the running configuration has otherwise than the startup configuration.
type Diff struct {
	Differs bool
	Text    string // unified; secrets are stars
	// Problem says why the startup configuration could not be taken as it is.
	Problem string
}

// Written tells what WriteMemory has written.
type Written struct {
	Version    int // that is in the files now
	Files      []string
	Unwritable []Unwritable
	// Pending are those of Files, on disks of contexts, that the standby unit is not known
	// to have yet: they are lost if this unit is.
	Pending []string
}

// Unwritable is a source that WriteMemory cannot write to.
type Unwritable struct {
	Name   string
	Reason string // and what to do
}

// PeerFiles are the files of contexts, secrets included, from one unit of a pair to the
// other.
type PeerFiles struct {
	Author string
	Files  []PeerFile
}

// PeerFile is one of them.
type PeerFile struct {
	Context string
	Name    string // "disk0:/path", beside the configuration, or absolute
	Config  bool
	Content []byte
}

// Synced tells what a copy of the active unit's configuration has changed here.
type Synced struct {
	Files    []string // that were written
	Steps    []plan.Explained
	Warnings []string
	Version  int // that runs now
}
