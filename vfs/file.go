package vfs

import (
	"io"
	"io/fs"
	"os"
	"slices"
)

// file is an open file of a RootFS. It has the name that it was opened by, and
// lists directories without ever using a path: dir is the directory itself.
type file struct {
	*os.File
	name string
	dir  *os.Root // of a directory

	listed bool     // names are known
	names  []string // not returned yet, in order
}

// Name implements afero.File.
func (f *file) Name() string { return f.name }

// WriteString implements afero.File.
func (f *file) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// Close implements afero.File.
func (f *file) Close() error {
	if f.dir != nil {
		f.dir.Close()
	}
	return f.File.Close()
}

// Readdirnames implements afero.File. Names come sorted.
func (f *file) Readdirnames(n int) ([]string, error) {
	if f.dir == nil {
		return f.File.Readdirnames(n) // the kernel's own error
	}
	if !f.listed {
		names, err := namesIn(f.dir)
		if err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: f.name, Err: bare(err)}
		}
		f.names, f.listed = names, true
	}
	if n <= 0 || n > len(f.names) {
		if n > 0 && len(f.names) == 0 {
			return nil, io.EOF
		}
		n = len(f.names)
	}
	out := f.names[:n]
	f.names = f.names[n:]
	return out, nil
}

// Readdir implements afero.File. Links are shown as links.
func (f *file) Readdir(n int) ([]os.FileInfo, error) {
	names, err := f.Readdirnames(n)
	if err != nil {
		return nil, err
	}
	out := make([]os.FileInfo, 0, len(names))
	for _, name := range names {
		info, err := f.dir.Lstat(name)
		if err != nil {
			continue // removed meanwhile
		}
		out = append(out, info)
	}
	return out, nil
}

// namesIn returns the sorted names in a directory.
func namesIn(dir *os.Root) ([]string, error) {
	d, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
