package disks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/catalog"
	"github.com/warrenvpn/warren/vfs/vfstest"
)

// unit is one node of a pair, as far as files go.
type unit struct {
	*Disks
	active atomic.Bool
	dir    string // of blue's disk
	state  string
	log    bytes.Buffer

	reads int                         // of files, by the other unit
	twist func(r io.Reader) io.Reader // what happens to content on the way
	news  func(n *catalog.News)       // what happens to news
	away  error

	follows string // what an older program says
	epoch   uint64
	paired  bool
	peer    func() Peer // the other unit
}

// newUnit returns a unit whose context blue may hold 1000 bytes.
func newUnit(t *testing.T, active bool) *unit {
	t.Helper()
	state := t.TempDir()
	u := &unit{state: state, dir: vfs.DiskDir(state, "blue"), twist: func(r io.Reader) io.Reader { return r },
		news: func(*catalog.News) {}, peer: func() Peer { return nil }}
	if u.active.Store(active); active {
		u.epoch = 1
	}
	u.open(t)
	t.Cleanup(func() { u.Close() })
	return u
}

// open is the start of warrend on the unit.
func (u *unit) open(t *testing.T) {
	t.Helper()
	u.Disks = New(&Config{
		StateDir: u.state, Log: slog.New(slog.NewTextHandler(&u.log, nil)), Unit: "primary",
		Standby: func(string) bool { return !u.active.Load() },
		Paired:  func(string) bool { return u.paired },
		Epoch:   func(string) uint64 { return u.epoch },
		Peer:    func() Peer { return u.peer() },
	})
	if err := u.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 1000}}, {Context: "red"}}); err != nil {
		t.Fatal(err)
	}
}

// swap makes the other unit the active one.
func swap(units ...*unit) {
	epoch := max(units[0].epoch, units[1].epoch) + 1
	for _, u := range units {
		if u.active.Store(!u.active.Load()); u.active.Load() {
			u.epoch = epoch
		}
	}
}

// otherUnit is a unit as the other one sees it.
type otherUnit struct{ u *unit }

// Versions implements Peer.
func (o otherUnit) Versions(_ context.Context, wake bool) ([]Version, error) {
	if o.u.away != nil {
		return nil, o.u.away
	}
	return o.u.Versions(wake)
}

// News implements Peer.
func (o otherUnit) News(_ context.Context, tenant string, session, since uint64) (catalog.News, error) {
	n, err := o.u.News(tenant, session, since)
	o.u.news(&n)
	return n, err
}

// Open implements Peer.
func (o otherUnit) Open(_ context.Context, name string, sum catalog.Sum, offset int64) (io.ReadCloser, error) {
	o.u.reads++
	_, r, err := o.u.OpenSum(name, sum.String(), offset)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{o.u.twist(r), r}, nil
}

func (u *unit) put(t *testing.T, path, text string) {
	t.Helper()
	if _, err := u.Write(t.Context(), "blue:disk0:"+path, int64(len(text)), strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
}

func (u *unit) remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if _, err := u.Delete(t.Context(), "blue:disk0:"+p); err != nil {
			t.Fatal(err)
		}
	}
}

// follow returns a follower of to, and what makes one pass.
func (u *unit) follow(to *unit) *follower {
	u.peer = func() Peer { return otherUnit{to} }
	return newFollower(u.Disks)
}

// keptAt is the end of the name of a file that was kept beside another one.
var keptAt = regexp.MustCompile(`~primary-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}`)

// wantSame checks that both units have the files that are listed.
func wantSame(t *testing.T, a, b *unit, want string) {
	t.Helper()
	for _, u := range []*unit{a, b} {
		if got := keptAt.ReplaceAllString(vfstest.HostTree(t, u.dir), "~primary-TIME"); got != want {
			t.Errorf("got  %q\nwant %q\n%s", got, want, u.log.String())
		}
	}
}

// TestAnotherDisk: a disk here that is another one than before, because its context was
// removed and has come back, gets everything from the peer, whose disk has stayed.
func TestAnotherDisk(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, false)
	w := b.follow(a)
	a.put(t, "/x", "one")
	w.pass(t.Context())
	if err := b.Set([]vfs.Disk0{{Context: "red"}}); err != nil {
		t.Fatal(err)
	}
	b.SetAside([]string{"blue"})
	if err := b.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 1000}}, {Context: "red"}}); err != nil {
		t.Fatal(err)
	}
	w.pass(t.Context())
	wantSame(t, a, b, "x=one")
}

