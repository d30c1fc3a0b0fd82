// Package host reads what a configuration names from the machine that it is for:
// files of the host and of contexts' disks, variables of the environment, and how
// large the machine is. Whoever checks a configuration and whoever runs it read
// the same. It does I/O, and asks no server.
package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/vfs"
)

// Files is the configs.Loader over the files of the host. A tenant's disk is read
// as vfs does, and nothing can escape from it.
type Files struct{}

var _ configs.ModeReader = Files{}

// LookupEnv implements configs.Loader.
func (Files) LookupEnv(name string) (string, bool) { return os.LookupEnv(name) }

// ReadFile implements configs.Loader. What is no regular file is an error, and so
// is what a server has: whoever has asked servers knows their answers.
func (Files) ReadFile(at configs.Location) ([]byte, error) {
	switch at.Scheme {
	case configs.SchemeDisk:
		return vfs.ReadFile(at.Root, at.Path, configs.MaxFileSize+1)
	case configs.SchemeHTTPS:
		return nil, errors.New("no server was asked for it")
	}
	f, err := os.OpenFile(at.Path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	return io.ReadAll(io.LimitReader(f, configs.MaxFileSize+1))
}

// Mode implements configs.ModeReader.
func (Files) Mode(at configs.Location) (fs.FileMode, error) {
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

// APIGroup returns the number of the group that may use the API's socket; -1: none, or
// with an error, none that this host has.
func APIGroup(conf *configs.System) (gid int, err error) {
	if conf.APIGroup == "" {
		return -1, nil
	}
	g, err := user.LookupGroup(conf.APIGroup)
	if err == nil {
		gid, err = strconv.Atoi(g.Gid)
	}
	if err != nil {
		return -1, fmt.Errorf("host: there is no group %q, which the API is for", conf.APIGroup)
	}
	return gid, nil
}

// Machine is the size of what we run on; a memory of 0 is one that the kernel
// does not tell.
func Machine() configs.Machine {
	m := configs.Machine{Cores: float64(runtime.NumCPU())}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	return m
}
