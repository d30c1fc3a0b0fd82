package disks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/catalog"
	"github.com/warrenvpn/warren/vfs/vfstest"
)

// without removes the context blue from the unit.
func (u *unit) without(t *testing.T) {
	t.Helper()
	if err := u.Set([]vfs.Disk0{{Context: "red"}}); err != nil {
		t.Fatal(err)
	}
	u.SetAside([]string{"blue"})
}

// with makes it again.
func (u *unit) with(t *testing.T) {
	t.Helper()
	if err := u.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 1000}}, {Context: "red"}}); err != nil {
		t.Fatal(err)
	}
}

// wantOrphans checks what a unit has set aside of blue: the files of each disk.
func (u *unit) wantOrphans(t *testing.T, want ...string) {
	t.Helper()
	list, err := u.Orphans()
	if err != nil || len(list) != len(want) {
		t.Fatalf("orphans are %+v, %v; want %q\n%s", list, err, want, u.log.String())
	}
	for i, o := range list {
		if got := vfstest.HostTree(t, filepath.Join(u.state, "orphans", o.ID, vfs.Disk)); got != want[i] {
			t.Errorf("orphan %d: got %q, want %q", i, got, want[i])
		}
	}
}

// pairOf returns two units that have met, with files of the first context, and what makes them
// meet again.
func pairOf(t *testing.T) (a, b *unit, meet func()) {
	t.Helper()
	a, b = newUnit(t, true), newUnit(t, false)
	to, back := a.follow(b), b.follow(a)
	to.lookAgain, back.lookAgain = 0, 0
	meet = func() {
		if to.disks != a.Disks || back.disks != b.Disks { // a unit was started anew
			to, back = a.follow(b), b.follow(a)
		}
		for range 3 {
			to.pass(t.Context())
			back.pass(t.Context())
		}
	}
	meet()
	a.put(t, "/secret", "old")
	a.put(t, "/both", "old")
	meet()
	wantSame(t, a, b, "both=old secret=old")
	return a, b, meet
}

// TestAwayWhileRemoved: a unit that was away while a context was removed and another one of
// its name was made sets the old disk aside, and neither its files nor its deletions reach
// the new one.
func TestAwayWhileRemoved(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		a, b, meet := pairOf(t)
		swap(a, b) // b has deleted something as the active unit
		b.put(t, "/gone", "old")
		meet()
		b.remove(t, "/gone")
		swap(a, b)
		a.without(t)
		a.with(t)
		a.put(t, "/both", "new")
		a.put(t, "/gone", "new")
		if restarted {
			b.Close()
			b.open(t)
		}
		meet()
		wantSame(t, a, b, "both=new gone=new")
		if n := len(b.log.String()); n == 0 || !strings.Contains(b.log.String(), "disk set aside") {
			t.Errorf("log:\n%s", b.log.String())
		}
		b.wantOrphans(t, "both=old secret=old")
		a.put(t, "/more", "new")
		swap(a, b)
		meet()
		b.put(t, "/b", "new")
		meet()
		wantSame(t, a, b, "b=new both=new gone=new more=new")
		a.wantOrphans(t, "both=old gone=old secret=old")
		b.wantOrphans(t, "both=old secret=old")
	}
}

// TestAwayWhileRemovedEmpty: so it is where the new context has no file yet, and the old one
// is what a unit that comes later brings.
func TestAwayWhileRemovedEmpty(t *testing.T) {
	a, b, meet := pairOf(t)
	a.without(t)
	a.with(t)
	meet()
	wantSame(t, a, b, "")
	b.wantOrphans(t, "both=old secret=old")
	a.put(t, "/x", "new")
	meet()
	wantSame(t, a, b, "x=new")
}

// TestActiveDiskStays: the unit that is active keeps its disk, whichever was made later, and
// while roles are not clear nothing is taken.
func TestActiveDiskStays(t *testing.T) {
	a, b, meet := pairOf(t)
	a.without(t)
	a.with(t)
	a.put(t, "/x", "new")
	a.active.Store(false)
	for _, both := range []bool{false, true} {
		a.active.Store(both)
		b.active.Store(both)
		meet()
		if got := vfstest.HostTree(t, a.dir) + "|" + vfstest.HostTree(t, b.dir); got !=
			"x=new|both=old secret=old" {
			t.Fatalf("got %q", got)
		}
	}
	a.active.Store(false)
	meet()
	wantSame(t, a, b, "both=old secret=old")
	a.wantOrphans(t, "both=old secret=old", "x=new")
}

// TestRemovedOnBoth: both units have removed the context, and one of them gets the new one
// later.
func TestRemovedOnBoth(t *testing.T) {
	a, b, meet := pairOf(t)
	a.without(t)
	b.without(t)
	a.with(t)
	a.put(t, "/x", "new")
	meet()
	b.with(t)
	meet()
	wantSame(t, a, b, "x=new")
	b.wantOrphans(t, "both=old secret=old")
}

// TestBroughtBack: a context that comes back has the disk that the other unit still has.
func TestBroughtBack(t *testing.T) {
	a, b, meet := pairOf(t)
	a.without(t)
	a.with(t)
	if err := a.Set([]vfs.Disk0{{Context: "red"}}); err != nil {
		t.Fatal(err)
	}
	a.BringBack([]string{"blue"})
	a.with(t)
	a.put(t, "/x", "later")
	meet()
	wantSame(t, a, b, "both=old secret=old x=later")
	a.wantOrphans(t)
	b.wantOrphans(t)
}