// TestFollowForgets: nothing stays of a context that has gone, and one that comes back is told
// of as any other.
func TestFollowForgets(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, false)
	w := b.follow(a)
	a.put(t, "/x", strings.Repeat("x", 10))
	if err := b.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 1}}}); err != nil {
		t.Fatal(err)
	}
	w.pass(t.Context())
	w.dropped["blue"] = 7
	if w.at["blue"] == nil || w.scanned["blue"].IsZero() || w.told["blue"] == "" || w.told["red"] == "" {
		t.Fatalf("there is %v, %v, %q", w.at, w.scanned, w.told)
	}
	for _, u := range []*unit{a, b} {
		if err := u.Set(nil); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(t.Context())
	if n := len(w.at) + len(w.scanned) + len(w.dropped); n > 0 || w.told["blue"]+w.told["red"] != "" {
		t.Errorf("there is %v, %v, %v, %q", w.at, w.scanned, w.dropped, w.told)
	}
}

// TestFollow takes two units through changes, and through a switch.
func TestFollow(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, false)
	w, back := b.follow(a), a.follow(b)
	w.lookAgain, back.lookAgain = 0, 0
	a.put(t, "/x", "one")
	a.put(t, "/d/e/y", "two")
	w.pass(t.Context())
	wantSame(t, a, b, "d d/e d/e/y=two x=one")
	w.pass(t.Context())
	if a.reads != 2 {
		t.Errorf("without a change: %d reads", a.reads)
	}

	a.put(t, "/x", "ONE")
	a.put(t, "/z", "")
	w.pass(t.Context())
	wantSame(t, a, b, "d d/e d/e/y=two x=ONE z=")

	// What was a directory is a file, and the other way round.
	a.remove(t, "/d/e/y", "/d/e", "/d", "/x")
	a.put(t, "/d", "file")
	a.put(t, "/x/y", "below")
	w.pass(t.Context())
	wantSame(t, a, b, "d=file x x/y=below z=")

	// What is deleted on the host is deleted, too, where the context is active.
	a.put(t, "/w", "text")
	w.pass(t.Context())
	back.pass(t.Context())
	if err := os.Remove(filepath.Join(a.dir, "w")); err != nil {
		t.Fatal(err)
	}
	back.pass(t.Context())
	w.pass(t.Context())
	wantSame(t, a, b, "d=file x x/y=below z=")

	// Now the other unit is active.
	swap(a, b)
	b.put(t, "/d", "of b")
	b.remove(t, "/z")
	w.pass(t.Context())
	back.pass(t.Context())
	wantSame(t, a, b, "d=of b x x/y=below")
	if strings.Contains(a.log.String()+b.log.String(), "WARN") {
		t.Errorf("warnings:\n%s%s", a.log.String(), b.log.String())
	}
}

// TestStandbyIsReadOnly: an operator changes files on the active unit only.
func TestStandbyIsReadOnly(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, false)
	a.put(t, "/x", "text")
	b.follow(a).pass(t.Context())
	ctx := t.Context()
	_, writeErr := b.Write(ctx, "blue:disk0:/x", 1, strings.NewReader("y"))
	_, copyErr := b.Copy(ctx, "blue:disk0:/x", "red:disk0:/x", nil)
	_, deleteErr := b.Delete(ctx, "blue:disk0:/x")
	for _, err := range []error{writeErr, copyErr, deleteErr} {
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.CodeRefused ||
			!strings.HasSuffix(e.Reason, `is standby on this unit`) || e.Hint == "" {
			t.Errorf("got %v, want a refusal", err)
		}
	}
	if d, err := b.List("blue:disk0:/"); err != nil || !d.ReadOnly || len(d.Files) != 1 {
		t.Errorf("dir: %+v, %v", d, err)
	}
	if _, err := b.Verify(ctx, "blue:disk0:/x"); err != nil {
		t.Errorf("verify: %v", err)
	}
	if m, err := b.Manifest("blue"); err != nil || !m.Standby {
		t.Errorf("got %+v, %v: somebody could follow a follower", m, err)
	}
	wantSame(t, a, b, "x=text")
}

