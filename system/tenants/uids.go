package tenants

import (
	"fmt"
	"hash/fnv"
)

// Users of workers come from a range that no distribution gives out: above the
// container users of systemd, below 2^31. Each system has 4096 of them, of which the
// last is no worker's: it is that of a process that checks texts (package checker).
const (
	firstUID      = 0x70000000
	uidsPerSystem = 1 << 12
	uidSystems    = 1 << 16
	maxWorkers    = uidsPerSystem - 1
)

// uids gives every context a user of its own, while it is there.
type uids struct {
	base uint32
	used map[string]uint32
}

func newUIDs(system string) *uids {
	h := fnv.New32a()
	h.Write([]byte(system))
	return &uids{firstUID + h.Sum32()%uidSystems*uidsPerSystem, make(map[string]uint32)}
}

// of returns the user of a context, the same until release.
func (u *uids) of(name string) (uint32, error) {
	if uid, ok := u.used[name]; ok {
		return uid, nil
	}
	taken := make(map[uint32]bool, len(u.used))
	for _, uid := range u.used {
		taken[uid] = true
	}
	for i := range uint32(maxWorkers) {
		if uid := u.base + i; !taken[uid] {
			u.used[name] = uid
			return uid, nil
		}
	}
	return 0, fmt.Errorf("system: more than %d contexts", maxWorkers)
}

// take gives a context the user that it had in an earlier life of the supervisor. It
// reports false where that is none of this system's, or another context has it.
func (u *uids) take(name string, uid uint32) bool {
	if uid < u.base || uid-u.base >= maxWorkers {
		return false
	}
	for other, used := range u.used {
		if used == uid && other != name {
			return false
		}
	}
	u.used[name] = uid
	return true
}

func (u *uids) release(name string) { delete(u.used, name) }