// TestEmptyDiskTakesFiles: a unit that comes new, with an empty disk, has the files of the
// other one, also as the active unit.
func TestEmptyDiskTakesFiles(t *testing.T) {
	_, b, _ := pairOf(t)
	c := newUnit(t, true)
	to, back := c.follow(b), b.follow(c)
	for range 3 {
		to.pass(t.Context())
		back.pass(t.Context())
	}
	wantSame(t, b, c, "both=old secret=old")
	b.wantOrphans(t)
}

// TestDisksOfEarlierProgram: disks without an identity get one, and stay together.
func TestDisksOfEarlierProgram(t *testing.T) {
	a, b, meet := pairOf(t)
	for i, u := range []*unit{a, b} {
		u.Close()
		if err := os.Remove(u.dir + ".index"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(u.dir, "only"+string(rune('a'+i))), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		u.open(t)
	}
	for _, u := range []*unit{a, b} {
		if v, err := u.volume("blue"); err != nil || v.State().Incarnation.Known() {
			t.Fatalf("it has an identity: %v", err)
		}
	}
	meet()
	wantSame(t, a, b, "both=old onlya=x onlyb=x secret=old")
	va, _ := a.volume("blue")
	vb, _ := b.volume("blue")
	if x, y := va.State().Incarnation, vb.State().Incarnation; x != y || !x.Known() || !x.Settled {
		t.Errorf("identities: %+v, %+v", x, y)
	}
	b.Close()
	b.open(t)
	if v, _ := b.volume("blue"); v.State().Incarnation != va.State().Incarnation {
		t.Errorf("after a start: %+v", v.State().Incarnation)
	}
	a.wantOrphans(t)
	b.wantOrphans(t)
}

// TestYieldNotPossible: a disk that cannot be set aside stays, is not mixed, and is tried again.
func TestYieldNotPossible(t *testing.T) {
	a, b, meet := pairOf(t)
	a.without(t)
	a.with(t)
	a.put(t, "/x", "new")
	orphans := filepath.Join(b.state, "orphans")
	if err := os.WriteFile(orphans, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	meet()
	if got := vfstest.HostTree(t, b.dir) + "|" + vfstest.HostTree(t, a.dir); got !=
		"both=old secret=old|x=new" {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(b.log.String(), "files not replicated") {
		t.Errorf("log:\n%s", b.log.String())
	}
	if err := os.Remove(orphans); err != nil {
		t.Fatal(err)
	}
	meet()
	wantSame(t, a, b, "x=new")
	b.wantOrphans(t, "both=old secret=old")
}

// TestReopenAgain: a disk that could not be opened after it was set aside is opened later, and
// who still has the closed one changes nothing.
func TestReopenAgain(t *testing.T) {
	a, b, meet := pairOf(t)
	stale, err := b.volume("blue")
	if err != nil {
		t.Fatal(err)
	}
	away := filepath.Join(b.state, "away")
	if err := b.store.Reopen("blue", func() error {
		return errors.Join(os.Rename(filepath.Join(b.state, "contexts"), away),
			os.WriteFile(filepath.Join(b.state, "contexts"), nil, 0o600))
	}); err == nil {
		t.Fatal("it could be opened")
	}
	meet()
	if err := errors.Join(os.Remove(filepath.Join(b.state, "contexts")), os.Rename(away,
		filepath.Join(b.state, "contexts"))); err != nil {
		t.Fatal(err)
	}
	if err := stale.MakeDir("/stale"); err == nil {
		t.Error("the closed disk can be changed")
	}
	if err := stale.Remove("/secret"); err == nil {
		t.Error("a file of the closed disk can be deleted")
	}
	if err := stale.Scan(t.Context(), vfs.Hand{Active: true}); err == nil {
		t.Error("the closed disk can be looked through")
	}
	a.put(t, "/x", "more")
	meet()
	wantSame(t, a, b, "both=old secret=old x=more")
}

// TestJudge: of two units that judge each other, at most one gives way, and never both wait
// where one is active and one standby.
func TestJudge(t *testing.T) {
	var all []vfs.State
	for _, id := range []uint64{catalog.Unnamed, 5, 7} {
		for n := range 8 {
			all = append(all, vfs.State{Blank: n&1 != 0,
				Incarnation: catalog.Incarnation{ID: id, Settled: n&2 != 0, Later: n&4 != 0}})
		}
	}
	told := func(s vfs.State, standby bool) Version {
		return Version{Incarnation: s.Incarnation, Blank: s.Blank, Standby: standby}
	}
	for _, a := range all {
		if got := judge(a, Version{}, true); got != verdictShare {
			t.Errorf("%+v, an older program: got %d", a, got)
		}
		for _, b := range all {
			x, y := judge(a, told(b, true), false), judge(b, told(a, false), true)
			same := a.Incarnation.ID == b.Incarnation.ID
			switch {
			case a.Incarnation.Later && !a.Incarnation.Settled || b.Incarnation.Later && !b.Incarnation.Settled:
				continue // there is no such disk
			case x == verdictYield:
				t.Errorf("%+v, %+v: the active unit yields", a, b)
			case x == verdictWait && y == verdictWait:
				t.Errorf("%+v, %+v: both wait", a, b)
			case !same && x == verdictAdopt && y == verdictAdopt:
				t.Errorf("%+v, %+v: both adopt", a, b)
			case apart(a.Incarnation, b.Incarnation) && (x == verdictShare || y == verdictShare):
				t.Errorf("%+v, %+v: two disks are mixed", a, b)
			}
			if x := judge(a, told(b, false), false); x == verdictYield {
				t.Errorf("%+v, %+v: roles are not clear, and one yields", a, b)
			}
		}
	}
}
