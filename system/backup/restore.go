package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/warrenvpn/warren/system/fault"
)

// Volumes are where files are restored to: *disks.Disks.
type Volumes interface {
	// Open returns a file's content; the caller closes it. An error of code CodeNoFile
	// says that there is none, or no such volume.
	Open(name string) (io.ReadCloser, error)
	Write(ctx context.Context, name string, size int64, r io.Reader) error
	Delete(ctx context.Context, name string) error
	// Follows tells of a context whose disk nobody changes here.
	Follows(context string) bool
}

// Differing are the files of a backup that are otherwise on the volumes, or not there, by
// their names. Files that follow another unit's are left out. It reads all of them.
func (s *Staged) Differing(ctx context.Context, v Volumes) (names []string, err error) {
	list, err := s.differing(ctx, v)
	for _, f := range list {
		names = append(names, f.Name.String())
	}
	return names, err
}

func (s *Staged) differing(ctx context.Context, v Volumes) (list []StagedFile, err error) {
	for _, f := range s.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if v.Follows(f.Name.Context) {
			continue
		}
		same, err := f.same(v)
		if err != nil {
			return nil, err
		}
		if !same {
			list = append(list, f)
		}
	}
	return list, nil
}

// Followed are the contexts of the backup whose disks nobody changes here.
func (s *Staged) Followed(v Volumes) (contexts []string) {
	seen := map[string]bool{}
	for _, f := range s.Files {
		if name := f.Name.Context; !seen[name] && v.Follows(name) {
			contexts = append(contexts, name)
		}
		seen[f.Name.Context] = true
	}
	return contexts
}

// same tells whether a file is on its volume as the backup has it.
func (f StagedFile) same(v Volumes) (bool, error) {
	there, err := v.Open(f.Name.String())
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer there.Close()
	here, err := f.Open()
	if err != nil {
		return false, err
	}
	defer here.Close()
	return equal(bufio.NewReader(there), bufio.NewReader(here))
}

// equal compares two contents.
func equal(a, b *bufio.Reader) (bool, error) {
	for {
		x, errA := a.ReadByte()
		y, errB := b.ReadByte()
		switch {
		case errors.Is(errA, io.EOF) || errors.Is(errB, io.EOF):
			return errors.Is(errA, io.EOF) && errors.Is(errB, io.EOF), nil
		case errA != nil || errB != nil:
			return false, errors.Join(errA, errB)
		case x != y:
			return false, nil
		}
	}
}

func isMissing(err error) bool {
	var e *fault.Error
	return errors.As(err, &e) && e.Code == fault.CodeNoFile
}

// Write writes the files that differ to the volumes, and returns their names. On an error
// those that were written are as they were before, as far as that can be done. Files that
// the backup does not have stay.
func (s *Staged) Write(ctx context.Context, v Volumes) (names []string, err error) {
	list, err := s.differing(ctx, v)
	if err != nil {
		return nil, err
	}
	undo := &undo{staged: s, volumes: v}
	for _, f := range list {
		if err = undo.keep(f); err == nil {
			err = f.write(ctx, v)
		}
		if err != nil {
			return nil, errors.Join(err, undo.all())
		}
		names = append(names, f.Name.String())
	}
	return names, nil
}

// write writes one file.
func (f StagedFile) write(ctx context.Context, v Volumes) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return v.Write(ctx, f.Name.String(), f.Size, r)
}

// undo has what was there before.
type undo struct {
	staged  *Staged
	volumes Volumes
	before  []StagedFile // with the path "": there was none
}

// keep copies what is there under a name, before it is replaced.
func (u *undo) keep(f StagedFile) error {
	was := StagedFile{Name: f.Name}
	r, err := u.volumes.Open(f.Name.String())
	switch {
	case err == nil:
		defer r.Close()
		was.path = filepath.Join(u.staged.dir, "before-"+strconv.Itoa(len(u.before)))
		out, err := os.OpenFile(was.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("backup: keeping %s: %w", f.Name, err)
		}
		was.Size, err = io.Copy(out, r)
		if err = errors.Join(err, out.Close()); err != nil {
			return fmt.Errorf("backup: keeping %s: %w", f.Name, err)
		}
	case !isMissing(err):
		return err
	}
	u.before = append(u.before, was)
	return nil
}

// all puts everything back, also when the time of the restore is up.
func (u *undo) all() (err error) {
	for _, was := range u.before {
		var one error
		if was.path == "" {
			if one = u.volumes.Delete(context.Background(), was.Name.String()); isMissing(one) {
				one = nil // it was not written yet
			}
		} else {
			one = was.write(context.Background(), u.volumes)
		}
		if one != nil {
			err = errors.Join(err, fmt.Errorf("and %s cannot be put back: %w", was.Name, one))
		}
	}
	return err
}
