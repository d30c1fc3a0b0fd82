package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
)

// TestReadFile: what is no regular file of the host, and what leads anywhere from
// a disk, is an error, and nothing holds us.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk0")
	for name, body := range map[string]string{"a.hcl": "on the host", "disk0/a.hcl": "on the disk"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"link", "disk0/in"} {
		if err := os.Symlink("a.hcl", filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	on := func(name string) configs.Location {
		return configs.Location{Scheme: configs.SchemeFile, Path: filepath.Join(dir, name)}
	}
	within := func(name string) configs.Location {
		return configs.Location{Scheme: configs.SchemeDisk, Context: "blue", Root: disk, Path: name}
	}
	for _, test := range []struct {
		name      string
		at        configs.Location
		want, err string // err: part of it
	}{
		{"a file of the host", on("a.hcl"), "on the host", ""},
		{"by a link of the host", on("link"), "on the host", ""},
		{"a FIFO", on("fifo"), "", "not a regular file"},
		{"a directory", on("disk0"), "", "not a regular file"},
		{"nothing", on("none"), "", "no such file"},
		{"a file of a disk", within("/a.hcl"), "on the disk", ""},
		{"a link on a disk", within("/in"), "", "link"},
		{"out of a disk", within("/../a.hcl"), "", ".."},
		{"of a server", configs.Location{Scheme: configs.SchemeHTTPS, Path: "https://conf.example/a.hcl"}, "",
			"no server was asked"},
	} {
		got, err := Files{}.ReadFile(test.at)
		if string(got) != test.want || (err == nil) != (test.err == "") || err != nil &&
			!strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %q, %v", test.name, got, err)
		}
	}
	if mode, err := (Files{}).Mode(within("/a.hcl")); err != nil || mode != 0o640 {
		t.Errorf("mode of a file of a disk: %v, %v", mode, err)
	}
	if mode, err := (Files{}).Mode(on("a.hcl")); err != nil || mode != 0o640 {
		t.Errorf("mode of a file of the host: %v, %v", mode, err)
	}
	if _, err := (Files{}).Mode(within("/../a.hcl")); err == nil {
		t.Error("the mode of what is out of a disk")
	}
}

func TestMachine(t *testing.T) {
	if m := Machine(); m.Cores < 1 || m.Memory < 1<<20 {
		t.Errorf("got %+v", m)
	}
}
