package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"time"

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
)

// follows reports whether a context is standby here, and its disk that of the
// other unit.
func (s *System) follows(tenant string) bool {
	t := s.tenant(tenant)
	if s.pair == nil || t == nil {
		return false
	}
	w := t.view().want
	return s.pair.pairs(w) && s.pair.role(w.FailoverGroup).Standby()
}

// DiskVersions implements api.Files.
func (f *Files) DiskVersions(context.Context) (api.Versions, error) {
	var out api.Versions
	for _, n := range f.store.Names() {
		if n.Volume != vfs.Disk || f.standby(n.Context) {
			continue
		}
		v, err := f.store.Volume(n)
		if err != nil {
			continue // it has just gone
		}
		version, err := v.Version(lookAgain)
		if err != nil {
			return out, fileError(err)
		}
		out.Disks = append(out.Disks, api.DiskVersion{Context: n.Context, Version: version})
	}
	return out, nil
}

// DiskManifest implements api.Files.
func (f *Files) DiskManifest(ctx context.Context, name string) (api.Manifest, error) {
	n := vfs.Name{Context: name, Volume: vfs.Disk, Path: "/"}
	v, err := f.store.Volume(n)
	if err != nil {
		return api.Manifest{}, fileError(err)
	}
	if f.standby(name) {
		return api.Manifest{}, &api.Error{Code: api.CodeRefused, Reason: fmt.Sprintf("context %q is standby on this unit", name)}
	}
	m, err := v.Manifest(ctx)
	if err != nil {
		return api.Manifest{}, fileError(err)
	}
	out := api.Manifest{Context: name, Version: m.Version}
	for _, one := range m.Files {
		row := fileInfo(n, one)
		row.Name = one.Path
		out.Files = append(out.Files, row)
	}
	return out, nil
}

// peerFiles are the files of the other unit of a pair.
type peerFiles interface {
	DiskVersions(ctx context.Context) (api.Versions, error)
	DiskManifest(ctx context.Context, name string) (api.Manifest, error)
	ReadFile(ctx context.Context, name string) (io.ReadCloser, int64, error)
}

// follower makes the disks of contexts that are standby here those of the active
// unit. It pulls: nobody but this unit ever writes to its disks. It belongs to
// the goroutine of run.
type follower struct {
	files     *Files
	peer      func() peerFiles // nil while there is no way to it
	log       *slog.Logger
	pace      resource.Bucket
	lookAgain time.Duration

	theirs, ours map[string]string // versions of the disks at the end of the last good pass, by context
	told         map[string]string // what was said of a context last
}

