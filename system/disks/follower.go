package disks

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/vfs"
)

const (
	// followEvery is how often a standby unit asks whether anything has changed.
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
	// maxKept is how many bytes the name of a file has at most that is kept beside
	// another one.
	maxKept = 200
)

// Peer are the disks of the other unit of a pair. Its methods block no longer than ctx.
type Peer interface {
	Versions(ctx context.Context, wake bool) ([]Version, error)
	Manifest(ctx context.Context, tenant string) (Manifest, error)
	// Open returns a file's content, and its size; the caller closes it.
	Open(ctx context.Context, name string) (io.ReadCloser, int64, error)
}

// follower makes the disks of the two units the same. It pulls: nobody but this
// unit ever writes to its disks.
//
// A disk of a context that is standby here follows that of the active unit, and
// gives up only what the active unit says that it had and has no more (vfs.Gone).
// What the active unit never had stays: under its name where that is free there,
// or else beside it. A disk of a context that is active here takes from the
// standby unit what it never had, and so a takeover by a unit with an emptier
// disk loses nothing.
//
//	active             standby                 the standby unit        the active unit
//	x = A              x = B, A was x          takes A, as x           -
//	x = A, B was x     x = B                   takes A, as x           -
//	x = A              x = B                   keeps B beside, takes A  takes B, beside
//	no x, B was x      x = B                   deletes x               -
//	no x               x = B                   keeps x                 takes B, as x
//
// It belongs to the goroutine of run.
type follower struct {
	disks     *Disks
	log       *slog.Logger
	pace      resource.Bucket
	lookAgain time.Duration

	theirs, ours map[string]string // versions of the disks at the end of the last good pass, by context
	told         map[string]string // what was said of a context last
	now          func() time.Time
}

func newFollower(d *Disks) *follower {
	return &follower{
		disks: d, log: d.cfg.Log, pace: resource.Bucket{Rate: followRate, Burst: followBurst}, lookAgain: lookAgain,
		theirs: map[string]string{}, ours: map[string]string{}, told: map[string]string{}, now: time.Now,
	}
}

// run follows until ctx ends.
func (w *follower) run(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		w.pass(ctx)
		select {
		case <-tick.C:
		case <-w.disks.wake:
		case <-ctx.Done():
			return
		}
	}
}

// pass looks at every context once.
func (w *follower) pass(ctx context.Context) {
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
	for _, d := range list {
		if w.disks.standby(d.Context) == d.Standby {
			continue // the units do not agree yet who is active
		}
		w.logOnce(ctx, d.Context, guard.Run(w.log, "the replication of files",
			func() error { return w.syncDisk(ctx, peer, d) }))
	}
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

// errNoLonger ends what is under way when the context has become active here.
var errNoLonger = errors.New("the context is no longer standby here")

// syncDisk compares one disk with the peer's, and copies what this unit lacks.
func (w *follower) syncDisk(ctx context.Context, peer Peer, d Version) error {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	v, err := w.disks.store.Volume(vfs.Name{Context: d.Context, Volume: vfs.Disk, Path: "/"})
	if err != nil {
		return err
	}
	ours, err := v.Version(w.lookAgain)
	if err != nil {
		return err
	}
	if w.theirs[d.Context] == d.Version && w.ours[d.Context] == ours {
		return nil
	}
	theirs, err := peer.Manifest(ctx, d.Context)
	if err != nil {
		return err
	}
	have, err := w.disks.manifest(ctx, d.Context, v)
	if err != nil {
		return err
	}
	f := &following{follower: w, peer: peer, tenant: d.Context, disk: v, standby: !d.Standby}
	switch {
	case theirs.Standby != d.Standby || f.over() != nil:
		return nil // another pass sees what has become of it
	case d.Standby:
		err = f.backfill(ctx, theirs, have)
	default:
		err = f.mirror(ctx, theirs, have)
	}
	if errors.Is(err, errNoLonger) {
		return nil
	} else if err != nil {
		return err
	}
	f.report()
	if ours, err = v.Version(0); err == nil {
		w.theirs[d.Context], w.ours[d.Context] = theirs.Version, ours
		w.disks.noteFollowed(d.Context, theirs.Version, ours)
	}
	return err
}
