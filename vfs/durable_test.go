package vfs

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"
)

// diary is a file system that writes down what makes things durable.
type diary struct {
	afero.Fs
	did *[]string
}

func (d diary) note(what, name string) {
	if strings.HasPrefix(path.Base(name), reserved) {
		name = path.Join(path.Dir(name), "aside")
	}
	*d.did = append(*d.did, what+" "+name)
}

func (d diary) Open(name string) (afero.File, error) {
	f, err := d.Fs.Open(name)
	return diaryFile{f, d, name}, err
}

func (d diary) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	f, err := d.Fs.OpenFile(name, flag, perm)
	return diaryFile{f, d, name}, err
}

func (d diary) Mkdir(name string, perm os.FileMode) error {
	d.note("mkdir", name)
	return d.Fs.Mkdir(name, perm)
}

func (d diary) Rename(from, to string) error {
	d.note("rename to", to)
	return d.Fs.Rename(from, to)
}

func (d diary) Remove(name string) error {
	d.note("remove", name)
	return d.Fs.Remove(name)
}

type diaryFile struct {
	afero.File
	d    diary
	name string
}

func (f diaryFile) Write(b []byte) (int, error) {
	f.d.note("write", f.name)
	return f.File.Write(b)
}

func (f diaryFile) Sync() error {
	f.d.note("sync", f.name)
	return f.File.Sync()
}

// TestDurable: content is on the disk before the name changes, and every name
// that changed is before anybody is told.
func TestDurable(t *testing.T) {
	var did []string
	v, err := NewVolume("", diary{afero.NewMemMapFs(), &did}, Limit{})
	must(t, err, put(v, "/a/b/x", "text"), v.Remove("/a/b/x"))
	want := []string{
		"mkdir /a", "mkdir /a/b", "write /a/b/aside", "sync /a/b/aside", "rename to /a/b/x", "sync /a/b",
		"sync /a", "sync /",
		"remove /a/b/x", "sync /a/b",
	}
	if !slices.Equal(did, want) {
		t.Errorf("got  %q\nwant %q", did, want)
	}
}
