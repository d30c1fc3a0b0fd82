package system

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// load reads the configuration, after it has asked the servers that have parts
// of it. Its warnings are lines for the log. A configuration that is not valid is
// an *api.Error with the diagnostics.
func load(ctx context.Context, path string) (*configs.System, []string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("system: finding the configuration: %w", err)
	}
	return fetchAll(ctx, path).load(path)
}

// loadFirst is load for the start, when nothing runs that could go on: what
// servers have that is not valid gives way to what they had before.
func loadFirst(ctx context.Context, path string) (*configs.System, []string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("system: finding the configuration: %w", err)
	}
	src := fetchAll(ctx, path)
	conf, warnings, err := src.load(path)
	if err != nil && src.fallBack() {
		if conf, warnings, againErr := src.load(path); againErr == nil {
			return conf, warnings, nil
		}
	}
	return conf, warnings, err
}

// load is load with what was fetched.
func (src *source) load(path string) (*configs.System, []string, error) {
	conf, diags := configs.Load(src, path, machine())
	src.diags = diags
	if diags.HasErrors() {
		var text strings.Builder
		if err := diags.Write(&text, 0, false); err != nil {
			return nil, nil, err
		}
		return nil, nil, &api.Error{
			Code: api.CodeRefused, Reason: "the configuration " + path + " is not valid",
			Hint: "`warren validate " + path + "` shows the same; nothing was changed", Detail: text.String(),
		}
	}
	if conf.Failover != nil {
		return nil, nil, &api.Error{
			Code: api.CodeRefused, Reason: "system: the failover block of " + path + " cannot be honoured: this warrend runs a node alone",
			Hint: "remove the failover block",
		}
	}
	src.keep()
	warnings := slices.Clone(src.warnings)
	for _, w := range diags.Warnings() {
		warnings = append(warnings, configs.Line(w))
	}
	return conf, warnings, nil
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
