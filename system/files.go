package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
	"github.com/warrenvpn/warren/vfs"
)

// Files answers the API for the files of all contexts: it is an api.Files. Its
// contexts are those of the last Set.
type Files struct {
	store *vfs.Store
	// standby tells of a context that is not active here: its disk has what the
	// other unit's has, and nobody else changes it. It is set before use.
	standby func(tenant string) bool
	replicas
}

var _ api.Files = (*Files)(nil)

// NewFiles returns Files below state_dir, without contexts.
func NewFiles(stateDir string) *Files {
	return &Files{
		store: vfs.NewStore(stateDir), standby: func(string) bool { return false },
		replicas: replicas{wake: make(chan struct{}, 1), followed: map[string]followed{}, has: map[string]string{}},
	}
}

// Set makes exactly these contexts have files, each with its limits. Those that
// were there before keep what is open. Files of a context that goes stay on the
// disk. With an error all others are as they should be.
func (f *Files) Set(list []vfs.Disk0) error { return f.store.Set(list) }

// disks are the files that contexts have.
func disks(list []*plan.Wanted) []vfs.Disk0 {
	var out []vfs.Disk0
	for _, w := range list {
		d := vfs.Disk0{Context: w.Name, Limit: vfs.Limit{Bytes: w.Spec.Limits.Storage, Files: int64(w.Spec.Limits.StorageFiles)}}
		for _, st := range w.Storage {
			d.Shared = append(d.Shared, vfs.Shared{Label: st.Label, Dir: st.Path})
		}
		out = append(out, d)
	}
	return out
}

// checkStorage says what of a context's shared storage cannot be used.
func checkStorage(list []configs.Storage) error {
	for _, st := range list {
		switch info, err := os.Stat(st.Path); {
		case err != nil:
			return fmt.Errorf("storage %q: %s: %w; make the directory", st.Label, st.Path, bare(err))
		case !info.IsDir():
			return fmt.Errorf("storage %q: %s is no directory", st.Label, st.Path)
		}
	}
	return nil
}

// Close ends the use of files.
func (f *Files) Close() error { return f.store.Close() }

// resources are what disk0: of a context holds, for `show resource usage`.
func (f *Files) resources(tenant string) []control.Resource {
	v, err := f.store.Volume(vfs.Name{Context: tenant, Volume: vfs.Disk, Path: "/"})
	if err != nil {
		return nil // the context has just gone
	}
	used, limit := v.Usage()
	peak, denied := v.Peak()
	return []control.Resource{
		{Context: tenant, Resource: string(resource.Storage), Unit: control.UnitBytes,
			Current: used.Bytes, Peak: peak.Bytes, Limit: limit.Bytes, Denied: denied.Bytes},
		{Context: tenant, Resource: string(resource.StorageFiles),
			Current: used.Files, Peak: peak.Files, Limit: limit.Files, Denied: denied.Files},
	}
}

// find returns where a name is.
func (f *Files) find(text string) (*vfs.Volume, vfs.Name, error) {
	n, err := vfs.ParseName(text)
	if err != nil {
		return nil, n, fileError(err)
	}
	v, err := f.store.Volume(n)
	if err != nil {
		return nil, n, fileError(err)
	}
	return v, n, nil
}

// changeable returns where a name is that an operator wants to change.
func (f *Files) changeable(text string) (*vfs.Volume, vfs.Name, error) {
	v, n, err := f.find(text)
	if err == nil {
		err = f.commit(n)()
	}
	return v, n, err
}

// commit returns what judges a change at the last moment.
func (f *Files) commit(n vfs.Name) func() error {
	return func() error {
		if n.Volume != vfs.Disk || !f.standby(n.Context) {
			return nil
		}
		return &fault.Error{
			Code: fault.CodeRefused, Reason: fmt.Sprintf("%s cannot be changed here: context %q is standby on this unit", n, n.Context),
			Hint: "change it on the active unit: this one follows",
		}
	}
}

// ListFiles implements api.Files.
func (f *Files) ListFiles(_ context.Context, name string) (api.Directory, error) {
	if name == "" {
		var d api.Directory
		for _, n := range f.store.Names() {
			d.Files = append(d.Files, api.FileInfo{Name: n.String(), Dir: true})
		}
		return d, nil
	}
	v, n, err := f.find(name)
	if err != nil {
		return api.Directory{}, err
	}
	list, err := v.List(n.Path)
	if err != nil {
		return api.Directory{}, fileError(err)
	}
	used, limit := v.Usage()
	d := api.Directory{
		Pending: f.pending(n),
		Name:    n.String(), Files: []api.FileInfo{}, ReadOnly: v.IsReadOnly() || n.Volume == vfs.Disk && f.standby(n.Context),
		UsedBytes: used.Bytes, LimitBytes: limit.Bytes, UsedFiles: used.Files, LimitFiles: limit.Files,
	}
	for _, one := range list {
		row := fileInfo(vfs.Name{Path: one.Path}, one)
		row.Name = vfs.Name{Path: one.Path}.Base()
		d.Files = append(d.Files, row)
	}
	return d, nil
}

