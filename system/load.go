package system

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/api"
)

// load reads the configuration. Its warnings are lines for the log. A
// configuration that is not valid is an *api.Error with the diagnostics.
func load(path string) (*configs.System, []string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("system: finding the configuration: %w", err)
	}
	conf, diags := configs.Load(hostFiles{}, path, machine())
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
	var warnings []string
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
// is read through an os.Root, which nothing can escape from.
type hostFiles struct{}

// LookupEnv implements configs.Loader.
func (hostFiles) LookupEnv(name string) (string, bool) { return os.LookupEnv(name) }

// ReadFile implements configs.Loader.
func (hostFiles) ReadFile(at configs.Location) ([]byte, error) {
	const flags = os.O_RDONLY | unix.O_NONBLOCK // a FIFO must not hold us
	var f *os.File
	var err error
	if at.Scheme == configs.SchemeDisk {
		var root *os.Root
		if root, err = os.OpenRoot(at.Root); err != nil {
			return nil, bare(err)
		}
		defer root.Close()
		f, err = root.OpenFile(strings.TrimPrefix(at.Path, "/"), flags, 0)
	} else {
		f, err = os.OpenFile(at.Path, flags, 0)
	}
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
