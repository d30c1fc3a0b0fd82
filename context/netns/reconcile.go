package netns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Mended counts what was not as it must be, and is now: put back, or removed.
type Mended struct{ Names, Devices, Links, Settings, Addresses, Routes, Rules, Proxies int }

// String says what, such as "1 device, 2 routes"; "" for nothing.
func (m Mended) String() string {
	var parts []string
	for _, p := range []struct {
		count     int
		one, many string
	}{
		{m.Names, "name of the namespace", "names of the namespace"}, {m.Devices, "device", "devices"},
		{m.Links, "property of a device", "properties of devices"}, {m.Settings, "kernel setting", "kernel settings"},
		{m.Addresses, "address", "addresses"}, {m.Routes, "route", "routes"}, {m.Rules, "rule", "rules"},
		{m.Proxies, "proxy entry", "proxy entries"},
	} {
		switch {
		case p.count == 1:
			parts = append(parts, "1 "+p.one)
		case p.count > 1:
			parts = append(parts, fmt.Sprintf("%d %s", p.count, p.many))
		}
	}
	return strings.Join(parts, ", ")
}

// Look is what has come of a look at the namespace of a tenant.
type Look struct {
	Mended Mended
	// Contested tells that somebody keeps changing what is mended, which is done less
	// and less often.
	Contested bool
	Err       error // what cannot be mended; nil: all is as it must be
}

// watchRetry is how long after a failure the namespace is watched again.
const watchRetry = time.Second

// tend watches the namespace until the Gateway is removed, tells the watchers of its
// devices, and mends what is not as it must be. w is the watch that has begun; nil: none has.
func (g *Gateway) tend(w *watch) {
	looks := looker{g: g, begun: w}
	looks.pace.looked = time.Now().Add(-rand.N(lookEvery)) // not all tenants at once
	for {
		var w *watch
		err := g.attempt(func() (err error) {
			w, err = looks.watch()
			return err
		})
		if err == nil && looks.run(w) {
			return
		}
		select {
		case <-g.removed:
			return
		case <-time.After(watchRetry):
		}
	}
}

// Nudge has the Gateway look whether it can mend now what it could not: something has
// changed on the host. Without such a thing it does nothing.
func (g *Gateway) Nudge() {
	if !g.lacking.Load() {
		return
	}
	select {
	case g.nudged <- struct{}{}:
	default:
	}
}

// Check has the Gateway look at everything, whatever it knows.
func (g *Gateway) Check() {
	g.lacking.Store(true)
	g.Nudge()
}

// looker is the state of tend.
type looker struct {
	g     *Gateway
	begun *watch // for the first run
	pace  pace
	told  change // since the last look
	last  Look   // what was told to others
}

// watch returns the watch for run. Where something may have happened that nobody was told
// of, a look is due.
func (k *looker) watch() (*watch, error) {
	w := k.begun
	k.begun = nil
	if w == nil {
		k.g.mu.Lock()
		idle := k.g.drop.index
		k.g.mu.Unlock()
		var err error
		if w, err = k.g.ns.watch(allGroups, idle); err != nil {
			return nil, err
		}
		k.g.mu.Lock()
		k.g.known.watchedLocked(w)
		k.g.mu.Unlock()
	}
	k.g.mu.Lock()
	defer k.g.mu.Unlock()
	if !k.g.known.net {
		k.changed(netChange)
	}
	return w, nil
}

// changed notes what has changed.
func (k *looker) changed(c change) {
	k.told |= c
	k.pace.change(time.Now())
}

// run watches, until the Gateway is removed, or reports false when the watch has failed. It
// goes on for as long as the tenant, and has others do what needs more than a small stack.
func (k *looker) run(w *watch) bool {
	defer w.close()
	defer func() {
		k.g.mu.Lock()
		k.g.known.unwatchedLocked()
		k.g.mu.Unlock()
	}()
	if k.g.attempt(k.tell) != nil {
		return false
	}
	timer := time.NewTimer(time.Until(k.pace.due()))
	defer timer.Stop()
	for {
		select {
		case c, ok := <-w.told:
			if !ok {
				_ = k.g.attempt(func() error { return errWatchEnded }) // which tells
				return false
			}
			if c&linkChange != 0 && k.g.attempt(k.tell) != nil {
				return false
			}
			k.changed(c)
		case <-k.g.nudged:
			k.changed(anyChange)
		case <-timer.C:
			_ = k.g.attempt(k.look) // whose error is told by look, and a panic by attempt
		case <-k.g.removed:
			return true
		}
		timer.Reset(time.Until(k.pace.due()))
	}
}

// tell tells the watchers of devices. It never returns an error but for a panic of theirs.
func (k *looker) tell() error {
	k.g.tellWatchers()
	return nil
}

// look looks at the namespace, mends it and tells what has come of it. It never
// returns an error.
func (k *looker) look() error {
	now := time.Now()
	told := k.told
	if k.told = 0; told == linkChange && k.g.linksAreKnown() {
		k.pace.first = time.Time{}
		return nil
	}
	full := told&settingChange != 0 || told == 0 // nothing was told: it is time for all
	k.pace.look(now, false, true)                // should it panic
	mended, err := k.g.reconcile(full)
	k.pace.look(now, mended != Mended{}, err != nil)
	k.g.lacking.Store(err != nil)
	l := Look{mended, k.pace.contested(), err}
	if mended != (Mended{}) || l.Contested != k.last.Contested || textOf(err) != textOf(k.last.Err) {
		k.g.looked(l)
	}
	k.last = l
	return nil
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// reconcile makes the namespace what the tenant needs, as Update does, with two
// differences: a device of an interface that somebody has set down stays down, and
// the kernel's settings, and the name, are looked at only when full says so.
func (g *Gateway) reconcile(full bool) (Mended, error) {
	defer g.host.turn()()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return Mended{}, nil
	}
	g.known.lookLocked(full)
	g.mended, g.moved = Mended{}, false
	errs := []error{g.remakeLocked(), g.straightenLocked()}
	if full {
		clear(g.proxies)
		errs = append(errs, g.nameLocked(), g.settleSettingsLocked())
	}
	errs = append(errs, g.bareLocked(), g.settleLocked())
	g.announceMovedLocked()
	err := errors.Join(errs...)
	g.lookedLocked(full, err)
	return g.mended, err
}