// TestFollowFails: whatever goes wrong, files are old or new, it is said once,
// and the next pass makes it good.
func TestFollowFails(t *testing.T) {
	broken := errors.New("the link is cut")
	tests := []struct {
		name  string
		spoil func(a, b *unit)
		mend  func(a, b *unit)
		want  string // in b's log
		left  string // on b's disk meanwhile
	}{
		{"peer is away", func(a, _ *unit) { a.away = broken }, func(a, _ *unit) { a.away = nil }, "the link is cut",
			"x=old"},
		{"link is cut in the middle", func(a, _ *unit) {
			a.twist = func(r io.Reader) io.Reader {
				return io.MultiReader(io.LimitReader(r, 2), iotest.ErrReader(broken))
			}
		}, nil, "the link is cut", "x=old"},
		{"content is damaged", func(a, _ *unit) {
			a.twist = func(r io.Reader) io.Reader { return iotest.DataErrReader(upper{r}) }
		}, nil, "has changed on the other unit", "x=old"},
		{"name leads out", func(a, _ *unit) {
			a.news = func(n *catalog.News) {
				n.Entries = append([]catalog.Entry{{Path: "/../../../red/disk0/x"}}, n.Entries...)
			}
		}, func(a, _ *unit) { a.news = func(*catalog.News) {} }, "which cannot be", "x=old"},
		{"disk is full", func(_, b *unit) {
			b.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 5}}, {Context: "red"}})
		}, func(_, b *unit) {
			b.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 1000}}, {Context: "red"}})
		}, "the storage limit is 5 bytes", "x=old"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			a, b := newUnit(t, true), newUnit(t, false)
			w := b.follow(a)
			a.put(t, "/x", "old")
			w.pass(t.Context())
			b.log.Reset()
			a.put(t, "/x", "new")
			tt.spoil(a, b)
			w.pass(t.Context())
			if tt.want == "" {
				if strings.Contains(b.log.String(), "WARN") {
					t.Errorf("log: %s", b.log.String())
				}
			} else if w.pass(t.Context()); strings.Count(b.log.String(), "files not replicated") != 1 ||
				!strings.Contains(b.log.String(), tt.want) {
				t.Errorf("log:\n%swant one line with %q", b.log.String(), tt.want)
			}
			if got := vfstest.HostTree(t, b.dir); got != tt.left {
				t.Errorf("meanwhile: %q, want %q", got, tt.left)
			}
			a.twist = func(r io.Reader) io.Reader { return r }
			if tt.mend != nil {
				tt.mend(a, b)
			}
			w.pass(t.Context())
			wantSame(t, a, b, "x=new")
		})
	}
}

// TestForgottenIsNoLack: a file that could not be taken is not lacking any more once the other
// unit has lost it, and nothing is left of what was copied of it.
func TestForgottenIsNoLack(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, false)
	w, scan := b.follow(a), newFollower(a.Disks)
	scan.lookAgain = 0
	a.put(t, "/x", "some text")
	a.put(t, "/y", "y")
	a.twist = func(r io.Reader) io.Reader {
		return io.MultiReader(io.LimitReader(r, 2), iotest.ErrReader(errors.New("the link is cut")))
	}
	w.pass(t.Context())
	a.twist = func(r io.Reader) io.Reader { return r }
	lacks := func() []string { return b.taken["blue"].Lacks }
	a.active.Store(false) // so that the file is not deleted, but lost
	if err := os.Remove(filepath.Join(a.dir, "x")); err != nil {
		t.Fatal(err)
	}
	if w.pass(t.Context()); !slices.Equal(lacks(), []string{"/x"}) {
		t.Errorf("while nobody has looked it lacks %q", lacks())
	}
	scan.scan(t.Context())
	if w.pass(t.Context()); len(lacks()) > 0 || w.told["blue"] != "" {
		t.Errorf("lacks %q, told %q", lacks(), w.told["blue"])
	}
	wantSame(t, a, b, "y=y")
	if left, err := filepath.Glob(filepath.Join(b.dir, ".~*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// upper is content in which every letter is another.
type upper struct{ r io.Reader }

func (u upper) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	copy(b, bytes.ToUpper(b[:n]))
	return n, err
}

// TestFollowFull: a disk that is as full as it may be is followed as well.
func TestFollowFull(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, false)
	w := b.follow(a)
	a.put(t, "/a", strings.Repeat("a", 900))
	w.pass(t.Context())
	a.remove(t, "/a")
	a.put(t, "/b", strings.Repeat("b", 900))
	w.pass(t.Context())
	wantSame(t, a, b, "b="+strings.Repeat("b", 900))
}

// TestFollowWhateverRoles: what becomes of files does not depend on who is active.
func TestFollowWhateverRoles(t *testing.T) {
	for _, active := range []bool{true, false} {
		a, b := newUnit(t, true), newUnit(t, true)
		a.put(t, "/x", "a's")
		b.put(t, "/y", "b's")
		a.active.Store(active)
		b.active.Store(active)
		for _, w := range []*follower{a.follow(b), b.follow(a)} {
			w.pass(t.Context())
		}
		wantSame(t, a, b, "x=a's y=b's")
	}
	none := newUnit(t, false)
	newFollower(none.Disks).pass(t.Context())
}

