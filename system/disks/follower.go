package disks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/catalog"
)

const (
	// followEvery is how often a unit asks whether anything has changed on the other one.
	followEvery = time.Second
	// followRate is what files may take of a link that SAs are replicated over,
	// in bytes per second, and followBurst what they may take at once.
	followRate  = 32 << 20
	followBurst = 1 << 20
	// lookAgain is how long a change may go unnoticed that somebody makes on the
	// host, behind the back of warrend.
	lookAgain = 30 * time.Second
	// followTimeout bounds one context: larger disks go on in the next pass.
	followTimeout = 10 * time.Minute
	// maxLacks is how many files of a disk a unit may fail to take and go on with others.
	maxLacks = 64
)

// Peer are the disks of the other unit of a pair. Its methods block no longer than ctx.
type Peer interface {
	Versions(ctx context.Context, wake bool) ([]Version, error)
	// News returns what has changed on disk0: of a context behind a position of a session.
	News(ctx context.Context, tenant string, session, since uint64) (catalog.News, error)
	// Open returns a content of a file from an offset on; the caller closes it. It is an
	// error when the file has another content.
	Open(ctx context.Context, name string, sum catalog.Sum, offset int64) (io.ReadCloser, error)
}

// follower makes the disks of the two units the same. Each unit pulls from the other one,
// whoever is active: nobody but this unit ever writes to its disks. What of two versions
// stays is decided by the catalogues (package catalog) and not by roles, so it does not
// matter who takes over when.
//
// It belongs to the goroutine of run.
type follower struct {
	disks     *Disks
	log       *slog.Logger
	pace      resource.Bucket
	lookAgain time.Duration
	now       func() time.Time

	at      map[string]*following // by context
	scanned map[string]time.Time
	dropped map[string]uint64 // what was said of deletions that were forgotten
	told    map[string]string // what was said of a context last
}

// following is how far the disk of one context is.
type following struct {
	session, position uint64                   // everything of the peer's up to here was taken
	own               uint64                   // vfs.State.Session of the disk here that has it
	lacks             map[string]catalog.Entry // but these
	parts             bool                     // there may be something of a copy that has not ended
}

func newFollower(d *Disks) *follower {
	return &follower{
		disks: d, log: d.cfg.Log, pace: resource.Bucket{Rate: followRate, Burst: followBurst}, lookAgain: lookAgain,
		now: time.Now, at: map[string]*following{}, scanned: map[string]time.Time{}, dropped: map[string]uint64{},
		told: map[string]string{},
	}
}

// run follows until ctx ends. A pass is the answer to everybody who has asked for one before
// it.
func (w *follower) run(ctx context.Context) {
	timer := time.NewTimer(followEvery)
	defer timer.Stop()
	for ctx.Err() == nil {
		w.pass(ctx)
		timer.Reset(followEvery)
		select {
		case <-timer.C:
		case <-w.disks.wake:
		case <-ctx.Done():
		}
		select {
		case <-w.disks.wake:
		default:
		}
	}
}

// pass looks at every context once.
func (w *follower) pass(ctx context.Context) {
	w.scan(ctx)
	peer := w.disks.cfg.Peer()
	if peer == nil {
		return
	}
	list, err := peer.Versions(ctx, false)
	if err != nil {
		w.logOnce(ctx, "", err)
		return
	}
	w.logOnce(ctx, "", nil)
	w.disks.notePeer(list)
	w.forgetPeers(list)
	for _, theirs := range list {
		w.logOnce(ctx, theirs.Context, guard.Run(w.log, "the replication of files",
			func() error { return w.follow(ctx, peer, theirs) }))
	}
}

