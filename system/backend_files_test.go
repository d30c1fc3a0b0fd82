package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/vfstest"
)

// filesOnly is an api.Backend with files and nothing else.
type filesOnly struct {
	noBackend
	files
}

type noBackend struct{ api.Backend }

// serveFiles serves the files of blue (100 bytes) and red (no limit), which both
// have shared storage, until the test
// ends, or stop is called.
func serveFiles(t *testing.T) (c *client.Client, f *disks.Disks, state, images string, stop func()) {
	t.Helper()
	dir := t.TempDir()
	state, images = filepath.Join(dir, "state"), filepath.Join(dir, "images")
	if err := os.Mkdir(images, 0o755); err != nil {
		t.Fatal(err)
	}
	f = disks.New(&disks.Config{StateDir: state, Log: slog.New(slog.DiscardHandler)})
	shared := []vfs.Shared{{Label: "images", Dir: images}}
	if err := f.Set([]vfs.Disk0{{Context: "blue", Limit: vfs.Limit{Bytes: 100, Files: 5}, Shared: shared},
		{Context: "red", Shared: shared}}); err != nil {
		t.Fatal(err)
	}
	s, err := api.New(&api.Config{Socket: filepath.Join(dir, "s"), Backend: filesOnly{files: files{f}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	c = client.New(&client.Config{Socket: filepath.Join(dir, "s")})
	stop = sync.OnceFunc(func() {
		c.Close()
		cancel()
		if err := errors.Join(<-done, f.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return c, f, state, images, stop
}

func put(c *client.Client, name, text string) error {
	_, err := c.WriteFile(context.Background(), name, int64(len(text)), strings.NewReader(text))
	return err
}

// TestFiles takes a file through everything that an operator does with files.
func TestFiles(t *testing.T) {
	c, f, state, images, _ := serveFiles(t)
	ctx := t.Context()
	for _, err := range []error{put(c, "blue:disk0:/d/x", "blue's"), put(c, "images:/pkg", "image")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var told [][2]int64
	got, err := c.CopyFile(ctx, api.Copy{From: "red:images:/pkg", To: "red:disk0:/pkg"},
		func(done, total int64) { told = append(told, [2]int64{done, total}) })
	if err != nil || got.Name != "red:disk0:/pkg" || got.Size != 5 {
		t.Errorf("copy: %+v, %v, %v", got, err, told)
	}
	if got, err := c.VerifyFile(ctx, "red:disk0:/pkg"); err != nil || len(got.SHA256) != 64 {
		t.Errorf("verify: %+v, %v", got, err)
	}
	r, size, err := c.ReadFile(ctx, "blue:disk0:/d/x")
	if err != nil || size != 6 {
		t.Fatalf("read: %d, %v", size, err)
	}
	text, err := io.ReadAll(r)
	if r.Close(); err != nil || string(text) != "blue's" {
		t.Errorf("read: %q, %v", text, err)
	}
	d, err := c.Files(ctx, "blue:disk0:/d")
	if err != nil || len(d.Files) != 1 || d.Files[0].Name != "x" || d.UsedBytes != 6 || d.LimitBytes != 100 ||
		d.UsedFiles != 2 || d.ReadOnly {
		t.Errorf("dir: %+v, %v", d, err)
	}
	if d, err := c.Files(ctx, "blue:images:/"); err != nil || !d.ReadOnly || len(d.Files) != 1 {
		t.Errorf("dir of shared storage: %+v, %v", d, err)
	}
	if d, err := c.Files(ctx, ""); err != nil || len(d.Files) != 5 || d.Files[0].Name != "blue:disk0:/" {
		t.Errorf("volumes: %+v, %v", d, err)
	}
	want := []control.Resource{
		{Context: "blue", Resource: "storage", Unit: resource.Bytes, Current: 6, Peak: 6, Limit: 100},
		{Context: "blue", Resource: "storage_files", Current: 2, Peak: 2, Limit: 5},
	}
	if diff := cmp.Diff(want, f.Resources("blue")); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if _, err := c.DeleteFile(ctx, "blue:disk0:/d/x"); err != nil {
		t.Error(err)
	}
	const left = "contexts contexts/blue contexts/blue/disk0 contexts/blue/disk0/d " +
		"contexts/red contexts/red/disk0 contexts/red/disk0/pkg=image"
	if got := vfstest.HostTree(t, state); got != left {
		t.Errorf("on the disk: %s", got)
	}
	if got := vfstest.HostTree(t, images); got != "pkg=image" {
		t.Errorf("in shared storage: %s", got)
	}
}

// TestFilesRefuse: bad input is one clear line, and changes nothing.
func TestFilesRefuse(t *testing.T) {
	write := func(name, text string) func(*client.Client) error {
		return func(c *client.Client) error { return put(c, name, text) }
	}
	copies := func(from, to string) func(*client.Client) error {
		return func(c *client.Client) error {
			_, err := c.CopyFile(context.Background(), api.Copy{From: from, To: to}, nil)
			return err
		}
	}
	read := func(name string) func(*client.Client) error {
		return func(c *client.Client) error {
			r, _, err := c.ReadFile(context.Background(), name)
			if err == nil {
				r.Close()
			}
			return err
		}
	}
	deletes := func(name string) func(*client.Client) error {
		return func(c *client.Client) error {
			_, err := c.DeleteFile(context.Background(), name)
			return err
		}
	}
	large := strings.Repeat("x", 101)
	tests := []struct {
		name string
		do   func(*client.Client) error
		code fault.Code
		want string
		hint string
	}{
		{"name with ..", write("blue:disk0:/../../red/disk0/x", "x"), fault.CodeInvalid,
			`"blue:disk0:/../../red/disk0/x" is no valid name: ".." is no name of a file`, ""},
		{"name of the host", read("/etc/shadow"), fault.CodeInvalid,
			`"/etc/shadow" is no valid name: names look like "blue:disk0:/file"`, ""},
		{"name of a context with a path", write("../red:disk0:/x", "x"), fault.CodeInvalid,
			"the context's name has letters", ""},
		{"read through a link", read("blue:disk0:/link"), fault.CodeRefused,
			"reading blue:disk0:/link: leads out of its file system: it is a symbolic link", "only regular files"},
		{"write through a link", write("blue:disk0:/link", "x"), fault.CodeRefused,
			"writing blue:disk0:/link: leads out of its file system", "only regular files"},
		{"write below a link", write("blue:disk0:/links/x", "x"), fault.CodeRefused,
			"writing blue:disk0:/links/x: leads out of its file system", "only regular files"},
		{"copy a link of another", copies("blue:disk0:/link", "red:disk0:/x"), fault.CodeRefused,
			"leads out of its file system", "only regular files"},
		{"too large", write("blue:disk0:/large", large), fault.CodeRefused,
			"writing blue:disk0:/large: the storage limit is 100 bytes: 3 are used and 101 more do not fit",
			"nothing was changed; delete files"},
		{"copy too large", copies("red:disk0:/large", "blue:disk0:/old"), fault.CodeRefused,
			"writing blue:disk0:/old: the storage limit is 100 bytes", "nothing was changed; delete files"},
		{"too many", func(c *client.Client) error {
			var err error
			for i := range 5 {
				name := fmt.Sprintf("blue:disk0:/%d", i)
				if err = put(c, name, ""); err == nil {
					defer c.DeleteFile(context.Background(), name)
				}
			}
			return err
		}, fault.CodeRefused, "writing blue:disk0:/4: the storage limit is 5 files", "nothing was changed"},
		{"shared storage by a context", write("blue:images:/x", "x"), fault.CodeRefused,
			"writing blue:images:/x: is read-only", "change it as the system"},
		{"delete shared storage by a context", deletes("blue:images:/pkg"), fault.CodeRefused,
			"deleting blue:images:/pkg: is read-only", "change it as the system"},
		{"copy to shared storage by a context", copies("blue:disk0:/old", "red:images:/pkg"), fault.CodeRefused,
			"is read-only", "change it as the system"},
		{"no context", read("grey:disk0:/x"), fault.CodeNoFile, "no such volume: there is no context grey",
			"`warren show context`"},
		{"no volume", read("blue:flash:/x"), fault.CodeNoFile, "no such volume: context blue has disk0:, images:", ""},
		{"no file", read("blue:disk0:/none"), fault.CodeNoFile, "reading blue:disk0:/none: no such file or directory",
			"`warren dir`"},
		{"delete the volume", deletes("blue:disk0:/"), fault.CodeRefused,
			"deleting blue:disk0:/: device or resource busy", "a volume itself"},
		{"source shorter than said", func(c *client.Client) error {
			_, err := c.WriteFile(context.Background(), "blue:disk0:/old", 50, strings.NewReader("short"))
			return err
		}, "", "", ""},
		{"source that breaks", func(c *client.Client) error {
			_, err := c.WriteFile(context.Background(), "blue:disk0:/old", 50,
				io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(syscall.EIO)))
			return err
		}, "", "input/output error", ""},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			c, f, state, images, stop := serveFiles(t)
			disk := vfs.DiskDir(state, "blue")
			secret := filepath.Join(t.TempDir(), "secret")
			err := errors.Join(put(c, "blue:disk0:/old", "old"), put(c, "images:/pkg", "image"),
				put(c, "red:disk0:/large", large),
				os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink(secret, disk+
					"/link"), os.Symlink(filepath.Dir(secret), disk+"/links"))
			if err != nil {
				t.Fatal(err)
			}
			all := func() (text string) {
				for _, dir := range []string{state, images, filepath.Dir(secret)} {
					text += vfstest.HostTree(t, dir) + "\n"
				}
				return text
			}
			before := all()
			err = tt.do(c)
			var e *fault.Error
			switch {
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("got %v, want %q", err, tt.want)
			case tt.code != "" && (!errors.As(err, &e) || e.Code != tt.code || !strings.Contains(e.Hint, tt.hint)):
				t.Errorf("got %#v, want code %s and hint %q", err, tt.code, tt.hint)
			case strings.Contains(err.Error(), state), tt.code != "" && strings.Contains(e.Reason, "\n"):
				t.Errorf("not one clear line: %q", err)
			}
			if u := f.Resources("blue"); tt.code != "" && u[0].Current != 3 {
				t.Errorf("afterwards %d bytes are used", u[0].Current)
			}
			stop() // it may still be busy with cleaning up behind a caller that broke off
			if after := all(); after != before {
				t.Errorf("something changed:\n%s\n%s", before, after)
			}
		})
	}
}

// gate is a reader that waits after its first part.
type gate struct {
	parts   [][]byte
	reached chan struct{}
	open    chan struct{}
}

func (g *gate) Read(b []byte) (int, error) {
	if len(g.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, g.parts[0])
	if g.parts = g.parts[1:]; len(g.parts) == 0 {
		close(g.reached)
		<-g.open
	}
	return n, nil
}

// TestQuotaInTheMiddle: whoever comes while a large file is being written, and
// would take its room, is refused, and the copy that is under way ends well.
func TestQuotaInTheMiddle(t *testing.T) {
	c, _, state, _, _ := serveFiles(t)
	g := &gate{parts: [][]byte{bytes.Repeat([]byte("a"), 30), bytes.Repeat([]byte("b"), 30)},
		reached: make(chan struct{}), open: make(chan struct{})}
	var writing sync.WaitGroup
	writing.Go(func() {
		if _, err := c.WriteFile(context.Background(), "blue:disk0:/first", 60, g); err != nil {
			t.Errorf("the copy under way: %v", err)
		}
	})
	<-g.reached
	second := client.New(&client.Config{Socket: c.Socket()})
	defer second.Close()
	err := put(second, "blue:disk0:/second", strings.Repeat("x", 60))
	if err == nil || !strings.Contains(err.Error(),
		"writing blue:disk0:/second: the storage limit is 100 bytes: 60 are used and 60 more do not fit") {
		t.Errorf("the second: got %v", err)
	}
	if err := put(second, "red:disk0:/x", strings.Repeat("x", 1000)); err != nil {
		t.Errorf("another context: %v", err)
	}
	close(g.open)
	writing.Wait()
	want := "first=" + strings.Repeat("a", 30) + strings.Repeat("b", 30)
	if got := vfstest.HostTree(t, vfs.DiskDir(state, "blue")); got != want {
		t.Errorf("afterwards: %s", got)
	}
}
