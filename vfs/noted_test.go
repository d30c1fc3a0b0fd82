package vfs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/warrenvpn/warren/vfs/catalog"
	"github.com/warrenvpn/warren/vfs/vfstest"
)

// entryAt is what the index of a volume has of a path.
func entryAt(t *testing.T, v *Volume, p string) catalog.Entry {
	t.Helper()
	v.changing.Lock()
	defer v.changing.Unlock()
	e, _ := v.index.Find(p)
	return e
}

// TestScan: what was changed by hand counts as a change where the context is active and
// warrend runs; otherwise it gives way.
func TestScan(t *testing.T) {
	change := func(t *testing.T, dir string) {
		must(t, os.WriteFile(dir+"/x", []byte("hand"), 0o600), os.WriteFile(dir+"/new", nil, 0o600),
			os.Remove(dir+"/y"))
	}
	for _, tt := range []struct {
		name   string
		before bool // looked at before
		hand   Hand
		epoch  uint64
		gone   catalog.Kind // of what is missing
		lost   bool
	}{
		{"active", true, Hand{true, 7}, 7, catalog.KindGone, false},
		{"standby", true, Hand{false, 7}, 0, 0, true},
		{"active, for the first time", false, Hand{true, 7}, 0, 0, true},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			state := t.TempDir()
			first := noted(t, state)
			must(t, put(first, "/x", "text"), put(first, "/y", "text"), put(first, "/z", "text"))
			v := noted(t, state)
			if tt.before {
				must(t, v.Scan(t.Context(), tt.hand))
			}
			session := v.State().Session
			change(t, DiskDir(state, "blue"))
			must(t, v.Scan(t.Context(), tt.hand))
			x, y := entryAt(t, v, "/x"), entryAt(t, v, "/y")
			if x.Version.Epoch != tt.epoch || x.Sum.String() != sumOf("hand") || (len(x.Had) > 0) != (tt.epoch > 0) {
				t.Errorf("changed: %+v", x)
			}
			if y.Kind != tt.gone || (v.State().Session != session) != tt.lost {
				t.Errorf("deleted: %+v; %+v", y, v.State())
			}
			if e := entryAt(t, v, "/new"); e.Kind != catalog.KindFile {
				t.Errorf("made: %+v", e)
			}
			head := v.State().Head
			must(t, v.Scan(t.Context(), tt.hand))
			if v.State().Head != head {
				t.Error("a second look finds something")
			}
		})
	}
}

// TestFoundWhereSomethingWasDeleted: a directory that a run has made in the place of a file that
// was deleted, and has not noted when it crashed, does not hide the deletion; nor does another
// file. What was deleted, and has come back, is no more than it was.
func TestFoundWhereSomethingWasDeleted(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(d *vfstest.Disk) error
		want bool
	}{
		{"directory", func(d *vfstest.Disk) error { return d.Mkdir("/disk0/x", 0o700) }, true},
		{"another file", func(d *vfstest.Disk) error { return writeFile(d, "/disk0/x", []byte("another")) }, true},
		{"the same file", func(d *vfstest.Disk) error { return writeFile(d, "/disk0/x", []byte("text")) }, false},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			d := newDisk(t, 1)
			v, err := onDisk(d)
			must(t, err, put(v, "/x", "text"), v.RemoveIf("/x", func() (uint64, error) { return 5, nil }))
			gone := entryAt(t, v, "/x")
			must(t, tt.make(d))
			v, err = onDisk(d)
			must(t, err, v.Scan(t.Context(), Hand{true, 7}))
			e := entryAt(t, v, "/x")
			if !e.Alive() || e.Version.Epoch != 0 || e.Seen.Has(gone.Version) != tt.want {
				t.Errorf("deleted with %+v, and noted as %+v", gone.Version, e)
			}
		})
	}
}

// TestEmptied: a disk that somebody has emptied deletes nothing on the other one.
func TestEmptied(t *testing.T) {
	state := t.TempDir()
	v := noted(t, state)
	session := v.State().Session
	must(t, put(v, "/x", "text"), v.Scan(t.Context(), Hand{true, 1}), os.Remove(DiskDir(state, "blue")+"/x"),
		v.Scan(t.Context(), Hand{true, 1}))
	if e := entryAt(t, v, "/x"); e.Kind != 0 || v.State().Session == session {
		t.Errorf("got %+v, %+v", e, v.State())
	}
}

