package system

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// watchdogShare is how often systemd is told that the supervisor's loop turns: so many
// times within the time after which it would end this process (WatchdogSec=).
const watchdogShare = 4

// watchdog returns what ticks when systemd is to be told; it never does where systemd
// does not ask for that.
func (s *System) watchdog() (tick <-chan time.Time, stop func()) {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.cfg.Log.Warn("systemd asks for signs of life in a way that is not understood", "reason", err)
	}
	if within <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(within / watchdogShare)
	return t.C, t.Stop
}

// during waits for a change, which has a limit of its own, and has systemd told
// meanwhile.
func (s *System) during(alive <-chan time.Time, change func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		change()
	}()
	for {
		select {
		case <-alive:
			s.notify(daemon.SdNotifyWatchdog)
		case <-done:
			return
		}
	}
}
