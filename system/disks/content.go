package disks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/vfs"
)

// copyAll copies every file that differs from the old ones.
func (f *following) copyAll(ctx context.Context, want Manifest, old map[string]vfs.Info) error {
	for _, one := range want.Files {
		was, there := old[one.Path]
		switch {
		case f.over() != nil:
			return errNoLonger
		case there && (one.Dir || was.SHA256 == one.SHA256):
		case one.Dir:
			if err := f.disk.MakeDir(one.Path); err != nil {
				return err
			}
		default:
			if err := f.copy(ctx, one, f.over); err != nil {
				return err
			}
		}
		old[one.Path] = vfs.Info{Path: one.Path, Dir: one.Dir, SHA256: one.SHA256}
	}
	return nil
}

// copy copies one file; commit judges it at the last moment.
func (f *following) copy(ctx context.Context, one vfs.Info, commit func() error) error {
	r, size, err := f.peer.Open(ctx, f.name(one.Path))
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = f.disk.Replace(ctx, one.Path, vfs.Content{
		Reader: &paced{Reader: r, ctx: ctx, bucket: &f.pace}, Size: size, SHA256: one.SHA256, Commit: commit,
	})
	if errors.Is(err, vfs.ErrSum) {
		return fmt.Errorf("%s has changed on the other unit while it was copied", f.name(one.Path))
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