// TestScanSeesOldTimes: a file that somebody gives other content and its old time.
func TestScanSeesOldTimes(t *testing.T) {
	state := t.TempDir()
	v := noted(t, state)
	must(t, put(v, "/x", "text"), v.Scan(t.Context(), Hand{true, 1}))
	name := DiskDir(state, "blue") + "/x"
	info, err := os.Stat(name)
	must(t, err, os.WriteFile(name, []byte("hand"), 0o600), os.Chtimes(name, info.ModTime(), info.ModTime()),
		v.Scan(t.Context(), Hand{true, 1}))
	if e := entryAt(t, v, "/x"); e.Sum.String() != sumOf("hand") {
		t.Errorf("got %+v", e)
	}
}

// onDisk opens the volume of a disk in memory.
func onDisk(d *vfstest.Disk) (*Volume, error) {
	return openNoted("blue:disk0:", afero.NewBasePathFs(d, "/disk0"), d, "/disk0", Limit{})
}

func newDisk(t *testing.T, seed uint64) *vfstest.Disk {
	t.Helper()
	d := vfstest.New(seed)
	must(t, d.Mkdir("/disk0", 0o700), syncDir(d, "/"))
	return d
}

// offerOf offers what another volume has of a path.
func offerOf(t *testing.T, from *Volume, p string, reads *[]int64) *Offer {
	t.Helper()
	e := entryAt(t, from, p)
	return &Offer{Entry: e, Unit: "primary", Open: func(_ context.Context, offset int64) (io.ReadCloser, error) {
		if reads != nil {
			*reads = append(*reads, offset)
		}
		_, r, err := from.OpenSum(p, e.Sum, offset)
		return r, err
	}}
}

// TestCrash lets the power fail at every step of every operation: a file is what it was or
// what it was to be, the index agrees with it, and what was answered is there.
func TestCrash(t *testing.T) {
	operations := []struct {
		name string
		do   func(t *testing.T, v, other *Volume) error
		from string
		to   []string // what may be there after a crash, if not what was there before
	}{
		{"make", func(_ *testing.T, v, _ *Volume) error { return put(v, "/d/x", "new") }, "/a=old",
			[]string{"/a=old /d=/", "/a=old /d/x=new /d=/"}},
		{"replace", func(_ *testing.T, v, _ *Volume) error { return put(v, "/a", "new") }, "/a=old",
			[]string{"/a=new"}},
		{"delete", func(_ *testing.T, v, _ *Volume) error { return v.Remove("/a") }, "/a=old", []string{""}},
		{"take", func(t *testing.T, v, other *Volume) error {
			_, err := v.Accept(t.Context(), offerOf(t, other, "/b", nil))
			return err
		}, "/a=old", []string{"/a=old /b=theirs"}},
		{"take beside", func(t *testing.T, v, other *Volume) error {
			_, err := v.Accept(t.Context(), offerOf(t, other, "/a", nil))
			return err
		}, "/a=old", []string{"/a~=old", "/a=theirs /a~=old"}},
	}
	for _, op := range operations {
		t.Run(strings.ReplaceAll(op.name, " ", "_"), func(t *testing.T) {
			other, err := onDisk(newDisk(t, 1))
			commit := Content{Reader: strings.NewReader("theirs"), Size: 6,
				Commit: func() (uint64, error) { return 9, nil }}
			must(t, err, put(other, "/b", "theirs"))
			_, err = other.Replace(t.Context(), "/a", commit)
			must(t, err)
			for seed := range uint64(8) {
				for steps := 0; ; steps++ {
					d := newDisk(t, seed)
					v, err := onDisk(d)
					must(t, err, put(v, "/a", "old"))
					d.CrashAfter(steps)
					done := op.do(t, v, other)
					crashed := d.Crashed()
					d.CrashAfter(-1)
					d.Start(true)
					v, err = onDisk(d)
					must(t, err, v.Scan(t.Context(), Hand{}))
					got := shown(d)
					want := append([]string{op.from}, op.to...)
					if done == nil {
						want = want[len(want)-1:]
					}
					if !strings.Contains("|"+strings.Join(want, "|")+"|", "|"+got+"|") {
						t.Errorf("crash after %d steps (%v): got %q, want one of %q", steps, done, got, want)
					}
					agrees(t, d, v)
					if !crashed {
						break
					}
				}
			}
		})
	}
}

