package tenants

import (
	"fmt"
	"testing"
)

func TestUIDs(t *testing.T) {
	u, other := newUIDs("warren"), newUIDs("tour")
	seen := map[uint32]bool{}
	for i := range 100 {
		for _, x := range []*uids{u, other} {
			uid, err := x.of(fmt.Sprint(i))
			if err != nil || seen[uid] || uid < firstUID {
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
