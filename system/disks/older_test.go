package disks

import (
	"context"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/vfs/vfstest"
)

// olderUnit is a unit whose program knows no versions.
type olderUnit struct{ otherUnit }

// Versions implements Peer.
func (o olderUnit) Versions(_ context.Context, wake bool) ([]Version, error) {
	list, err := o.u.Versions(wake)
	for i, v := range list {
		list[i] = Version{Context: v.Context, Version: v.Version, Standby: v.Standby, Follows: o.u.follows}
	}
	return list, err
}

// TestOlderPeer: nothing is taken from a program that knows no versions, which is said once;
// it says itself what it has of ours.
func TestOlderPeer(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, false)
	w := a.follow(b)
	a.paired, a.peer = true, func() Peer { return olderUnit{otherUnit{b}} }
	a.put(t, "/x", "text")
	b.active.Store(true)
	b.put(t, "/y", "text")
	b.active.Store(false)
	w.pass(t.Context())
	w.pass(t.Context())
	if strings.Count(a.log.String(), "knows no versions of files: upgrade it") != 2 { // of blue and of red
		t.Errorf("log:\n%s", a.log.String())
	}
	if d, err := a.List("blue:disk0:/"); err != nil || !d.Pending || len(d.Files) != 1 {
		t.Errorf("dir: %+v, %v", d, err)
	}
	v, err := a.volume("blue")
	if err != nil {
		t.Fatal(err)
	}
	b.follows = v.Version()
	w.pass(t.Context())
	if d, err := a.List("blue:disk0:/"); err != nil || d.Pending {
		t.Errorf("dir, once the other unit follows: %+v, %v", d, err)
	}
	m, err := a.Manifest("blue")
	if err != nil || m.Standby || m.Version != v.Version() || len(m.Files) != 1 || m.Files[0].Path != "/x" {
		t.Errorf("manifest: %+v, %v", m, err)
	}
}

// TestKeptAreBounded: of one name at most eight are kept, and their number is told.
func TestKeptAreBounded(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, true)
	to, back := a.follow(b), b.follow(a)
	for n := range 10 {
		a.epoch, b.epoch = uint64(2*n+1), uint64(2*n+2)
		a.put(t, "/x", strings.Repeat("a", n+1))
		b.put(t, "/x", strings.Repeat("b", n+1))
		for range 3 {
			to.pass(t.Context())
			back.pass(t.Context())
		}
	}
	for _, u := range []*unit{a, b} {
		d, err := u.List("blue:disk0:/")
		if err != nil || d.Kept != 8 || len(d.Files) != 9 {
			t.Errorf("dir: %+v, %v", d, err)
		}
	}
	if got := vfstest.HostTree(t, a.dir) + " "; strings.Contains(got, "=a ") || strings.Contains(got, "=aa ") ||
		!strings.Contains(got, "=aaa ") {
		t.Errorf("the oldest are still there: %s", got)
	}
	if !strings.Contains(a.log.String(), "oldest of the files deleted") {
		t.Errorf("log:\n%s", a.log.String())
	}
}