// TestFollowLosesNothing: what one unit has and the other never had stays, whoever
// is active, and both have it in the end.
func TestFollowLosesNothing(t *testing.T) {
	const kept = "~primary-TIME"
	tests := []struct {
		name string
		play func(t *testing.T, a, b *unit, level func())
		want string
		log  string // in one of the two
	}{
		{"a takeover before the standby unit has anything", func(t *testing.T, a, b *unit, _ func()) {
			a.put(t, "/d/x", "acknowledged")
			a.put(t, "/y", "too")
			swap(a, b)
		}, "d d/x=acknowledged y=too", "files taken that only the standby unit had"},
		{"a new disk", func(t *testing.T, a, b *unit, level func()) {
			a.put(t, "/x", "text")
			level()
			swap(a, b)
			b.Close()
			for _, name := range []string{b.dir, b.dir + ".index"} {
				os.RemoveAll(name)
			}
			b.open(t)
		}, "x=text", "files taken that only the standby unit had"},
		{"a disk that somebody emptied", func(t *testing.T, a, b *unit, level func()) {
			a.put(t, "/x", "text")
			level()
			if err := os.Remove(filepath.Join(a.dir, "x")); err != nil {
				t.Fatal(err)
			}
			a.Close()
			a.open(t)
		}, "x=text", "files taken that only the standby unit had"},
		{"both have written while they were apart", func(t *testing.T, a, b *unit, level func()) {
			a.put(t, "/x", "first")
			level()
			a.put(t, "/x", "of a")
			swap(a, b)
			b.put(t, "/x", "of b")
		}, "x=of b x" + kept + "=of a", "file kept beside"},
		{"changed, then the other takes over", func(t *testing.T, a, b *unit, level func()) {
			a.put(t, "/x", "first")
			level()
			a.put(t, "/x", "second")
			swap(a, b)
		}, "x=second", "files taken that only the standby unit had"},
		{"a file where the other has a directory", func(t *testing.T, a, b *unit, _ func()) {
			a.put(t, "/x", "file")
			swap(a, b)
			b.put(t, "/x/y", "below")
		}, "x x/y=below x" + kept + "=file", "file kept beside"},
		{"a directory where the other has a file", func(t *testing.T, a, b *unit, _ func()) {
			a.put(t, "/x/y", "below")
			swap(a, b)
			b.put(t, "/x", "file")
		}, "x x/y=below x" + kept + "=file", "file kept beside"},
		{"deleted, then the other takes over", func(t *testing.T, a, b *unit, level func()) {
			a.put(t, "/x", "text")
			level()
			a.remove(t, "/x")
			swap(a, b)
		}, "", "deletions taken that only the standby unit had"},
		{"changed by hand on the standby unit", func(t *testing.T, a, b *unit, level func()) {
			a.put(t, "/x", "text")
			level()
			if err := os.WriteFile(filepath.Join(b.dir, "x"), []byte("hand"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "x=text x" + kept + "=hand", "file kept beside"},
		{"deleted before a start", func(t *testing.T, a, b *unit, level func()) {
			a.put(t, "/x", "text")
			a.put(t, "/y", "text")
			level()
			a.remove(t, "/x")
			a.Close()
			a.open(t)
		}, "y=text", ""},
		{"deleted and made again", func(t *testing.T, a, b *unit, level func()) {
			a.put(t, "/x", "text")
			level()
			a.remove(t, "/x")
			a.put(t, "/x", "text")
		}, "x=text", ""},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			a, b := newUnit(t, true), newUnit(t, false)
			level := func() {
				for range 3 {
					for _, w := range []*follower{a.follow(b), b.follow(a)} {
						w.lookAgain = 0
						w.pass(t.Context())
					}
				}
			}
			tt.play(t, a, b, level)
			level()
			wantSame(t, a, b, tt.want)
			if all := a.log.String() + b.log.String(); !strings.Contains(all, tt.log) || tt.log == "" &&
				strings.Contains(all, "WARN") {
				t.Errorf("log:\n%swant %q", all, tt.log)
			}
		})
	}
}

// TestPending: whoever changes a file hears whether the standby unit has it.
func TestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newUnit(t, true), newUnit(t, false)
		a.paired, a.peer = true, func() Peer { return otherUnit{b} }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		w := b.follow(a)
		go func() { defer close(done); w.run(ctx) }()
		write := func(text string) (bool, time.Duration) {
			begun := time.Now()
			info, err := a.Write(t.Context(), "blue:disk0:/x", int64(len(text)), strings.NewReader(text))
			d, dirErr := a.List("blue:disk0:/")
			if err != nil || dirErr != nil || d.Pending != info.Pending {
				t.Errorf("copy: %+v, %v; dir: %+v, %v", info, err, d, dirErr)
			}
			return info.Pending, time.Since(begun)
		}
		if pending, took := write("one"); pending || took > 4*awaitAgain {
			t.Errorf("pending %v after %v, want to hear that the standby unit has it", pending, took)
		}
		wantSame(t, a, b, "x=one")
		cancel()
		<-done
		if pending, took := write("two"); !pending || took != awaitLimit {
			t.Errorf("the standby unit does nothing: pending %v after %v", pending, took)
		}
		a.peer = func() Peer { return nil }
		if pending, took := write("three"); !pending || took != 0 {
			t.Errorf("no standby unit: pending %v after %v", pending, took)
		}
		if err := a.Put(t.Context(), "blue:disk0:/y", []byte("four")); err != nil {
			t.Error(err)
		}
		names := []string{"blue:disk0:/x", "blue:disk0:/y", "images:/z", "red:disk0:/none"}
		if got := a.Pending(t.Context(), names); !slices.Equal(got, []string{"blue:disk0:/x", "blue:disk0:/y"}) {
			t.Errorf("pending: %q", got)
		}
		if kept, pending := a.Replication("blue"); kept != 0 || !pending {
			t.Errorf("replication: %d kept, pending %v", kept, pending)
		}
		a.active.Store(false)
		if d, err := a.List("blue:disk0:/"); err != nil || d.Pending {
			t.Errorf("on the standby unit: %+v, %v", d, err)
		}
	})
}