func newFollower(files *Files, peer func() peerFiles, log *slog.Logger) *follower {
	return &follower{
		files: files, peer: peer, log: log, pace: resource.Bucket{Rate: followRate, Burst: followBurst}, lookAgain: lookAgain,
		theirs: map[string]string{}, ours: map[string]string{}, told: map[string]string{},
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
	list, err := peer.DiskVersions(ctx)
	if err != nil {
		w.tell(ctx, "", err)
		return
	}
	w.tell(ctx, "", nil)
	for _, d := range list.Disks {
		if !w.files.standby(d.Context) {
			continue
		}
		w.tell(ctx, d.Context, w.follow(ctx, peer, d))
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

// follow makes one disk that of the peer.
func (w *follower) follow(ctx context.Context, peer peerFiles, d api.DiskVersion) error {
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
	want, err := peer.DiskManifest(ctx, d.Context)
	if err != nil {
		return err
	}
	have, err := v.Manifest(ctx)
	if err != nil {
		return err
	}
	f := &following{follower: w, peer: peer, tenant: d.Context, disk: v}
	if err := f.become(ctx, want, have); errors.Is(err, errNoLonger) {
		return nil
	} else if err != nil {
		return err
	}
	if f.copied > 0 || f.deleted > 0 {
		w.log.Info("files replicated", "tenant", d.Context, "count", f.copied, "bytes", f.bytes, "deleted", f.deleted)
	}
	if ours, err = v.Version(0); err == nil {
		w.theirs[d.Context], w.ours[d.Context] = want.Version, ours
	}
	return err
}

// following is the work on one disk.
type following struct {
	*follower
	peer   peerFiles
	tenant string
	disk   *vfs.Volume

	copied, deleted int
	bytes           int64
}

// become copies what differs, and then deletes what is gone; where the disk is
// too full for that, the other way round.
func (f *following) become(ctx context.Context, want api.Manifest, have vfs.Manifest) error {
	wanted := map[string]api.FileInfo{}
	for _, one := range want.Files {
		n, err := vfs.ParseName(f.name(one.Name))
		if err != nil || n.Path != one.Name || n.Path == "/" {
			return fmt.Errorf("the peer has the file %q, which cannot be", one.Name)
		}
		wanted[one.Name] = one
	}
	old := map[string]vfs.Info{}
	for _, one := range have.Files {
		old[one.Path] = one
		if w, ok := wanted[one.Path]; ok && w.Dir != one.Dir { // in the way
			if err := f.remove(have, one); err != nil {
				return err
			}
			delete(old, one.Path)
		}
	}
	err := f.copyAll(ctx, want, old)
	var full *vfs.QuotaError
	again := errors.As(err, &full)
	if err != nil && !again {
		return err
	}
	for _, one := range slices.Backward(have.Files) {
		if _, ok := wanted[one.Path]; !ok {
			if err := f.remove(vfs.Manifest{}, one); err != nil {
				return err
			}
		}
	}
	if again {
		return f.copyAll(ctx, want, old)
	}
	return nil
}

// name is the whole name of a path.
func (f *following) name(path string) string { return f.tenant + ":" + vfs.Disk + ":" + path }

// remove deletes a file, or a directory with what all says is in it.
func (f *following) remove(all vfs.Manifest, which vfs.Info) error {
	if !f.files.standby(f.tenant) {
		return errNoLonger
	}
	for _, one := range slices.Backward(all.Files) {
		if strings.HasPrefix(one.Path, which.Path+"/") {
			if err := f.removeOne(one.Path); err != nil {
				return err
			}
		}
	}
	return f.removeOne(which.Path)
}

// removeOne deletes a file or empty directory, if it is still there.
func (f *following) removeOne(path string) error {
	switch err := f.disk.Remove(path); {
	case err == nil:
		f.deleted++
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return err
	}
	return nil
}

// copyAll copies every file that differs from the old ones.
func (f *following) copyAll(ctx context.Context, want api.Manifest, old map[string]vfs.Info) error {
	for _, one := range want.Files {
		was, there := old[one.Name]
		switch {
		case !f.files.standby(f.tenant):
			return errNoLonger
		case there && (one.Dir || was.SHA256 == one.SHA256):
		case one.Dir:
			if err := f.disk.MakeDir(one.Name); err != nil {
				return err
			}
		default:
			if err := f.copy(ctx, one); err != nil {
				return err
			}
		}
		old[one.Name] = vfs.Info{Path: one.Name, Dir: one.Dir, SHA256: one.SHA256}
	}
	return nil
}

// copy copies one file.
func (f *following) copy(ctx context.Context, one api.FileInfo) error {
	r, size, err := f.peer.ReadFile(ctx, f.name(one.Name))
	if err != nil {
		return err
	}
	defer r.Close()
	done, err := f.disk.Replace(ctx, one.Name, vfs.Content{
		Reader: &paced{Reader: r, ctx: ctx, bucket: &f.pace}, Size: size,
		Commit: func() error {
			if !f.files.standby(f.tenant) {
				return errNoLonger
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	if done.SHA256 != one.SHA256 {
		return fmt.Errorf("%s has changed on the other unit while it was copied", f.name(one.Name))
	}
	f.copied++
	f.bytes += size
	return nil
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
