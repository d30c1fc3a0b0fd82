package disks

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"

	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/catalog"
	"github.com/warrenvpn/warren/vfs/vfstest"
)

var (
	seed  = flag.Uint64("seed", 0, "play this seed only, and tell the story")
	start = flag.Uint64("first", 1, "the first seed to play")
	seeds = flag.Uint64("seeds", 150, "the last seed to play; make sim plays 1,000")
)

// simTime is how long things happen in a run; then the units have time to become the same.
const simTime = 40 * time.Second

// TestSeeds plays two units with everything that there is of this package, the files below
// it and their catalogues, on disks in memory, in virtual time. The wire loses, delays,
// repeats and reorders questions and answers; units crash between any two operations on
// their disks, and lose their power then or not; takeovers happen at any time, also while
// the other unit is active; disks fill up. A seed that fails is told by
//
//	go test ./system/disks -run TestSeeds -seed N
func TestSeeds(t *testing.T) {
	first, last := *start, *seeds
	if *seed != 0 {
		first, last = *seed, *seed
	}
	var total simCounts
	for s := first; s <= last && !t.Failed(); s++ {
		synctest.Test(t, func(t *testing.T) { total.add(play(t, s, *seed != 0).counts) })
	}
	t.Logf("%d seeds: %+v", last-first+1, total)
	if c := total; last-first >= 99 && (c.Both == 0 || c.Pending == 0 || c.Crashes == 0 || c.Takeovers == 0 ||
		c.Deleted == 0 || c.Kept == 0 || c.Full == 0 || c.Split == 0) {
		t.Errorf("something never happened: %+v", c)
	}
}

// TestSeedRepeats plays some seeds twice: what happens follows from the seed alone, so that
// one that fails can be told.
func TestSeedRepeats(t *testing.T) {
	for s := uint64(1); s <= 5; s++ {
		var stories [2]string
		for i := range stories {
			synctest.Test(t, func(t *testing.T) { stories[i] = play(t, s, false).story.text.String() })
		}
		if first, again, ok := differ(stories[0], stories[1]); ok {
			t.Errorf("seed %d goes another way when it is played again:\n%s\n%s", s, first, again)
		}
	}
}

// differ returns the first lines in which two texts differ.
func differ(a, b string) (lineA, lineB string, differ bool) {
	for a != b && lineA == lineB {
		lineA, a, _ = strings.Cut(a, "\n")
		lineB, b, _ = strings.Cut(b, "\n")
	}
	return lineA, lineB, lineA != lineB
}

// simCounts is what has happened; it shows that the runs have tested something.
type simCounts struct {
	Both, Pending, Failed, Deleted, Crashes, Takeovers, Split, Full, Kept int
}

func (c *simCounts) add(o simCounts) {
	c.Both += o.Both
	c.Pending += o.Pending
	c.Failed += o.Failed
	c.Deleted += o.Deleted
	c.Crashes += o.Crashes
	c.Takeovers += o.Takeovers
	c.Split += o.Split
	c.Full += o.Full
	c.Kept += o.Kept
}

// simWorld is one run. What happens in it follows from its seed alone: whoever waits does so
// until a moment of his own (pause), and whoever wakes somebody waits until that one waits
// (Versions). So one goroutine runs at a time, and chance is drawn in one order.
type simWorld struct {
	t     *testing.T
	start time.Time
	story simStory
	units [2]*simUnit

	mu       sync.Mutex // protects what follows
	rand     *rand.Rand
	cut      bool // nothing passes between the units
	calm     bool // the wire is a good one, and nobody crashes
	epoch    uint64
	versions map[string]*simVersion // by content
	counts   simCounts
}

// simVersion is one content that somebody has written, or tried to.
type simVersion struct {
	path     string
	acked    bool
	replaced bool // somebody who had it has put something else in its place, or has tried to
	deleted  bool // somebody who had it was told that it is deleted
}

