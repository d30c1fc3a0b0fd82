package system

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/vfs"
)

// loaded is a configuration with all that it was read from.
type loaded struct {
	conf     *configs.System // nil where there are errors
	texts    *texts
	warnings []string // lines for the log
	// stale are those of warnings that say that what a server has cannot be used,
	// and its last good copy is.
	stale []string
	// problems are the contexts for which something earlier is used, and "" for the
	// system file.
	problems []api.ContextError
}

// load reads the startup configuration, after it has asked the servers that have
// parts of it. A configuration that is not valid is an *api.Error with the
// diagnostics; then the texts are what could be read.
func load(ctx context.Context, path string) (*loaded, error) { return fetchAll(ctx, path).load(path) }

// look is load for those who only look: what servers have is not kept.
func look(ctx context.Context, path string) (*loaded, error) { return fetchAll(ctx, path).look(path) }

// load is load with what was fetched.
func (src *source) load(path string) (*loaded, error) {
	l, err := src.look(path)
	if err != nil {
		return l, err
	}
	before := len(src.warnings)
	src.keep()
	l.warnings = append(l.warnings, src.warnings[before:]...)
	return l, nil
}

// look is load without keeping what servers have.
func (src *source) look(path string) (*loaded, error) {
	l, diags, err := read(src, path)
	src.diags = diags
	l.warnings = append(slices.Clone(src.warnings), l.warnings...)
	l.stale = slices.Clone(src.stale)
	return l, err
}

// read reads the configuration whose system file is at path.
func read(from configs.Loader, path string) (*loaded, *configs.Diagnostics, error) {
	rec := newRecorder(from)
	conf, diags := configs.Load(rec, path, machine())
	l := &loaded{conf: conf, texts: rec.texts(path, conf)}
	if diags.HasErrors() {
		var text strings.Builder
		if err := diags.Write(&text, 0, false); err != nil {
			return l, diags, err
		}
		return l, diags, &api.Error{
			Code: api.CodeRefused, Reason: "the configuration " + path + " is not valid",
			Hint: "`warren validate " + path + "` shows the same; nothing was changed", Detail: text.String(),
		}
	}
	for _, w := range diags.Warnings() {
		l.warnings = append(l.warnings, configs.Line(w))
	}
	return l, diags, nil
}

// recall reads a version that was kept.
func recall(t *texts) (*loaded, error) {
	l, _, err := read(t, t.Path)
	return l, err
}

// machine is the size of what we run on.
func machine() configs.Machine {
	m := configs.Machine{Cores: float64(runtime.NumCPU())}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	return m
}

// hostFiles is the configs.Loader over the files of the host. A tenant's disk
// is read as vfs does, and nothing can escape from it.
type hostFiles struct{}

// LookupEnv implements configs.Loader.
func (hostFiles) LookupEnv(name string) (string, bool) { return os.LookupEnv(name) }

// Mode implements configs.ModeReader.
func (hostFiles) Mode(at configs.Location) (fs.FileMode, error) {
	stat, name := os.Stat, at.Path
	if at.Scheme == configs.SchemeDisk { // which no link leads out of
		root, err := os.OpenRoot(at.Root)
		if err != nil {
			return 0, err
		}
		defer root.Close()
		stat, name = root.Stat, filepath.Clean("./"+at.Path)
	}
	info, err := stat(name)
	if err != nil {
		return 0, err
	}
	return info.Mode(), nil
}

// ReadFile implements configs.Loader.
func (hostFiles) ReadFile(at configs.Location) ([]byte, error) {
	switch at.Scheme {
	case configs.SchemeDisk:
		b, err := vfs.ReadFile(at.Root, at.Path, configs.MaxFileSize+1)
		return b, bare(err)
	case configs.SchemeHTTPS:
		return nil, errors.New("no server was asked for it")
	}
	f, err := os.OpenFile(at.Path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, configs.MaxFileSize+1))
	return b, bare(err)
}

// bare takes operation and path off an error: the diagnostic says them already.
func bare(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
