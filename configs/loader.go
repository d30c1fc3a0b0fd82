package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// MaxFileSize is the largest configuration or secret file in bytes: a hundred
// times what a large tenant needs.
const MaxFileSize = 1 << 20

// Scheme says which file system a Location is in.
type Scheme string

// The schemes of locations.
const (
	SchemeFile  Scheme = "file"  // the host's files
	SchemeDisk  Scheme = "disk0" // the private files of Context
	SchemeHTTPS Scheme = "https" // what a server has for Context
)

// Location is where a file is. Locations are comparable.
type Location struct {
	Scheme  Scheme
	Path    string // slash separated and clean; with SchemeDisk absolute within the disk; with SchemeHTTPS the URL
	Context string // not with SchemeFile: whose disk or configuration
	// Root is the directory of the host that holds the disk: DiskRoot of the
	// state_dir and Context. A loader must let nothing escape from it.
	Root string
}

// DiskRoot returns the directory of the host that is disk0: of a context.
func DiskRoot(stateDir, context string) string {
	return path.Join(stateDir, "contexts", context, "disk0")
}

// String returns the path for the host's files, as diagnostics name them,
// "blue:disk0:/blue.hcl" for a context's, and the URL for what a server has.
func (l Location) String() string {
	if l.Scheme == SchemeDisk {
		return l.Context + ":disk0:" + l.Path
	}
	return l.Path
}

// Loader reads what a configuration names.
type Loader interface {
	// ReadFile returns the content of a file. It may stop after MaxFileSize+1
	// bytes. What Remotes lists is asked for once it was fetched, or could not be.
	ReadFile(Location) ([]byte, error)
	// LookupEnv returns a variable of the environment, and whether it is set.
	LookupEnv(name string) (string, bool)
}

// Selective is a Loader of a part of a configuration.
type Selective interface {
	// LeaveOut reports whether Load is to go on as if the system file did not name a
	// context.
	LeaveOut(context string) bool
}

// Checker is a Loader that says which texts of contexts are parsed at all.
type Checker interface {
	// Check returns why a text, which ReadFile has returned for a context's
	// configuration, is not to be parsed here; nil: it may be.
	Check(text []byte) error
}

// ModeReader is a Loader that knows who may read a file. Load warns of files with
// secrets in them that everybody on the host can read.
type ModeReader interface {
	// Mode returns the permissions of a file that ReadFile has returned.
	Mode(Location) (fs.FileMode, error)
}

// FSLoader is a Loader over a file system. FS holds the host's files: a
// Location's path, and Root, without the leading slash. Env may be nil.
type FSLoader struct {
	FS  fs.FS
	Env func(string) (string, bool)
}

// ReadFile implements Loader.
func (l FSLoader) ReadFile(at Location) ([]byte, error) {
	if at.Scheme == SchemeHTTPS {
		return nil, errors.New("servers are out of reach here")
	}
	f, err := l.FS.Open(l.name(at))
	if err != nil {
		return nil, bareError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, bareError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, bareError(err)
	}
	return b, nil
}

// Mode implements ModeReader.
func (l FSLoader) Mode(at Location) (fs.FileMode, error) {
	info, err := fs.Stat(l.FS, l.name(at))
	if err != nil {
		return 0, bareError(err)
	}
	return info.Mode(), nil
}

// name returns where in FS a location is.
func (l FSLoader) name(at Location) string {
	name := at.Path
	if at.Scheme == SchemeDisk {
		name = path.Join(at.Root, path.Clean("/"+at.Path))
	}
	return strings.TrimPrefix(path.Clean(name), "/")
}

// LookupEnv implements Loader.
func (l FSLoader) LookupEnv(name string) (string, bool) {
	if l.Env == nil {
		return "", false
	}
	return l.Env(name)
}

// bareError takes the operation and path off an error: the diagnostic says
// them already.
func bareError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// origin is the file that text stands in, and the disk that "disk0:" means
// there: none in the system file.
type origin struct{ file, disk Location }

// locate returns the location that text names: "disk0:/x", an absolute path, or
// one relative to the file. A file that lives on a context's disk is the
// tenant's own, so it may name nothing but files of the same disk. The same goes
// for one that a server has, and that names them with "disk0:".
func (o origin) locate(text string) (Location, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok || strings.Contains(scheme, "/") {
		scheme, rest = "", text
	}
	onDisk, onServer := o.file.Scheme == SchemeDisk, o.file.Scheme == SchemeHTTPS
	switch {
	case rest == "" || strings.ContainsRune(rest, 0):
		return Location{}, errors.New("the path is empty")
	case scheme == string(SchemeDisk) && o.disk.Context == "":
		return Location{}, errors.New("only files of the host can be named here: disk0: belongs to a context")
	case scheme == string(SchemeDisk):
		at := o.disk
		at.Path = path.Clean("/" + rest)
		return at, nil
	case onServer:
		return Location{},
			errors.New(`a configuration from a server may name only files on its context's disk, as in "disk0:/..."`)
	case onDisk && (scheme != "" || path.IsAbs(rest)):
		return Location{}, errors.New("a file on disk0: may name only others on the same disk")
	case onDisk:
		at := o.disk
		at.Path = path.Join("/", path.Dir(o.file.Path), rest)
		return at, nil
	case scheme != "" && scheme != string(SchemeFile):
		return Location{}, fmt.Errorf("%q is no scheme that is read here: file: and disk0: are", scheme+":")
	}
	p := path.Clean(rest)
	if !path.IsAbs(p) {
		p = path.Join(path.Dir(o.file.Path), p)
	}
	return Location{Scheme: SchemeFile, Path: p}, nil
}