// scan looks now and then for what somebody has changed on the host.
func (w *follower) scan(ctx context.Context) {
	tenants := w.disks.tenants()
	w.forget(tenants)
	for _, tenant := range tenants {
		if at, ok := w.scanned[tenant]; ok && w.now().Sub(at) < w.lookAgain {
			continue
		}
		v, err := w.disks.volume(tenant)
		if err != nil {
			continue // it has just gone
		}
		w.scanned[tenant] = w.now()
		if err := v.Scan(ctx, w.disks.hand(tenant)); err != nil && ctx.Err() == nil {
			w.log.Warn("files not looked through", "tenant", tenant, "reason", err)
		}
		if n := v.State().Dropped; n > w.dropped[tenant] {
			w.log.Warn("deletions forgotten that the other unit has not heard of: it may bring the files back",
				"tenant", tenant, "count", n-w.dropped[tenant])
			w.dropped[tenant] = n
		}
	}
}

// forget forgets contexts that have gone: one of the same name is another one.
func (w *follower) forget(tenants []string) {
	is := make(map[string]bool, len(tenants))
	for _, tenant := range tenants {
		is[tenant] = true
	}
	gone := func(tenant string) bool { return !is[tenant] }
	maps.DeleteFunc(w.at, func(tenant string, _ *following) bool { return gone(tenant) })
	maps.DeleteFunc(w.scanned, func(tenant string, _ time.Time) bool { return gone(tenant) })
	maps.DeleteFunc(w.dropped, func(tenant string, _ uint64) bool { return gone(tenant) })
}

// forgetPeers forgets what was said of contexts that the peer does not tell of any more. Of
// those that it tells of something is said once, also where they are not here.
func (w *follower) forgetPeers(list []Version) {
	is := make(map[string]bool, len(list))
	for _, one := range list {
		is[one.Context] = true
	}
	maps.DeleteFunc(w.told, func(tenant, _ string) bool { return tenant != "" && !is[tenant] })
}

// logOnce logs what is wrong with a context, or with all (""), once.
func (w *follower) logOnce(ctx context.Context, tenant string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if ctx.Err() != nil || w.told[tenant] == text {
		return
	}
	w.told[tenant] = text
	switch {
	case text != "" && tenant != "":
		w.log.Warn("files not replicated", "tenant", tenant, "reason", text)
	case text != "":
		w.log.Warn("files not replicated", "reason", text)
	}
}

// errOlder is what there is to say of a peer that knows no versions.
var errOlder = errors.New("the other unit's program is older and knows no versions of files: upgrade it")

// follow takes what is new on one disk of the peer.
func (w *follower) follow(ctx context.Context, peer Peer, theirs Version) error {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	v, err := w.disks.volume(theirs.Context)
	if err != nil {
		return err
	}
	if theirs.Session == 0 {
		return errOlder
	}
	if v, err = w.meet(v, theirs); v == nil {
		return err
	}
	f := w.at[theirs.Context]
	if own := v.State().Session; f == nil || f.session != theirs.Session || f.own != own {
		f = &following{session: theirs.Session, own: own, parts: true, lacks: map[string]catalog.Entry{}}
		w.at[theirs.Context] = f
		w.disks.noteTaken(theirs.Context, f)
	}
	t := &taking{follower: w, following: f, peer: peer, tenant: theirs.Context, disk: v}
	defer t.report()
	again := slices.SortedFunc(maps.Values(f.lacks), func(a, b catalog.Entry) int {
		return int(int64(a.Position) - int64(b.Position))
	})
	for _, e := range again {
		if err := t.take(ctx, &e); err != nil {
			return err
		}
	}
	for f.position < theirs.Head {
		n, err := peer.News(ctx, theirs.Context, f.session, f.position)
		if err != nil {
			return err
		}
		if n.Session != f.session || n.UpTo <= f.position {
			return nil // another pass sees what has become of it
		}
		for _, e := range n.Entries {
			if err := t.take(ctx, &e); err != nil {
				return err
			}
			f.position = max(f.position, min(e.Position, n.UpTo))
		}
		f.position = n.UpTo
		w.disks.noteTaken(theirs.Context, f)
	}
	if len(again) > 0 {
		w.disks.noteTaken(theirs.Context, f)
	}
	if len(f.lacks) == 0 && f.parts {
		f.parts = false
		return v.DropParts("")
	}
	return t.why
}

