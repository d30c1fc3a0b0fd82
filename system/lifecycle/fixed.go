package lifecycle

import (
	"fmt"
	"slices"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
	"github.com/warrenvpn/warren/system/fault"
)

// fixed says what cannot change while warrend runs, or not to that.
func fixed(is, next *configs.System) error {
	if next.Name != is.Name || next.RunDir != is.RunDir || next.StateDir != is.StateDir {
		return &fault.Error{
			Code: fault.CodeRefused, Reason: "system: name, run_dir and state_dir cannot change while warrend runs",
			Hint: "restart warrend, or undo that change",
		}
	}
	if _, err := host.APIGroup(next); err != nil {
		return &fault.Error{Code: fault.CodeRefused, Reason: err.Error() + ": nothing was changed",
			Hint: "make it on this host, or name another one in system { api { group } }"}
	}
	return pairFixed(is, next)
}

// fixed says what cannot change at the moment, or not to that.
func (l *Lifecycle) fixed(is, next *configs.System) error {
	err := fixed(is, next)
	if err == nil && l.cfg.Refuses != nil {
		err = l.cfg.Refuses(next)
	}
	return err
}

// pairFixed says what of failover cannot change while warrend runs.
func pairFixed(is, next *configs.System) error {
	what := pairChange(is, next)
	if what == "" {
		return nil
	}
	return &fault.Error{
		Code: fault.CodeRefused, Reason: "system: " + what + " cannot change while warrend runs",
		Hint: "undo that change, or restart warrend, the standby node first",
	}
}

// pairChange names what of failover has changed that is fixed; "": nothing.
func pairChange(is, next *configs.System) string {
	old, now := is.Failover, next.Failover
	switch {
	case old == nil && now == nil:
		return ""
	case old == nil:
		return "a node alone into one of a pair"
	case now == nil:
		return "one of a pair into a node alone"
	case old.Unit != now.Unit:
		return "the failover unit"
	case !old.SharesKey(now):
		return "the failover key, unless the one before stays as previous_key,"
	case old.Poll != now.Poll || old.Hold != now.Hold:
		return "failover poll and hold"
	case !slices.Equal(old.Links, now.Links):
		return "the failover links"
	}
	for _, l := range now.Links {
		before, _ := is.Interface(l.Interface)
		if on, _ := next.Interface(l.Interface); on != before {
			return fmt.Sprintf("the device of failover link %q", l.Name)
		}
	}
	return ""
}
