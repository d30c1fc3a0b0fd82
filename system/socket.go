package system

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
	"github.com/warrenvpn/warren/system/api"
)

// socketName is the API's socket in run_dir.
const socketName = "warren.sock"

// Socket is the path of the API's socket.
func (s *System) Socket() string { return filepath.Join(s.run.path, socketName) }

// Group returns the group that may use the API's socket to read; -1: there is none,
// or not on this host, which is logged.
func (s *System) Group() int {
	gid, err := host.APIGroup(s.life.Running())
	if err != nil {
		s.cfg.Log.Warn("nobody but root can use the API", "reason", err)
	}
	return gid
}

// restrict opens the API's socket at path to the group of another configuration.
// While there is no socket nothing is to be done.
func restrict(path string, conf *configs.System, log *slog.Logger) {
	gid, err := host.APIGroup(conf)
	if closed := api.Restrict(path, gid); !errors.Is(closed, fs.ErrNotExist) {
		err = errors.Join(err, closed)
	}
	if err != nil {
		log.Warn("nobody but root can use the API", "reason", err)
	}
}

// String implements task.Task.
func (s *System) String() string { return "system" }

// Ready is closed once every context has begun to start.
func (s *System) Ready() <-chan struct{} { return s.up }
