package tenants

import (
	"fmt"
	"testing"

	"github.com/warrenvpn/warren/system/users"
)

func TestUIDs(t *testing.T) {
	u, other := newUIDs("warren"), newUIDs("tour")
	seen := map[uint32]bool{}
	for i := range 100 {
		for _, x := range []*uids{u, other} {
			uid, err := x.of(fmt.Sprint(i))
			if err != nil || seen[uid] || uid < u.base && uid < other.base {
				t.Fatalf("context %d: uid %d, %v", i, uid, err)
			}
			seen[uid] = true
		}
	}
	seven, _ := u.of("7")
	if again, _ := u.of("7"); again != seven {
		t.Errorf("context 7 has %d and then %d", seven, again)
	}
	u.release("7")
	if next, _ := u.of("new"); next != seven {
		t.Errorf("%d is free, and %d was given", seven, next)
	}
}

// TestUIDsAreBounded: the last user of a system is no worker's, and no worker is given
// one that another has.
func TestUIDsAreBounded(t *testing.T) {
	u := newUIDs("warren")
	for i := range uint32(users.Workers - 1) {
		u.used[fmt.Sprint(i)] = u.base + i
	}
	if uid, err := u.of("last"); err != nil || uid != u.base+users.Workers-1 {
		t.Errorf("the last context: uid %d, %v", uid, err)
	}
	if uid, err := u.of("more"); err == nil {
		t.Errorf("there was a user %d for one context more", uid)
	}
	if u.take("more", users.Checker("warren")) || u.take("more", u.base) || !u.take("0", u.base) {
		t.Error("a user was taken that is somebody else's, or not taken that is free")
	}
}
