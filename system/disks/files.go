package disks

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
)

// find returns where a name is.
func (d *Disks) find(text string) (*vfs.Volume, vfs.Name, error) {
	n, err := vfs.ParseName(text)
	if err != nil {
		return nil, n, fileError(err)
	}
	v, err := d.store.Volume(n)
	if err != nil {
		return nil, n, fileError(err)
	}
	return v, n, nil
}

// changeable returns where a name is that an operator wants to change.
func (d *Disks) changeable(text string) (*vfs.Volume, vfs.Name, error) {
	v, n, err := d.find(text)
	if err == nil {
		_, err = d.commit(n)()
	}
	return v, n, err
}

// commit returns what judges a change at the last moment.
func (d *Disks) commit(n vfs.Name) vfs.Commit {
	return func() (uint64, error) {
		switch {
		case n.Volume != vfs.Disk:
			return 0, nil
		case !d.standby(n.Context):
			return d.epoch(n.Context), nil
		}
		return 0, &fault.Error{
			Code:   fault.CodeRefused,
			Reason: fmt.Sprintf("%s cannot be changed here: context %q is standby on this unit", n, n.Context),
			Hint:   "change it on the active unit: this one follows",
		}
	}
}

// List lists a directory, or one file; with "" all volumes, by their whole names.
func (d *Disks) List(name string) (Directory, error) {
	if name == "" {
		var out Directory
		for _, n := range d.store.Names() {
			out.Files = append(out.Files, File{Name: n.String(), Dir: true})
		}
		return out, nil
	}
	v, n, err := d.find(name)
	if err != nil {
		return Directory{}, err
	}
	list, err := v.List(n.Path)
	if err != nil {
		return Directory{}, fileError(err)
	}
	used, limit := v.Usage()
	out := Directory{
		Pending: d.pending(n, ""), Kept: v.State().Kept,
		Name: n.String(), Files: []File{}, ReadOnly: v.IsReadOnly() || n.Volume == vfs.Disk && d.standby(n.Context),
		UsedBytes: used.Bytes, LimitBytes: limit.Bytes, UsedFiles: used.Files, LimitFiles: limit.Files,
	}
	for _, one := range list {
		row := fileOf(n, one)
		row.Name = vfs.Name{Path: one.Path}.Base()
		out.Files = append(out.Files, row)
	}
	return out, nil
}

// Open returns a file's content; the caller closes it.
func (d *Disks) Open(name string) (File, io.ReadCloser, error) {
	v, n, err := d.find(name)
	if err != nil {
		return File{}, nil, err
	}
	info, r, err := v.Open(n.Path)
	if err != nil {
		return File{}, nil, fileError(err)
	}
	return fileOf(n, info), r, nil
}

// Write makes or replaces a file, with the directories that it needs. The file has all of
// the content or is as it was. Nothing is read from r before it is known that size bytes
// fit.
func (d *Disks) Write(ctx context.Context, name string, size int64, r io.Reader) (File, error) {
	v, n, err := d.changeable(name)
	if err != nil {
		return File{}, err
	}
	info, err := v.Replace(ctx, n.Path, vfs.Content{Reader: r, Size: size, Commit: d.commit(n)})
	if err != nil {
		return File{}, fileError(err)
	}
	return d.changed(ctx, n, info), nil
}

// Put is Write for a caller that asks Pending later.
func (d *Disks) Put(ctx context.Context, name string, content []byte) error {
	v, n, err := d.changeable(name)
	if err != nil {
		return err
	}
	if _, err := v.Replace(ctx, n.Path, vfs.Content{Reader: bytes.NewReader(content), Size: int64(len(content)),
		Commit: d.commit(n)}); err != nil {
		return fileError(err)
	}
	return nil
}

// Pending waits up to 5 seconds for the standby units of contexts to have files, and
// returns the names of those that they are not known to have then.
func (d *Disks) Pending(ctx context.Context, names []string) (pending []string) {
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	for _, name := range names {
		if n, err := vfs.ParseName(name); err == nil && d.await(ctx, n) {
			pending = append(pending, name)
		}
	}
	return pending
}

// Delete deletes a file or an empty directory. It tells whether the standby unit is not
// known to have deleted it, too: the file may come back if this unit is lost.
func (d *Disks) Delete(ctx context.Context, name string) (pending bool, err error) {
	v, n, err := d.changeable(name)
	if err != nil {
		return false, err
	}
	if err := v.RemoveIf(n.Path, d.commit(n)); err != nil {
		return false, fileError(err)
	}
	return d.await(ctx, n), nil
}

// Verify reads a whole file and returns its checksum.
func (d *Disks) Verify(ctx context.Context, name string) (File, error) {
	v, n, err := d.find(name)
	if err != nil {
		return File{}, err
	}
	info, err := v.Verify(ctx, n.Path)
	if err != nil {
		return File{}, fileError(err)
	}
	return fileOf(n, info), nil
}

// Copy copies a file as Write would, and calls progress, which may be nil, now and then.
func (d *Disks) Copy(ctx context.Context, source, dest string, progress func(done, total int64)) (File, error) {
	from, origin, err := d.find(source)
	if err != nil {
		return File{}, err
	}
	to, target, err := d.changeable(dest)
	if err != nil {
		return File{}, err
	}
	info, err := vfs.Copy(ctx, from, origin.Path, to, target.Path,
		vfs.Content{Wrote: progress, Commit: d.commit(target)})
	if err != nil {
		return File{}, fileError(err)
	}
	return d.changed(ctx, target, info), nil
}

// changed is the answer to a change, once the standby unit has it, too, or is not
// to be waited for any longer.
func (d *Disks) changed(ctx context.Context, n vfs.Name, i vfs.Info) File {
	out := fileOf(n, i)
	out.Pending = d.await(ctx, n)
	return out
}

// fileOf is a file under its whole name.
func fileOf(n vfs.Name, i vfs.Info) File {
	return File{Name: n.String(), Size: i.Size, Modified: i.Modified, Dir: i.Dir, SHA256: i.SHA256}
}