// TestPendingBeside: what was written is pending as long as the other unit has not the file
// that it was kept in meanwhile, because both units had changed it.
func TestPendingBeside(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, true)
	b.epoch = 2
	atA, atB := a.follow(b), b.follow(a)
	for _, w := range []*follower{atA, atB} { // one disk
		w.pass(t.Context())
	}
	a.put(t, "/x", strings.Repeat("a", 600))
	b.put(t, "/x", strings.Repeat("b", 300))
	b.put(t, "/full", strings.Repeat("f", 600))
	a.paired = true
	if err := a.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 2000}}, {Context: "red"}}); err != nil {
		t.Fatal(err)
	}
	n := vfs.Name{Context: "blue", Volume: vfs.Disk, Path: "/x"}
	want := func(pending bool) {
		t.Helper()
		for range 2 {
			atA.pass(t.Context())
			atB.pass(t.Context())
		}
		atA.pass(t.Context())
		if got := a.pending(n, "/x"); got != pending {
			t.Errorf("pending %v with %q and %q", got, vfstest.HostTree(t, a.dir), vfstest.HostTree(t, b.dir))
		}
	}
	want(true)
	b.remove(t, "/full")
	want(false)
	wantSame(t, a, b, "x="+strings.Repeat("b", 300)+" x~primary-TIME="+strings.Repeat("a", 600))
}

// TestPaced: files take no more of the link than they may.
func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := resource.Bucket{Rate: followRate, Burst: followBurst}
		begun := time.Now()
		n, err := io.Copy(io.Discard, &paced{Reader: io.LimitReader(zeros{}, 5*followRate), ctx: t.Context(),
			bucket: &bucket, failed: new(error)})
		if took := time.Since(begun); err != nil || n != 5*followRate || took < 4900*time.Millisecond ||
			took > 5100*time.Millisecond {
			t.Errorf("%d bytes, %v, in %v", n, err, took)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := io.Copy(io.Discard, &paced{Reader: zeros{}, ctx: ended, bucket: &bucket,
			failed: new(error)}); !errors.Is(
			err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestFollowRuns: the loop notices a change by itself, and ends.
func TestFollowRuns(t *testing.T) {
	a, b := newUnit(t, true), newUnit(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	w := b.follow(a)
	go func() { defer close(done); w.run(ctx) }()
	a.put(t, "/x", "text")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for { // as long as the test may take
		if _, err := os.Stat(filepath.Join(b.dir, "x")); err == nil {
			break
		}
		<-tick.C
	}
	cancel()
	<-done
	wantSame(t, a, b, "x=text")
}
