package system

import (
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/configs"
)

// TestGroupOfTheSocket: a group that the host has gets the socket at once, and with
// any other the socket is closed.
func TestGroupOfTheSocket(t *testing.T) {
	own, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), socketName)
	write(t, path, "")
	var log strings.Builder
	to := slog.New(slog.NewTextHandler(&log, nil))
	for _, tt := range []struct {
		group string
		mode  os.FileMode
		says  string
	}{{"", 0o600, ""}, {own.Name, 0o660, ""}, {"warren-none", 0o600, "nobody but root"}, {"", 0o600, ""}} {
		log.Reset()
		restrict(path, &configs.System{APIGroup: tt.group}, to)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != tt.mode || (tt.says == "") != (log.Len() == 0) ||
			!strings.Contains(log.String(), tt.says) {
			t.Errorf("group %q: %v, %v; %s", tt.group, info.Mode(), err, &log)
		}
	}
	restrict(path+"none", &configs.System{}, to)
}