// OpenFile implements api.Files.
func (f *Files) OpenFile(_ context.Context, name string) (api.FileInfo, io.ReadCloser, error) {
	v, n, err := f.find(name)
	if err != nil {
		return api.FileInfo{}, nil, err
	}
	info, r, err := v.Open(n.Path)
	if err != nil {
		return api.FileInfo{}, nil, fileError(err)
	}
	return fileInfo(n, info), r, nil
}

// WriteFile implements api.Files.
func (f *Files) WriteFile(ctx context.Context, name string, size int64, r io.Reader) (api.FileInfo, error) {
	v, n, err := f.changeable(name)
	if err != nil {
		return api.FileInfo{}, err
	}
	info, err := v.Replace(ctx, n.Path, vfs.Content{Reader: r, Size: size, Commit: f.commit(n)})
	if err != nil {
		return api.FileInfo{}, fileError(err)
	}
	return f.changed(ctx, n, info), nil
}

// DeleteFile implements api.Files.
func (f *Files) DeleteFile(_ context.Context, name string) error {
	v, n, err := f.changeable(name)
	if err != nil {
		return err
	}
	if err := v.Remove(n.Path); err != nil {
		return fileError(err)
	}
	return nil
}

// VerifyFile implements api.Files.
func (f *Files) VerifyFile(ctx context.Context, name string) (api.FileInfo, error) {
	v, n, err := f.find(name)
	if err != nil {
		return api.FileInfo{}, err
	}
	info, err := v.Verify(ctx, n.Path)
	if err != nil {
		return api.FileInfo{}, fileError(err)
	}
	return fileInfo(n, info), nil
}

// CopyFile implements api.Files.
func (f *Files) CopyFile(ctx context.Context, which api.Copy, progress func(done, total int64)) (api.FileInfo, error) {
	from, source, err := f.find(which.From)
	if err != nil {
		return api.FileInfo{}, err
	}
	to, dest, err := f.changeable(which.To)
	if err != nil {
		return api.FileInfo{}, err
	}
	info, err := vfs.Copy(ctx, from, source.Path, to, dest.Path, vfs.Content{Wrote: progress, Commit: f.commit(dest)})
	if err != nil {
		return api.FileInfo{}, fileError(err)
	}
	return f.changed(ctx, dest, info), nil
}

// changed is the answer to a change, once the standby unit has it, too, or is not
// to be waited for any longer.
func (f *Files) changed(ctx context.Context, n vfs.Name, i vfs.Info) api.FileInfo {
	out := fileInfo(n, i)
	out.Pending = f.await(ctx, n)
	return out
}

func fileInfo(n vfs.Name, i vfs.Info) api.FileInfo {
	return api.FileInfo{Name: n.String(), Size: i.Size, Modified: i.Modified, Dir: i.Dir, SHA256: i.SHA256}
}

// fileErrors say what kind of error it is, and what the operator can do.
var fileErrors = []struct {
	is   error
	code fault.Code
	hint string
}{
	{vfs.ErrName, fault.CodeInvalid, ""},
	{vfs.ErrVolume, fault.CodeNoFile, "`warren show context` lists the contexts, and each has disk0:"},
	{vfs.ErrReadOnly, fault.CodeRefused, "a context can only read shared storage: change it as the system, without the context's name, as in shared:/file"},
	{vfs.ErrEscape, fault.CodeRefused, "only regular files and directories with one name can be used"},
	{vfs.ErrSize, fault.CodeInvalid, "the source changed while it was copied: copy it again"},
	{fs.ErrNotExist, fault.CodeNoFile, "`warren dir` lists a directory"},
	{fs.ErrClosed, fault.CodeRefused, "the context has been removed just now"},
	{syscall.ENOSPC, fault.CodeRefused, "the disk that holds state_dir is full; nothing was changed"},
	{syscall.EDQUOT, fault.CodeRefused, "the host's quota for state_dir is used up; nothing was changed"},
	{syscall.EISDIR, fault.CodeRefused, "name a file"},
	{syscall.ENOTDIR, fault.CodeRefused, "a file stands where a directory is needed"},
	{syscall.ENOTEMPTY, fault.CodeRefused, "delete what is in it first"},
	{syscall.EBUSY, fault.CodeRefused, "a volume itself cannot be deleted"},
	{syscall.EROFS, fault.CodeRefused, "the file system is mounted read-only"},
}

// fileError makes an error of files one of the API's.
func fileError(err error) error {
	var quota *vfs.QuotaError
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	if errors.As(err, &quota) {
		return &fault.Error{Code: fault.CodeRefused, Reason: err.Error(),
			Hint: "nothing was changed; delete files, or raise storage in the context's class"}
	}
	for _, e := range fileErrors {
		if errors.Is(err, e.is) {
			return &fault.Error{Code: e.code, Reason: err.Error(), Hint: e.hint}
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: nothing was changed", err)
	}
	return err
}
