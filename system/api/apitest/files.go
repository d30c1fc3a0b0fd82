// Package apitest is an api.Files in memory, for tests of the API, its client
// and the CLI. It does no I/O.
package apitest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// Files is an api.Files. Names are used as they are: "blue:disk0:/x". A file that
// ends in "/pending" never comes to be on the standby unit.
type Files struct {
	Now   time.Time // of everything that is written
	Limit int64     // of a volume in bytes; 0: none

	mu      sync.Mutex // protects what follows
	content map[string]string
}

var _ api.Files = (*Files)(nil)

// Put makes a file.
func (f *Files) Put(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.content == nil {
		f.content = map[string]string{}
	}
	f.content[name] = text
}

func (f *Files) get(name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.content[name]
	if !ok {
		return "", &fault.Error{Code: fault.CodeNoFile, Reason: name + ": no such file or directory",
			Hint: "`warren dir` lists a directory"}
	}
	return text, nil
}

func (f *Files) info(name, text string) api.FileInfo {
	sum := sha256.Sum256([]byte(text))
	return api.FileInfo{Name: name, Size: int64(len(text)), Modified: f.Now, SHA256: hex.EncodeToString(sum[:]),
		Pending: strings.HasSuffix(name, "/pending")}
}

// ListFiles implements api.Files.
func (f *Files) ListFiles(_ context.Context, name string) (api.Directory, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name == "" {
		return f.volumes(), nil
	}
	d := api.Directory{Name: name, LimitBytes: f.Limit}
	volume, _, _ := strings.Cut(name, ":/")
	dirs := map[string]bool{}
	for n, text := range f.content {
		if v, _, _ := strings.Cut(n, ":/"); v == volume {
			d.UsedFiles++
			d.UsedBytes += int64(len(text))
		}
		rest, ok := strings.CutPrefix(n, strings.TrimSuffix(name, "/")+"/")
		dir, _, deeper := strings.Cut(rest, "/")
		switch {
		case n == name:
			d.Pending = strings.HasSuffix(name, "/pending")
			d.Files = append(d.Files, api.FileInfo{Name: path.Base(n), Size: int64(len(text)), Modified: f.Now})
		case ok && deeper && !dirs[dir]:
			dirs[dir] = true
			d.Files = append(d.Files, api.FileInfo{Name: dir, Dir: true, Modified: f.Now})
		case ok && !deeper:
			d.Files = append(d.Files, api.FileInfo{Name: rest, Size: int64(len(text)), Modified: f.Now})
		}
	}
	if len(d.Files) == 0 && !strings.HasSuffix(name, ":/") {
		return api.Directory{}, &fault.Error{Code: fault.CodeNoFile, Reason: name + ": no such file or directory"}
	}
	slices.SortFunc(d.Files, func(a, b api.FileInfo) int { return strings.Compare(a.Name, b.Name) })
	return d, nil
}

// volumes lists the volumes that have files.
func (f *Files) volumes() api.Directory {
	var d api.Directory
	for n := range f.content {
		volume, _, _ := strings.Cut(n, ":/")
		one := api.FileInfo{Name: volume + ":/", Dir: true}
		if !slices.Contains(d.Files, one) {
			d.Files = append(d.Files, one)
		}
	}
	slices.SortFunc(d.Files, func(a, b api.FileInfo) int { return strings.Compare(a.Name, b.Name) })
	return d
}

// OpenFile implements api.Files. A file that ends in "/short" has less content
// than it says.
func (f *Files) OpenFile(_ context.Context, name string) (api.FileInfo, io.ReadCloser, error) {
	text, err := f.get(name)
	if err != nil {
		return api.FileInfo{}, nil, err
	}
	info := f.info(name, text)
	if strings.HasSuffix(name, "/short") {
		info.Size++
	}
	return info, io.NopCloser(strings.NewReader(text)), nil
}

// WriteFile implements api.Files.
func (f *Files) WriteFile(_ context.Context, name string, size int64, r io.Reader) (api.FileInfo, error) {
	if err := f.room(name, size); err != nil {
		return api.FileInfo{}, err
	}
	var b bytes.Buffer
	if n, err := io.Copy(&b, r); err != nil || n != size {
		return api.FileInfo{}, fmt.Errorf("apitest: reading %d bytes: got %d, %w", size, n, err)
	}
	f.Put(name, b.String())
	return f.info(name, b.String()), nil
}

func (f *Files) room(name string, size int64) error {
	if f.Limit == 0 || size <= f.Limit {
		return nil
	}
	return &fault.Error{Code: fault.CodeRefused, Hint: "nothing was changed",
		Reason: fmt.Sprintf("writing %s: the storage limit is %d bytes: %d more do not fit", name, f.Limit, size)}
}

// DeleteFile implements api.Files.
func (f *Files) DeleteFile(_ context.Context, name string) (api.Deleted, error) {
	info, err := f.get(name)
	if err != nil {
		return api.Deleted{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.content, name)
	return api.Deleted{Name: name, Pending: f.info(name, info).Pending}, nil
}

// VerifyFile implements api.Files.
func (f *Files) VerifyFile(_ context.Context, name string) (api.FileInfo, error) {
	text, err := f.get(name)
	if err != nil {
		return api.FileInfo{}, err
	}
	return f.info(name, text), nil
}

// DiskVersions implements api.Files. Nothing here ever has a version.
func (f *Files) DiskVersions(context.Context, bool) (api.Versions, error) { return api.Versions{}, nil }

// DiskManifest implements api.Files.
func (f *Files) DiskManifest(_ context.Context, name string) (api.Manifest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := api.Manifest{Context: name}
	for n, text := range f.content {
		if path, ok := strings.CutPrefix(n, name+":disk0:"); ok {
			m.Files = append(m.Files, f.info(path, text))
		}
	}
	slices.SortFunc(m.Files, func(a, b api.FileInfo) int { return strings.Compare(a.Name, b.Name) })
	return m, nil
}

// DiskNews implements api.Files. There never are any.
func (f *Files) DiskNews(context.Context, string, uint64, uint64) ([]byte, error) { return nil, nil }

// OpenContent implements api.Files.
func (f *Files) OpenContent(_ context.Context, name, sha256 string, offset int64) (api.FileInfo, io.ReadCloser, error) {
	text, err := f.get(name)
	if err == nil && (f.info(name, text).SHA256 != sha256 || offset > int64(len(text))) {
		err = &fault.Error{Code: fault.CodeNoFile, Reason: name + " has another content"}
	}
	if err != nil {
		return api.FileInfo{}, nil, err
	}
	return f.info(name, text), io.NopCloser(strings.NewReader(text[offset:])), nil
}

// CopyFile implements api.Files. It reports progress at once and at the end, and
// refuses after it has begun what is to be called "refused".
func (f *Files) CopyFile(_ context.Context, which api.Copy, progress func(done, total int64)) (api.FileInfo, error) {
	text, err := f.get(which.From)
	if err != nil {
		return api.FileInfo{}, err
	}
	size := int64(len(text))
	if err := f.room(which.To, size); err != nil {
		return api.FileInfo{}, err
	}
	if progress != nil {
		progress(0, size)
		progress(size, size)
	}
	if strings.HasSuffix(which.To, "/refused") {
		return api.FileInfo{}, &fault.Error{Code: fault.CodeRefused, Reason: "no space left on device"}
	}
	f.Put(which.To, text)
	return f.info(which.To, text), nil
}
