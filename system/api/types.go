package api

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/fault"
)

// State is where a context is in its life.
type State string

// The states of a context.
const (
	StateStarting State = "starting" // its worker does not answer yet
	StateReady    State = "ready"    // its worker answers
	StateFailed   State = "failed"   // it cannot run; Reason says why
	StateStopping State = "stopping"
	// StateSuspended: it is configured not to run.
	StateSuspended State = "suspended"
)

// Status is the system as a whole.
type Status struct {
	Name    string    `json:"name"` // system.name
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Ready says whether every context that is not suspended is in StateReady, and
	// there are no Problems.
	Ready bool `json:"ready"`
	// Total, ReadyContexts and Suspended count contexts.
	Total         int `json:"total"`
	ReadyContexts int `json:"ready_contexts"`
	Suspended     int `json:"suspended"`
	// Waiting are the contexts that are not ready, each with its reason.
	Waiting []fault.ContextError `json:"waiting"`
	// Redundancy says, with failover, what stands against a takeover at the moment.
	Redundancy []string `json:"redundancy,omitempty"`
	// Orphans counts the disks of contexts that were removed.
	Orphans int `json:"orphans,omitempty"`
	// Problems are what is not as configured although it runs: a link or an address
	// that is gone, a configuration that could not be taken. Without a Context it
	// concerns the system file.
	Problems []fault.ContextError `json:"problems"`
	// Changing says which change of the configuration is being made, by whom and since when:
	// another one is refused meanwhile. It is "" while there is none.
	Changing string `json:"changing,omitempty"`
}

// Tenant is one row of `show context`.
type Tenant struct {
	Name       string      `json:"name"`
	State      State       `json:"state"`
	Reason     string      `json:"reason,omitempty"` // why it is not ready, or the last loss of its worker
	Class      string      `json:"class"`
	Role       string      `json:"role"`     // "active"; with failover also "standby"
	PID        int         `json:"pid"`      // of the worker; 0: there is none
	Restarts   int         `json:"restarts"` // of the worker, since the context was created
	Started    time.Time   `json:"started,omitzero"`
	Sandbox    string      `json:"sandbox,omitempty"` // what confines the worker, and what is missing
	Build      string      `json:"build,omitempty"`   // of the worker's program; another than warrend's after an upgrade
	ConfigURL  string      `json:"config_url"`
	Namespace  string      `json:"namespace"`
	Interfaces []Interface `json:"interfaces"`
	// Problems are what is not as configured although the context may run: those of
	// Status that are about it.
	Problems []fault.ContextError `json:"problems,omitempty"`
}

// Interface is one data interface of a context.
type Interface struct {
	Name      string         `json:"name"`      // as the context calls it: "outside"
	Allocated string         `json:"allocated"` // as the system calls it: "Ethernet1/1"
	Device    string         `json:"device"`    // as the kernel calls it, or called it
	Shared    bool           `json:"shared"`
	MAC       string         `json:"mac,omitempty"`
	MTU       int            `json:"mtu,omitempty"`
	Addresses []netip.Prefix `json:"addresses"`
}

// Reload tells what a reload did.
type Reload struct {
	// Steps are what was done, in order; none when nothing had changed.
	Steps []string `json:"steps"`
	// Warnings are the configuration's, as text for the operator.
	Warnings []string `json:"warnings"`
	// Errors are the contexts that could not follow.
	Errors []fault.ContextError `json:"errors"`
}

// Contexts answers `show context`.
type Contexts struct {
	Contexts []Tenant `json:"contexts"`
}

// IKESAs answers `show crypto ikev2 sa`. Errors are the contexts that could not
// be asked, here and in the answers below.
type IKESAs struct {
	IKESAs []control.IKESA      `json:"ike_sas"`
	Errors []fault.ContextError `json:"errors,omitempty"`
}

// ChildSAs answers `show crypto ipsec sa`.
type ChildSAs struct {
	ChildSAs []control.ChildSA    `json:"child_sas"`
	Errors   []fault.ContextError `json:"errors,omitempty"`
}

// IPsecStatistics answers `show crypto ipsec stats`.
type IPsecStatistics struct {
	IPsecStats []control.IPsecStats `json:"ipsec_stats"`
	Errors     []fault.ContextError `json:"errors,omitempty"`
}

// Sessions answers `show vpn-sessiondb`.
type Sessions struct {
	Sessions []control.Session    `json:"sessions"`
	Errors   []fault.ContextError `json:"errors,omitempty"`
}

// Resources answers `show resource usage`.
type Resources struct {
	Resources []control.Resource   `json:"resources"`
	Errors    []fault.ContextError `json:"errors,omitempty"`
}