// simUnit is one unit.
type simUnit struct {
	w    *simWorld
	i    int
	disk *vfstest.Disk
	log  *slog.Logger

	mu     sync.Mutex // protects what follows
	active bool
	epoch  uint64
	disks  *Disks // nil: the unit is down
	stop   func()
	had    map[string]string // by path: what an operation found there when it was committed
	busy   map[string]bool   // paths that an operation is under way for which is not committed yet
}

func play(t *testing.T, seed uint64, tell bool) *simWorld {
	cryptotest.SetGlobalRandom(t, seed) // disks, sessions, names aside
	w := &simWorld{t: t, rand: rand.New(rand.NewPCG(seed, 2)), versions: map[string]*simVersion{}, epoch: 1,
		start: time.Now()}
	out := &w.story
	for i := range w.units {
		w.units[i] = &simUnit{w: w, i: i, disk: vfstest.New(seed*2 + uint64(i)), active: i == 0, epoch: 1,
			had: map[string]string{}, busy: map[string]bool{},
			log: slog.New(slog.NewTextHandler(out, nil)).With("unit", i)}
		w.units[i].disk.MkdirAll("/blue/disk0", 0o700)
		for _, dir := range []string{"/", "/blue"} {
			f, _ := w.units[i].disk.Open(dir)
			f.Sync()
		}
	}
	for _, u := range w.units {
		w.pause(t.Context(), time.Second)
		u.start()
	}
	var actors sync.WaitGroup
	act := func(f func()) {
		actors.Go(f)
		synctest.Wait()
	}
	for _, u := range w.units {
		act(func() { u.write(seed) })
		act(u.crash)
	}
	act(w.disturb)
	actors.Wait()
	w.settle()
	for _, u := range w.units {
		u.down()
	}
	if t.Failed() || tell {
		t.Logf("seed %d:\n%s", seed, w.story.text.String())
	}
	return w
}

// goesOn reports whether there is still something to happen.
func (w *simWorld) goesOn() bool { return time.Since(w.start) < simTime }

// simStory is what happened, to be told when something has gone wrong.
type simStory struct {
	mu   sync.Mutex // protects text
	text strings.Builder
}

// Write implements io.Writer.
func (s *simStory) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (w *simWorld) tell(format string, args ...any) {
	fmt.Fprintf(&w.story, "%8v "+format+"\n", append([]any{time.Since(w.start).Round(time.Millisecond)}, args...)...)
}

func (w *simWorld) n(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

// pause waits for a while that nobody else waits for exactly.
func (w *simWorld) pause(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(time.Duration(w.n(int(most))) + 1)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// start is the start of the program on the unit: as the standby, unless the other one is down.
func (u *simUnit) start() {
	ctx, cancel := context.WithCancel(u.w.t.Context())
	d := New(&Config{
		Log: u.log, Unit: []string{"primary", "secondary"}[u.i],
		Place: func(string) (afero.Fs, afero.Fs, func() error, error) {
			return afero.NewBasePathFs(u.disk, "/blue/disk0"), afero.NewBasePathFs(u.disk, "/blue"),
				func() error { return nil }, nil
		},
		Standby: func(string) bool { u.mu.Lock(); defer u.mu.Unlock(); return !u.active },
		Paired:  u.done,
		Epoch:   u.commit,
		Peer:    func() Peer { return simWire{u.w, u, u.w.units[1-u.i]} },
	})
	if err := d.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 4000}}}); err != nil {
		if !u.disk.Crashed() {
			u.w.t.Errorf("start: %v", err)
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	u.mu.Lock()
	u.disks, u.stop = d, func() { cancel(); <-done; d.Close() }
	u.mu.Unlock()
	synctest.Wait() // until the follower waits
}

// commit is asked for the epoch when a change is made for good: it looks at what the change
// replaces.
func (u *simUnit) commit(string) uint64 {
	tree := u.disk.Tree("/blue/disk0", false)
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	for p := range u.busy {
		u.had[p] = tree[p]
		if v := u.w.versions[tree[p]]; v != nil {
			v.replaced = true
		}
	}
	return u.epoch
}

// done is asked whether there is a standby unit once a change is made for good.
func (u *simUnit) done(string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.busy)
	return true
}