// taking is the work on one disk.
type taking struct {
	*follower
	*following
	peer   Peer
	tenant string
	disk   *vfs.Volume

	copied, deleted int
	bytes           int64
	why             error // the first file that is lacking
}

// take makes what the peer says of one path true here. A file that cannot be taken is
// tried again by the next pass, and the others go on; an error ends this pass.
func (t *taking) take(ctx context.Context, e *catalog.Entry) error {
	n, err := vfs.ParseName(t.name(e.Path))
	if err != nil || n.Path != e.Path || n.Path == "/" {
		return fmt.Errorf("the peer has the file %q, which cannot be", e.Path)
	}
	var peerErr error
	done, err := t.disk.Accept(ctx, &vfs.Offer{
		Entry: *e, Unit: t.disks.cfg.Unit, Hand: t.disks.hand(t.tenant),
		Open: func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			t.parts = true
			r, err := t.peer.Open(ctx, t.name(e.Path), e.Sum, offset)
			if err != nil {
				peerErr = err
				return nil, err
			}
			return &paced{Reader: r, Closer: r, ctx: ctx, bucket: &t.pace, failed: &peerErr}, nil
		},
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case peerErr != nil && !isGone(peerErr): // the way to the peer, and not this file
		return peerErr
	case err != nil:
		if errors.Is(err, vfs.ErrSum) {
			err = fmt.Errorf("%s has changed on the other unit while it was copied", t.name(e.Path))
		}
		return t.lack(e, err)
	case done.Left:
		return t.lack(e, nil)
	}
	delete(t.lacks, e.Path)
	t.count(e, done)
	return nil
}

// isGone tells of an error of the peer that it has the file no more as it was.
func isGone(err error) bool {
	var e *fault.Error
	return errors.As(err, &e) && e.Code == fault.CodeNoFile
}

// errMany ends a pass that lacks too many files.
var errMany = errors.New("too many files differ that the other unit has to keep first")

// lack notes a file that could not be taken, or that the other unit has to keep first (nil).
func (t *taking) lack(e *catalog.Entry, err error) error {
	if _, known := t.lacks[e.Path]; !known && len(t.lacks) >= maxLacks {
		return cmp.Or(err, errMany)
	}
	t.lacks[e.Path] = *e
	if t.why == nil {
		t.why = err
	}
	return nil
}

// count adds up what was done, and logs what an operator has to see to.
func (t *taking) count(e *catalog.Entry, done vfs.Accepted) {
	switch done.Action {
	case catalog.ActionTake:
		t.copied++
		t.bytes += e.Size
	case catalog.ActionRemove:
		t.deleted++
	case catalog.ActionMake, catalog.ActionNone:
	}
	if done.Kept != "" {
		t.log.Warn("file kept beside: it was changed on both units", "tenant", t.tenant, "file", t.name(e.Path),
			"kept", done.Kept)
	}
	if done.Trimmed > 0 {
		t.log.Warn("oldest of the files deleted that were kept beside another one", "tenant", t.tenant, "file",
			t.name(e.Path), "count", done.Trimmed)
	}
}

// report logs what was done.
func (t *taking) report() {
	switch {
	case t.copied == 0 && t.deleted == 0:
	case t.disks.standby(t.tenant):
		t.log.Info("files replicated", "tenant", t.tenant, "count", t.copied, "bytes", t.bytes, "deleted", t.deleted)
	case t.copied == 0:
		t.log.Warn("deletions taken that only the standby unit had", "tenant", t.tenant, "deleted", t.deleted)
	default:
		t.log.Warn("files taken that only the standby unit had", "tenant", t.tenant, "count", t.copied,
			"bytes", t.bytes, "deleted", t.deleted)
	}
}

// name is the whole name of a path.
func (t *taking) name(path string) string { return t.tenant + ":" + vfs.Disk + ":" + path }
