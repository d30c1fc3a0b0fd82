package tenants

import (
	"fmt"

	"github.com/warrenvpn/warren/system/users"
)

// uids gives every context a user of its own, while it is there.
type uids struct {
	base uint32
	used map[string]uint32
}

func newUIDs(system string) *uids {
	return &uids{users.FirstWorker(system), make(map[string]uint32)}
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
	for i := range uint32(users.Workers) {
		if uid := u.base + i; !taken[uid] {
			u.used[name] = uid
			return uid, nil
		}
	}
	return 0, fmt.Errorf("system: more than %d contexts", users.Workers)
}

// take gives a context the user that it had in an earlier life of the supervisor. It
// reports false where that is none of this system's, or another context has it.
func (u *uids) take(name string, uid uint32) bool {
	if uid < u.base || uid-u.base >= users.Workers {
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