// down ends the unit, if it is not down.
func (u *simUnit) down() {
	u.mu.Lock()
	stop := u.stop
	u.disks, u.stop = nil, nil
	u.active = false
	u.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// crash lets the unit crash now and then between two operations on its disk.
func (u *simUnit) crash() {
	ctx := u.w.t.Context()
	for u.w.goesOn() {
		u.w.pause(ctx, 8*time.Second)
		u.disk.CrashAfter(u.w.n(40))
		for u.w.goesOn() && !u.disk.Crashed() {
			u.w.pause(ctx, 100*time.Millisecond)
		}
		if !u.w.goesOn() {
			break
		}
		u.reboot(u.w.n(2) == 0)
		u.w.pause(ctx, time.Second)
	}
}

// reboot ends the unit after a crash and starts it again.
func (u *simUnit) reboot(powerLost bool) {
	u.w.tell("unit %d crashes; power lost: %v", u.i, powerLost)
	u.down()
	u.w.count(func(c *simCounts) { c.Crashes++ })
	if u.w.n(2) == 0 {
		u.w.takeover(1 - u.i)
	}
	u.w.pause(u.w.t.Context(), time.Second)
	u.disk.Start(powerLost)
	u.start()
}

func (w *simWorld) count(f func(*simCounts)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.counts)
}

// takeover makes a unit active. The other one hears of it unless nothing passes.
func (w *simWorld) takeover(i int) {
	w.mu.Lock()
	w.epoch++
	epoch, cut := w.epoch, w.cut
	w.counts.Takeovers++
	w.mu.Unlock()
	w.tell("unit %d takes over with epoch %d; cut off: %v", i, epoch, cut)
	u, other := w.units[i], w.units[1-i]
	if !cut {
		other.mu.Lock()
		other.active = false
		other.mu.Unlock()
	} else if other.isActive() {
		w.count(func(c *simCounts) { c.Split++ })
	}
	u.mu.Lock()
	u.active, u.epoch = u.disks != nil, epoch
	u.mu.Unlock()
}

func (u *simUnit) isActive() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.active
}

// disturb cuts the units apart, switches roles and fills disks.
func (w *simWorld) disturb() {
	ctx := w.t.Context()
	for w.goesOn() {
		w.pause(ctx, 2*time.Second)
		switch u := w.units[w.n(2)]; w.n(8) {
		case 0, 1:
			w.takeover(u.i)
		case 2, 3, 4:
			w.setCut(true)
			w.pause(ctx, 4*time.Second)
			w.takeover(w.n(2))
			w.pause(ctx, 6*time.Second)
			w.setCut(false)
		case 5:
			w.count(func(c *simCounts) { c.Full++ })
			u.disk.Fill(true)
			w.pause(ctx, 3*time.Second)
			u.disk.Fill(false)
		default:
			if !w.units[0].isActive() && !w.units[1].isActive() {
				w.takeover(u.i)
			}
		}
	}
}

// setCut cuts the units apart or joins them: then the lower epoch gives way.
func (w *simWorld) setCut(cut bool) {
	w.tell("cut off: %v", cut)
	w.mu.Lock()
	w.cut = cut
	w.mu.Unlock()
	if a, b := w.units[0], w.units[1]; !cut && a.isActive() && b.isActive() {
		if a.epoch > b.epoch {
			a = b
		}
		a.mu.Lock()
		a.active = false
		a.mu.Unlock()
	}
}

var simPaths = []string{"/x", "/y", "/d/x", "/d/e/y", "/d", "/z"}

