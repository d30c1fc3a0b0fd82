package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/vfs/fetch"
)

// newValidate is `warren validate`.
func newValidate(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a system file and the contexts that it names",
		Long: "Check a system file and the contexts that it names, without a running warrend.\n" +
			"What servers have is fetched from them, and never from the copies of warrend.\n\n" +
			"Every problem is printed with its place and a remedy; with errors the exit code is 1.",
		Example: "  warren validate /etc/warren/system.hcl",
		Args:    oneFile,
		RunE: does(func(ctx context.Context, args []string) error {
			m, err := thisMachine()
			if err != nil {
				return err
			}
			sys, diags := configs.Load(fetched(ctx, args[0]), args[0], m)
			if err := diags.Write(e.stderr, 0, e.colour); err != nil {
				return err
			}
			if diags.HasErrors() {
				return errSaid
			}
			_, err = fmt.Fprintf(e.stdout, "%s: %s, %s\n", args[0],
				count(len(sys.Contexts), "context", "contexts"), count(len(diags.Warnings()), "warning", "warnings"))
			return err
		}),
	}
}

// thisMachine tells what percentages refer to.
func thisMachine() (configs.Machine, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return configs.Machine{}, fmt.Errorf("asking for the size of memory: %w", err)
	}
	return configs.Machine{
		Cores:  float64(runtime.NumCPU()),
		Memory: int64(info.Totalram) * int64(info.Unit),
	}, nil
}

// withServers is a configs.Loader of what the host and servers have.
type withServers struct {
	hostFiles
	got map[configs.Location]fetch.Result
}

// fetched asks every server that a configuration names.
func fetched(ctx context.Context, path string) withServers {
	_, list := configs.Remotes(hostFiles{}, path)
	var requests []fetch.Request
	for _, r := range list {
		requests = append(requests, fetch.Request{URL: r.Path, CA: r.CA, Timeout: r.Timeout, Limit: configs.MaxFileSize})
	}
	w := withServers{got: map[configs.Location]fetch.Result{}}
	for i, got := range fetch.All(ctx, requests) {
		w.got[list[i].Location] = got
	}
	return w
}

// ReadFile implements configs.Loader.
func (w withServers) ReadFile(at configs.Location) ([]byte, error) {
	if at.Scheme != configs.SchemeHTTPS {
		return w.hostFiles.ReadFile(at)
	}
	return w.got[at].Content, w.got[at].Err
}

// hostFiles reads what a configuration names from this host.
type hostFiles struct{}

// ReadFile implements configs.Loader. Files of a context's disk are opened
// below its root, which no link leads out of.
func (hostFiles) ReadFile(at configs.Location) ([]byte, error) {
	if at.Scheme != configs.SchemeDisk {
		return readBounded(at.Path, configs.MaxFileSize)
	}
	root, err := os.OpenRoot(at.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(filepath.Clean("./"+at.Path), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readRegular(f, configs.MaxFileSize)
}

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

// LookupEnv implements configs.Loader.
func (hostFiles) LookupEnv(name string) (string, bool) { return os.LookupEnv(name) }
