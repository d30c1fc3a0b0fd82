package system

import (
	"context"
	"io"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/vfs/catalog"
)

// files answers the API for the files of all contexts, in its words.
type files struct{ disks *disks.Disks }

var _ api.Files = files{}

// ListFiles implements api.Files.
func (f files) ListFiles(_ context.Context, name string) (api.Directory, error) {
	d, err := f.disks.List(name)
	out := api.Directory{
		Name: d.Name, UsedBytes: d.UsedBytes, LimitBytes: d.LimitBytes,
		UsedFiles: d.UsedFiles, LimitFiles: d.LimitFiles, ReadOnly: d.ReadOnly, Pending: d.Pending,
		Kept: d.Kept,
	}
	for _, one := range d.Files {
		out.Files = append(out.Files, api.FileInfo(one))
	}
	return out, err
}

// OpenFile implements api.Files.
func (f files) OpenFile(_ context.Context, name string) (api.FileInfo, io.ReadCloser, error) {
	info, r, err := f.disks.Open(name)
	return api.FileInfo(info), r, err
}

// WriteFile implements api.Files.
func (f files) WriteFile(ctx context.Context, name string, size int64, r io.Reader) (api.FileInfo, error) {
	info, err := f.disks.Write(ctx, name, size, r)
	return api.FileInfo(info), err
}

// DeleteFile implements api.Files.
func (f files) DeleteFile(ctx context.Context, name string) (api.Deleted, error) {
	pending, err := f.disks.Delete(ctx, name)
	return api.Deleted{Name: name, Pending: pending}, err
}

// VerifyFile implements api.Files.
func (f files) VerifyFile(ctx context.Context, name string) (api.FileInfo, error) {
	info, err := f.disks.Verify(ctx, name)
	return api.FileInfo(info), err
}

// CopyFile implements api.Files.
func (f files) CopyFile(ctx context.Context, which api.Copy, progress func(done, total int64)) (api.FileInfo, error) {
	info, err := f.disks.Copy(ctx, which.From, which.To, progress)
	return api.FileInfo(info), err
}

// DiskVersions implements api.Files.
func (f files) DiskVersions(_ context.Context, wake bool) (api.Versions, error) {
	list, err := f.disks.Versions(wake)
	var out api.Versions
	for _, v := range list {
		out.Disks = append(out.Disks, api.DiskVersion{Context: v.Context, Version: v.Version, Standby: v.Standby,
			Follows: v.Follows, Session: v.Session, Head: v.Head, Taken: api.DiskTaken(v.Taken), Kept: v.Kept,
			Incarnation: api.DiskIncarnation(v.Incarnation), Blank: v.Blank})
	}
	return out, err
}

// DiskNews implements api.Files.
func (f files) DiskNews(_ context.Context, name string, session, since uint64) ([]byte, error) {
	n, err := f.disks.News(name, session, since)
	return catalog.AppendNews(nil, &n), err
}

// OpenContent implements api.Files.
func (f files) OpenContent(_ context.Context, name, sha256 string, offset int64) (api.FileInfo, io.ReadCloser, error) {
	info, r, err := f.disks.OpenSum(name, sha256, offset)
	return api.FileInfo(info), r, err
}

// DiskManifest implements api.Files.
func (f files) DiskManifest(_ context.Context, name string) (api.Manifest, error) {
	m, err := f.disks.Manifest(name)
	out := api.Manifest{Context: m.Context, Version: m.Version, Standby: m.Standby}
	for _, one := range m.Files {
		out.Files = append(out.Files, api.FileInfo{Name: one.Path, Size: one.Size, Modified: one.Modified, Dir: one.Dir,
			SHA256: one.SHA256})
	}
	for _, g := range m.Gone {
		out.Gone = append(out.Gone, api.GoneFile{Name: g.Path, SHA256: g.SHA256})
	}
	return out, err
}