// write is an operator at one unit.
func (u *simUnit) write(seed uint64) {
	ctx := u.w.t.Context()
	for n := 0; u.w.goesOn(); n++ {
		u.w.pause(ctx, 600*time.Millisecond)
		u.mu.Lock()
		d := u.disks
		u.mu.Unlock()
		if d == nil || !u.isActive() {
			continue
		}
		p := simPaths[u.w.n(len(simPaths))]
		u.mu.Lock()
		u.busy[p] = true
		delete(u.had, p)
		u.mu.Unlock()
		if u.w.n(4) == 0 {
			u.remove(ctx, d, p)
		} else {
			text := fmt.Sprintf("%d-%d-%d%s", seed, u.i, n, strings.Repeat(".", u.w.n(400)))
			u.put(ctx, d, p, text)
		}
		u.mu.Lock()
		delete(u.busy, p)
		u.mu.Unlock()
	}
}

func (u *simUnit) put(ctx context.Context, d *Disks, p, text string) {
	w := u.w
	w.mu.Lock()
	w.versions[text] = &simVersion{path: p}
	w.mu.Unlock()
	f, err := d.Write(ctx, "blue:disk0:"+p, int64(len(text)), strings.NewReader(text))
	w.tell("unit %d writes %s %.12s: pending %v, %v", u.i, p, text, f.Pending, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	u.replacedLocked(p)
	switch v := w.versions[text]; {
	case err != nil:
		w.counts.Failed++
	case f.Pending:
		w.counts.Pending++
		v.acked = true
	default:
		w.counts.Both++
		v.acked = true
		w.wantBothLocked(text)
	}
}

// replacedLocked notes that what was there is replaced, or may be.
func (u *simUnit) replacedLocked(p string) (was *simVersion) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if v := u.w.versions[u.had[p]]; v != nil {
		v.replaced = true
		return v
	}
	return nil
}

// wantBothLocked checks that a content which is acknowledged is on both disks for good, as
// far as nobody has replaced it meanwhile.
func (w *simWorld) wantBothLocked(text string) {
	if w.versions[text].replaced {
		return
	}
	for _, u := range w.units {
		if !slices.Contains(slices.Collect(maps.Values(u.disk.Tree("/blue/disk0", true))), text) {
			w.t.Errorf("%.12s is acknowledged, and unit %d has it not: %s", text, u.i, listing(u.disk))
		}
	}
}

func (u *simUnit) remove(ctx context.Context, d *Disks, p string) {
	pending, err := d.Delete(ctx, "blue:disk0:"+p)
	u.w.tell("unit %d deletes %s: pending %v, %v", u.i, p, pending, err)
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	if v := u.replacedLocked(p); v != nil && err == nil {
		v.deleted = true
		u.w.counts.Deleted++
	}
}

func listing(d *vfstest.Disk) string {
	var b strings.Builder
	tree := d.Tree("/blue/disk0", false)
	for _, p := range slices.Sorted(maps.Keys(tree)) {
		fmt.Fprintf(&b, "%s=%.12s ", p, tree[p])
	}
	return b.String()
}

// settle gives the units time without any disturbance, and judges what they have then.
func (w *simWorld) settle() {
	w.setCut(false)
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	for _, u := range w.units {
		u.disk.Fill(false)
		if u.disk.Crashed() {
			u.reboot(true)
		}
		u.disk.CrashAfter(-1)
		if u.disk.Crashed() {
			u.reboot(true)
		}
	}
	w.takeover(w.n(2))
	time.Sleep(time.Minute)
	var trees [2]map[string]string
	for i, u := range w.units {
		trees[i] = u.disk.Tree("/blue/disk0", false)
		saved := u.disk.Tree("/blue/disk0", true)
		maps.DeleteFunc(saved, func(p, _ string) bool { return strings.HasPrefix(path.Base(p), ".~") }) // not for long
		if !maps.Equal(trees[i], saved) {
			w.t.Errorf("unit %d would lose something with its power: %s", i, listing(u.disk))
		}
	}
	if !maps.Equal(trees[0], trees[1]) {
		w.t.Errorf("the units differ:\n%s\n%s", listing(w.units[0].disk), listing(w.units[1].disk))
	}
	beside := map[string]int{}
	at := map[string][]string{}
	for p, text := range trees[0] {
		at[text] = append(at[text], p)
		if name, _, kept := strings.Cut(p, "~"); kept {
			beside[name]++
			w.counts.Kept++
		}
		if strings.HasPrefix(path.Base(p), ".~") {
			w.t.Errorf("%s is left", p)
		}
		if v := w.versions[text]; text != "/" && (v == nil || !strings.HasPrefix(p, v.path)) {
			w.t.Errorf("%s has %.12s, which nobody has written there", p, text)
		}
	}
	for text, v := range w.versions {
		switch {
		case v.deleted && slices.Contains(at[text], v.path):
			w.t.Errorf("%s has %.12s, which was deleted", v.path, text)
		case v.acked && !v.replaced && at[text] == nil && beside[v.path] < catalog.MaxBeside:
			w.t.Errorf("%.12s of %s was acknowledged and is nowhere: %s", text, v.path, listing(w.units[0].disk))
		}
	}
}