// TestMissingIsForGood: what is noted of a file that is not there any more holds when the
// power fails, whoever has deleted it, and without having made that last.
func TestMissingIsForGood(t *testing.T) {
	for _, tt := range []struct {
		name string
		note func(t *testing.T, v, other *Volume) error
	}{
		{"deleted there", func(t *testing.T, v, other *Volume) error {
			must(t, other.Remove("/d/e/x"))
			_, err := v.Accept(t.Context(), offerOf(t, other, "/d/e/x", nil))
			return err
		}},
		{"deleted by hand", func(t *testing.T, v, _ *Volume) error { return v.Scan(t.Context(), Hand{true, 1}) }},
		{"given up", func(t *testing.T, v, _ *Volume) error { return v.Scan(t.Context(), Hand{}) }},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			for _, with := range []string{"/d/e/x", "/d/e", "/d"} { // what was deleted with it
				d := newDisk(t, 1)
				v, err := onDisk(d)
				must(t, err, put(v, "/a", "text"), put(v, "/d/e/x", "text"), v.Scan(t.Context(), Hand{true, 1}))
				other, err := onDisk(newDisk(t, 2))
				must(t, err)
				for _, p := range []string{"/d", "/d/e", "/d/e/x"} {
					_, err := other.Accept(t.Context(), offerOf(t, v, p, nil))
					must(t, err)
				}
				for p := "/d/e/x"; ; p = path.Dir(p) {
					if must(t, d.Remove("/disk0"+p)); p == with {
						break
					}
				}
				must(t, tt.note(t, v, other))
				if left, ok := d.Tree("/disk0", true)["/d/e/x"]; ok {
					t.Errorf("%s was deleted, and when the power fails there is %q", with, left)
				}
			}
		})
	}
}

// shown is what is on a disk; the times of files that were kept are left out.
func shown(d *vfstest.Disk) string {
	var list []string
	for p, text := range d.Tree("/disk0", false) {
		if name, _, ok := strings.Cut(p, "~"); ok && !strings.HasSuffix(name, ".") {
			p = name + "~"
		}
		if !strings.Contains(p, part) {
			list = append(list, p+"="+text)
		}
	}
	return strings.Join(slices.Sorted(slices.Values(list)), " ")
}

// agrees checks that an index has what its disk has.
func agrees(t *testing.T, d *vfstest.Disk, v *Volume) {
	t.Helper()
	tree := d.Tree("/disk0", false)
	for _, f := range v.Manifest().Files {
		if text, ok := tree[f.Path]; !ok || !f.Dir && sumOf(text) != f.SHA256 {
			t.Errorf("%s is noted with %s, and is %q, %v", f.Path, f.SHA256, text, ok)
		}
		delete(tree, f.Path)
	}
	for p := range tree {
		if !strings.Contains(p, part) {
			t.Errorf("%s is not noted", p)
		}
	}
}

// TestResume: a copy goes on where it stopped, and content that is another one is not mixed
// with it.
func TestResume(t *testing.T) {
	state, large := t.TempDir(), strings.Repeat("0123456789", 100_000)
	other := noted(t, t.TempDir())
	must(t, put(other, "/x", large))
	v := noted(t, state)
	var reads []int64
	cut := offerOf(t, other, "/x", &reads)
	whole := cut.Open
	cut.Open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		r, err := whole(ctx, offset)
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r, 400_000), failing{}), r}, err
	}
	if _, err := v.Accept(t.Context(), cut); err == nil {
		t.Error("it was cut short, and nobody says so")
	}
	v = noted(t, state) // also after a start
	done, err := v.Accept(t.Context(), offerOf(t, other, "/x", &reads))
	if err != nil || done.Bytes != 600_000 || fmt.Sprint(reads) != "[0 400000]" {
		t.Errorf("got %+v, %v, reads at %v", done, err, reads)
	}
	if got, err := v.Verify(t.Context(), "/x"); err != nil || got.SHA256 != sumOf(large) {
		t.Errorf("got %+v, %v", got, err)
	}
	must(t, put(other, "/x", "short"))
	if _, err := v.Accept(t.Context(), cut); err != nil {
		t.Errorf("what is here already: %v", err)
	}
	stale := offerOf(t, other, "/x", nil)
	stale.Open = func(context.Context, int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("SHORT")), nil
	}
	if _, err := v.Accept(t.Context(), stale); err == nil || !strings.Contains(err.Error(), ErrSum.Error()) {
		t.Errorf("another content: %v", err)
	}
	if names := left(t, DiskDir(state, "blue")); names != "x" {
		t.Errorf("left: %s", names)
	}
}

// failing is a connection that is cut.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestIndexIsDamaged: what cannot be read of an index costs histories, and no file.
func TestIndexIsDamaged(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"nothing": func([]byte) []byte { return nil },
		"cut":     func(b []byte) []byte { return b[:len(b)-3] },
		"noise":   func([]byte) []byte { return []byte(strings.Repeat("\xff", 100)) },
		"a bit":   func(b []byte) []byte { b[20] ^= 1; return b },
	} {
		state := t.TempDir()
		v := noted(t, state)
		must(t, put(v, "/x", "text"), put(v, "/y", "text"), v.Remove("/y"), put(v, "/z", "text"))
		path := DiskDir(state, "blue") + indexSuffix
		b, err := os.ReadFile(path)
		must(t, err, os.WriteFile(path, spoil(b), 0o600))
		v = noted(t, state)
		must(t, v.Scan(t.Context(), Hand{true, 3}), put(v, "/x", "more"))
		if n := len(v.Manifest().Files); n != 2 {
			t.Errorf("%s: %d files are noted", name, n)
		}
		if again := noted(t, state); len(again.Manifest().Files) != 2 {
			t.Errorf("%s: and then %d", name, len(again.Manifest().Files))
		}
	}
}

