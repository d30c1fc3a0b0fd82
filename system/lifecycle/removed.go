package lifecycle

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/configs"
)

// Keeper has the disks of contexts beyond the contexts.
type Keeper interface {
	// Contexts are the names of those that there is something of, removed or not.
	Contexts() []string
	// SetAside is told which contexts were removed, once nothing of them runs: a later
	// context of the same name is another one.
	SetAside(contexts []string)
	// BringBack is told which contexts come back with an earlier version, before they
	// start: they are those that were removed.
	BringBack(contexts []string)
}

// setAside lets go of the contexts that next does not have any more. One that is left out
// because of a mistake is not gone.
func (l *Lifecycle) setAside(is *configs.System, next *loaded) {
	var names []string
	for _, c := range is.Contexts {
		_, has := next.conf.Context(c.Name)
		if !has && !slices.Contains(next.texts.Left, c.Name) {
			names = append(names, c.Name)
		}
	}
	if l.cfg.Keeper != nil && len(names) > 0 {
		l.cfg.Keeper.SetAside(names)
	}
}

// setAsideGone lets go, at the start, of what there is of contexts that next does not have
// and an earlier version had. They were removed while nobody ran, or by a process that ended
// before it had let go of them.
func (l *Lifecycle) setAsideGone(next *loaded) {
	if l.cfg.Keeper == nil {
		return
	}
	gone := slices.DeleteFunc(l.cfg.Keeper.Contexts(), func(name string) bool {
		_, has := next.conf.Context(name)
		return has || slices.Contains(next.texts.Left, name)
	})
	if names := l.history.had(gone); len(names) > 0 {
		l.cfg.Keeper.SetAside(names)
	}
}

// had returns those of some contexts that one of the versions has. One that cannot be read
// has none.
func (h *history) had(contexts []string) (names []string) {
	for _, v := range slices.Backward(h.list) {
		if len(names) == len(contexts) {
			break
		}
		t, err := h.texts(v.Number)
		if err != nil {
			continue
		}
		for _, name := range contexts {
			if !slices.Contains(names, name) && t.Has(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// bringBack gives the contexts that come back with next, an earlier version, their disks,
// and returns what takes them away again where next cannot run.
func (l *Lifecycle) bringBack(is *configs.System, next *loaded) (undo func()) {
	var names []string
	for _, c := range next.conf.Contexts {
		if _, has := is.Context(c.Name); !has && next.earlier {
			names = append(names, c.Name)
		}
	}
	if l.cfg.Keeper == nil || len(names) == 0 {
		return func() {}
	}
	l.cfg.Keeper.BringBack(names)
	return func() { l.cfg.Keeper.SetAside(names) }
}

// before returns the version that ran last, as far as it can be read; nil where it cannot.
func (h *history) before(p *pending, now time.Time, check Checker) *configs.System {
	for _, v := range slices.Backward(h.list) {
		if p.gaveUp(v.Number, now) {
			continue
		}
		t, err := h.texts(v.Number)
		if err != nil {
			return nil
		}
		l, err := recall(t, check)
		if err != nil {
			return nil
		}
		return l.conf
	}
	return nil
}
