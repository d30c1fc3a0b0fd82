package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/api"
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

// peerFiles are the files of the other unit of a pair.
type peerFiles interface {
	DiskVersions(ctx context.Context, wake bool) (api.Versions, error)
	DiskManifest(ctx context.Context, name string) (api.Manifest, error)
	ReadFile(ctx context.Context, name string) (io.ReadCloser, int64, error)
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
	files     *Files
	peer      func() peerFiles // nil while there is no way to it
	log       *slog.Logger
	pace      resource.Bucket
	lookAgain time.Duration

	theirs, ours map[string]string // versions of the disks at the end of the last good pass, by context
	told         map[string]string // what was said of a context last
	now          func() time.Time
}

func newFollower(files *Files, peer func() peerFiles, log *slog.Logger) *follower {
	return &follower{
		files: files, peer: peer, log: log, pace: resource.Bucket{Rate: followRate, Burst: followBurst}, lookAgain: lookAgain,
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
		case <-w.files.wake:
		case <-ctx.Done():
			return
		}
	}
}

// pass looks at every context once.
func (w *follower) pass(ctx context.Context) {
	peer := w.peer()
	if peer == nil {
		return
	}
	list, err := peer.DiskVersions(ctx, false)
	if err != nil {
		w.tell(ctx, "", err)
		return
	}
	w.tell(ctx, "", nil)
	w.files.heard(list)
	for _, d := range list.Disks {
		if w.files.standby(d.Context) == d.Standby {
			continue // the units do not agree yet who is active
		}
		w.tell(ctx, d.Context, guard.Run(w.log, "the replication of files", func() error { return w.level(ctx, peer, d) }))
	}
}