// TestIndexIsBounded: the file does not grow with the number of changes.
func TestIndexIsBounded(t *testing.T) {
	d := newDisk(t, 1)
	v, err := onDisk(d)
	must(t, err)
	for range 3 * spareEntries {
		must(t, put(v, "/x", "text"))
	}
	if n := len(d.Tree("/", false)["/disk0.index"]); n > 500*spareEntries {
		t.Errorf("%d bytes", n)
	}
}

// TestDeleteOnFullDisk: a disk that is full keeps nobody from deleting; that the note of it
// has no room is an error only while there is none after the deletion, too.
func TestDeleteOnFullDisk(t *testing.T) {
	d := newDisk(t, 1)
	v, err := onDisk(d)
	must(t, err, put(v, "/x", "text"))
	d.Fill(true)
	if err := v.Remove("/x"); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("got %v", err)
	}
	if got := shown(d); got != "" {
		t.Errorf("it is still there: %q", got)
	}
	d.Fill(false)
	must(t, v.Scan(t.Context(), Hand{true, 1}), put(v, "/y", "text"))
	agrees(t, d, v)
}

// TestTombstonesAreBounded: the oldest is forgotten, and that is counted.
func TestTombstonesAreBounded(t *testing.T) {
	d := newDisk(t, 1)
	v, err := onDisk(d)
	must(t, err)
	for n := range catalog.MaxGone + 5 {
		e := v.index.Changed(catalog.Change{Path: fmt.Sprintf("/%d", n), Kind: catalog.KindGone})
		must(t, v.index.note(&e))
	}
	if st := v.State(); st.Dropped != 5 || v.index.Gone() != catalog.MaxGone {
		t.Errorf("%+v, %d tombstones", st, v.index.Gone())
	}
	v.Acknowledge(v.State().Head)
	if n := v.index.Gone(); n != catalog.KeepGone {
		t.Errorf("%d tombstones after the other unit has all", n)
	}
}

// TestIdentityThatIsTold: what a new disk has been called stays its name, whatever happens
// next. It has none where that cannot be written, and gets one later.
func TestIdentityThatIsTold(t *testing.T) {
	named := 0
	for steps := range 12 {
		d := newDisk(t, uint64(steps))
		d.CrashAfter(steps)
		var told catalog.Incarnation
		if v, err := onDisk(d); err == nil {
			told = v.State().Incarnation
		}
		d.CrashAfter(-1)
		d.Start(true)
		v, err := onDisk(d)
		must(t, err)
		switch is := v.State().Incarnation; {
		case told.ID == 0 && !is.Known():
			t.Errorf("after %d steps: the disk has no identity", steps)
		case told.ID != 0 && is != told:
			t.Errorf("after %d steps: it was told as %v, and is %v", steps, told, is)
		case told.ID != 0:
			named++
		}
	}
	if named == 0 || named == 12 {
		t.Errorf("%d of 12 disks were named before the crash", named)
	}
}

// TestDeletedFileUnderADirectory: a file that was deleted, of which the other unit has not
// heard, stays deleted where a crash leaves directories that were made in its place.
func TestDeletedFileUnderADirectory(t *testing.T) {
	left := 0
	for steps := range 30 {
		other, err := onDisk(newDisk(t, 1))
		must(t, err, put(other, "/d", "old"))
		d := newDisk(t, uint64(steps))
		v, err := onDisk(d)
		must(t, err, v.Scan(t.Context(), Hand{}))
		_, err = v.Accept(t.Context(), offerOf(t, other, "/d", nil))
		must(t, err, v.Remove("/d"))
		d.CrashAfter(steps)
		_ = put(v, "/d/e/x", "new") // it crashes somewhere, or not
		d.CrashAfter(-1)
		d.Start(steps%2 == 0)
		v, err = onDisk(d)
		must(t, err)
		if info, err := d.Stat("/disk0/d"); err == nil && info.IsDir() {
			left++
		}
		must(t, v.Scan(t.Context(), Hand{}))
		_, err = v.Accept(t.Context(), offerOf(t, other, "/d", nil))
		must(t, err)
		if got := shown(d); strings.Contains(got, "old") {
			t.Errorf("after %d steps: %s", steps, got)
		}
	}
	if left == 0 || left == 30 {
		t.Errorf("%d of 30 crashes left a directory", left)
	}
}