// simWire is the other unit as a unit sees it.
type simWire struct {
	w        *simWorld
	from, to *simUnit
}

var errLost = errors.New("lost on the way")

// passes takes a question or an answer to the other unit: it may be lost, or late.
func (s simWire) passes(ctx context.Context) bool {
	s.w.mu.Lock()
	calm := s.w.calm
	s.w.mu.Unlock()
	s.w.pause(ctx, 20*time.Millisecond)
	if !calm && s.w.n(20) == 0 {
		s.w.pause(ctx, 3*time.Second)
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return !s.w.cut && ctx.Err() == nil && (calm || s.w.rand.IntN(15) > 0)
}

// carry asks the other unit, which may hear the question twice.
func carry[T any](ctx context.Context, s simWire, ask func(*Disks) (T, error)) (T, error) {
	var none T
	if !s.passes(ctx) {
		return none, errLost
	}
	s.to.mu.Lock()
	d := s.to.disks
	s.to.mu.Unlock()
	if d == nil || s.to.disk.Crashed() {
		return none, errLost
	}
	out, err := ask(d)
	if s.w.n(10) == 0 {
		out, err = ask(d)
	}
	if err != nil {
		return none, err
	}
	if !s.passes(ctx) {
		return none, errLost
	}
	return out, nil
}

// Versions implements Peer.
func (s simWire) Versions(ctx context.Context, wake bool) ([]Version, error) {
	return carry(ctx, s, func(d *Disks) ([]Version, error) {
		list, err := d.Versions(wake)
		if wake {
			synctest.Wait() // until the follower waits for its own question
		}
		return list, err
	})
}

// News implements Peer.
func (s simWire) News(ctx context.Context, tenant string, session, since uint64) (catalog.News, error) {
	return carry(ctx, s, func(d *Disks) (catalog.News, error) {
		n, err := d.News(tenant, session, since)
		if err != nil {
			return n, err
		}
		return catalog.ParseNews(catalog.AppendNews(nil, &n))
	})
}

// Open implements Peer.
func (s simWire) Open(ctx context.Context, name string, sum catalog.Sum, offset int64) (io.ReadCloser, error) {
	r, err := carry(ctx, s, func(d *Disks) (io.ReadCloser, error) {
		_, r, err := d.OpenSum(name, sum.String(), offset)
		return r, err
	})
	if err != nil {
		return nil, err
	}
	return &simContent{r, s, ctx}, nil
}

// simContent is content on the wire, which may be cut.
type simContent struct {
	io.ReadCloser
	s   simWire
	ctx context.Context
}

// Read implements io.Reader.
func (c *simContent) Read(b []byte) (int, error) {
	c.s.w.pause(c.ctx, 5*time.Millisecond)
	c.s.w.mu.Lock()
	cut, calm := c.s.w.cut, c.s.w.calm
	c.s.w.mu.Unlock()
	if cut || !calm && c.s.w.n(20) == 0 {
		return 0, errLost
	}
	return c.ReadCloser.Read(b[:min(len(b), 100)])
}