// tell logs what is wrong with a context, or with all (""), once.
func (w *follower) tell(ctx context.Context, tenant string, err error) {
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

// level does for one disk what is to be done here.
func (w *follower) level(ctx context.Context, peer peerFiles, d api.DiskVersion) error {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	v, err := w.files.store.Volume(vfs.Name{Context: d.Context, Volume: vfs.Disk, Path: "/"})
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
	theirs, err := peer.DiskManifest(ctx, d.Context)
	if err != nil {
		return err
	}
	have, err := w.files.manifest(ctx, d.Context, v)
	if err != nil {
		return err
	}
	f := &following{follower: w, peer: peer, tenant: d.Context, disk: v, standby: !d.Standby}
	switch {
	case theirs.Standby != d.Standby || f.over() != nil:
		return nil // another pass sees what has become of it
	case d.Standby:
		err = f.adopt(ctx, theirs, have)
	default:
		err = f.become(ctx, theirs, have)
	}
	if errors.Is(err, errNoLonger) {
		return nil
	} else if err != nil {
		return err
	}
	f.report()
	if ours, err = v.Version(0); err == nil {
		w.theirs[d.Context], w.ours[d.Context] = theirs.Version, ours
		w.files.follow(d.Context, theirs.Version, ours)
	}
	return err
}

// following is the work on one disk.
type following struct {
	*follower
	peer    peerFiles
	tenant  string
	disk    *vfs.Volume
	standby bool // what the context is here

	copied, deleted int
	bytes           int64
}

// over says that the context has changed its role here.
func (f *following) over() error {
	if f.files.standby(f.tenant) != f.standby {
		return errNoLonger
	}
	return nil
}

// report logs what was done.
func (f *following) report() {
	switch {
	case f.copied == 0 && f.deleted == 0:
	case f.standby:
		f.log.Info("files replicated", "tenant", f.tenant, "count", f.copied, "bytes", f.bytes, "deleted", f.deleted)
	default:
		f.log.Warn("files taken that only the standby unit had", "tenant", f.tenant, "count", f.copied, "bytes", f.bytes)
	}
}

// listed are the files of the peer by path. A name that cannot be is an error.
func (f *following) listed(m api.Manifest) (map[string]api.FileInfo, error) {
	list := map[string]api.FileInfo{}
	for _, one := range m.Files {
		n, err := vfs.ParseName(f.name(one.Name))
		if err != nil || n.Path != one.Name || n.Path == "/" {
			return nil, fmt.Errorf("the peer has the file %q, which cannot be", one.Name)
		}
		list[one.Name] = one
	}
	return list, nil
}

// become makes the disk that of the active unit: it makes way for what is
// another there, copies what differs, and then deletes what was deleted there;
// where the disk is too full for that, the other way round.
func (f *following) become(ctx context.Context, want api.Manifest, have vfs.Manifest) error {
	wanted, err := f.listed(want)
	if err != nil {
		return err
	}
	gone := map[vfs.Gone]bool{}
	for _, g := range want.Gone {
		gone[vfs.Gone{Path: g.Name, SHA256: g.SHA256}] = true
	}
	old, err := f.makeWay(wanted, gone, have)
	if err != nil {
		return err
	}
	err = f.copyAll(ctx, want, old)
	var full *vfs.QuotaError
	again := errors.As(err, &full)
	if err != nil && !again {
		return err
	}
	for _, one := range slices.Backward(have.Files) {
		_, there := wanted[one.Path]
		if _, here := old[one.Path]; here && !there && gone[goneOf(one)] {
			if err := f.remove(one); err != nil {
				return err
			}
		}
	}
	if again {
		return f.copyAll(ctx, want, old)
	}
	return nil
}

// goneOf is how a file is called when it is gone.
func goneOf(i vfs.Info) vfs.Gone { return vfs.Gone{Path: i.Path, SHA256: i.SHA256} }

// makeWay moves aside what the active unit has another one of, and never had
// itself. It returns what is on the disk then.
func (f *following) makeWay(wanted map[string]api.FileInfo, gone map[vfs.Gone]bool, have vfs.Manifest) (map[string]vfs.Info, error) {
	old := map[string]vfs.Info{}
	below := "" // a directory that was moved
	for _, one := range have.Files {
		if below != "" && strings.HasPrefix(one.Path, below) {
			continue
		}
		w, there := wanted[one.Path]
		switch {
		case !there || w.Dir && one.Dir || !w.Dir && !one.Dir && (w.SHA256 == one.SHA256 || gone[goneOf(one)]):
			old[one.Path] = one
		case !one.Dir && gone[goneOf(one)]: // a directory takes its place
			if err := f.remove(one); err != nil {
				return nil, err
			}
		default:
			if err := f.putAside(one, gone, have); err != nil {
				return nil, err
			}
			if below = ""; one.Dir {
				below = one.Path + "/"
			}
		}
	}
	return old, nil
}

// putAside gives a file another name, or a directory with what of it the active
// unit has not deleted.
func (f *following) putAside(which vfs.Info, gone map[vfs.Gone]bool, have vfs.Manifest) error {
	if which.Dir {
		for _, one := range slices.Backward(have.Files) {
			if strings.HasPrefix(one.Path, which.Path+"/") && gone[goneOf(one)] {
				if err := f.remove(one); err != nil {
					return err
				}
			}
		}
		before := f.deleted
		if err := f.remove(which); err != nil || f.deleted > before {
			return err
		}
	}
	if err := f.over(); err != nil {
		return err
	}
	name := path.Base(which.Path)
	mark := fmt.Sprintf("~%s-%s", f.files.unit, f.now().UTC().Format("2006-01-02T15:04:05.000"))
	for len(name)+len(mark) > maxKept {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	if err := f.disk.Move(which.Path, name+mark); err != nil {
		return err
	}
	f.log.Warn("file kept beside: the active unit has another one of this name, and never had this one",
		"tenant", f.tenant, "file", f.name(which.Path), "kept", name+mark)
	return nil
}

// name is the whole name of a path.
func (f *following) name(path string) string { return f.tenant + ":" + vfs.Disk + ":" + path }

// remove deletes a file, or a directory that is empty, if it is still there.
func (f *following) remove(which vfs.Info) error {
	if err := f.over(); err != nil {
		return err
	}
	switch err := f.disk.Remove(which.Path); {
	case err == nil:
		f.deleted++
	case which.Dir && errors.Is(err, syscall.ENOTEMPTY): // something in it stays
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return err
	}
	return nil
}

// adopt copies what the standby unit has and this one never had.
func (f *following) adopt(ctx context.Context, theirs api.Manifest, have vfs.Manifest) error {
	listed, err := f.listed(theirs)
	if err != nil {
		return err
	}
	for _, one := range have.Files {
		delete(listed, one.Path)
	}
	for _, one := range theirs.Files {
		if _, missing := listed[one.Name]; !missing || f.disk.IsGone(vfs.Gone{Path: one.Name, SHA256: one.SHA256}) {
			continue
		}
		switch err := f.take(ctx, one); {
		case errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR): // it is in the way of something newer here
		case err != nil:
			return err
		}
	}
	return nil
}

// take copies one file that is not here, unless it comes to be here meanwhile.
func (f *following) take(ctx context.Context, one api.FileInfo) error {
	if err := f.over(); err != nil {
		return err
	}
	if one.Dir {
		return f.disk.MakeDir(one.Name)
	}
	return f.copy(ctx, one, func() error {
		if f.disk.IsGone(vfs.Gone{Path: one.Name, SHA256: one.SHA256}) {
			return fs.ErrExist
		}
		if _, err := f.disk.Stat(one.Name); !errors.Is(err, fs.ErrNotExist) {
			return fs.ErrExist
		}
		return f.over()
	})
}

// copyAll copies every file that differs from the old ones.
func (f *following) copyAll(ctx context.Context, want api.Manifest, old map[string]vfs.Info) error {
	for _, one := range want.Files {
		was, there := old[one.Name]
		switch {
		case f.over() != nil:
			return errNoLonger
		case there && (one.Dir || was.SHA256 == one.SHA256):
		case one.Dir:
			if err := f.disk.MakeDir(one.Name); err != nil {
				return err
			}
		default:
			if err := f.copy(ctx, one, f.over); err != nil {
				return err
			}
		}
		old[one.Name] = vfs.Info{Path: one.Name, Dir: one.Dir, SHA256: one.SHA256}
	}
	return nil
}

// copy copies one file; commit judges it at the last moment.
func (f *following) copy(ctx context.Context, one api.FileInfo, commit func() error) error {
	r, size, err := f.peer.ReadFile(ctx, f.name(one.Name))
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = f.disk.Replace(ctx, one.Name, vfs.Content{
		Reader: &paced{Reader: r, ctx: ctx, bucket: &f.pace}, Size: size, SHA256: one.SHA256, Commit: commit,
	})
	if errors.Is(err, vfs.ErrSum) {
		return fmt.Errorf("%s has changed on the other unit while it was copied", f.name(one.Name))
	}
	if err == nil {
		f.copied++
		f.bytes += size
	}
	return err
}

// paced is a reader that takes no more than a bucket gives.
type paced struct {
	io.Reader
	ctx    context.Context
	bucket *resource.Bucket
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b[:min(len(b), followBurst)])
	for n > 0 {
		now := time.Now()
		if p.bucket.Take(now, float64(n)) {
			break
		}
		wait, _ := p.bucket.Wait(now, float64(n))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			timer.Stop()
			return 0, p.ctx.Err()
		}
	}
	return n, err
}
