package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/roottest"
)

// jail makes a directory with a root in it, and a secret beside the root.
func jail(t *testing.T) (r *RootFS, root, secret string) {
	t.Helper()
	top := t.TempDir()
	root, secret = filepath.Join(top, "root"), filepath.Join(top, "secret")
	must(t, os.Mkdir(root, 0o700), os.WriteFile(secret, []byte("secret"), 0o600),
		os.Mkdir(filepath.Join(top, "outside"), 0o700), os.Mkdir(filepath.Join(root, "dir"), 0o700),
		os.WriteFile(filepath.Join(root, "dir", "in"), []byte("inside"), 0o600))
	r, err := OpenRootFS(root)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r, root, secret
}

// uses are all ways to use a name of a file.
var uses = []struct {
	name string
	use  func(r afero.Fs, name string) error
}{
	{"read", func(r afero.Fs, name string) error { _, err := afero.ReadFile(r, name); return err }},
	{"write", func(r afero.Fs, name string) error { return afero.WriteFile(r, name, []byte("pwned"), 0o644) }},
	{"create", func(r afero.Fs, name string) error { return closing(r.Create(name)) }},
	{"append", func(r afero.Fs, name string) error {
		f, err := r.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			f.WriteString("pwned")
		}
		return closing(f, err)
	}},
	{"create exclusively", func(r afero.Fs, name string) error {
		return closing(r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644))
	}},
	{"truncate", func(r afero.Fs, name string) error { return closing(r.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)) }},
	{"stat", func(r afero.Fs, name string) error { _, err := r.Stat(name); return err }},
	{"chmod", func(r afero.Fs, name string) error { return r.Chmod(name, 0o777) }},
	{"chown", func(r afero.Fs, name string) error { return r.Chown(name, os.Getuid(), os.Getgid()) }},
	{"chtimes", func(r afero.Fs, name string) error { return r.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0)) }},
}

func closing(f afero.File, err error) error {
	if err != nil {
		return err
	}
	return f.Close()
}

// TestRootFSEscapes plants what is known to lead out of a directory, and uses it
// in every way.
func TestRootFSEscapes(t *testing.T) {
	tests := []struct {
		name  string
		plant func(t *testing.T, root, secret string)
		use   string
		root  bool
	}{
		{name: "dotdot", use: "../secret"},
		{name: "dotdot from a directory", use: "dir/../../secret"},
		{name: "dotdot that stays", use: "dir/../dir/in"},
		{name: "dotdot with slash", use: "/../secret"},
		{name: "absolute link", use: "l", plant: func(t *testing.T, root, secret string) {
			must(t, os.Symlink(secret, root+"/l"))
		}},
		{name: "relative link", use: "l", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("../secret", root+"/l"))
		}},
		{name: "link to a directory", use: "l/secret", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("..", root+"/l"))
		}},
		{name: "link to an absolute directory", use: "l/secret", plant: func(t *testing.T, root, secret string) {
			must(t, os.Symlink(filepath.Dir(secret), root+"/l"))
		}},
		{name: "link that stays inside", use: "l", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("dir/in", root+"/l"))
		}},
		{name: "directory link that stays inside", use: "l/in", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("dir", root+"/l"))
		}},
		{name: "link to a link", use: "a", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("b", root+"/a"), os.Symlink("../secret", root+"/b"))
		}},
		{name: "dangling link to outside", use: "l", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("../outside/new", root+"/l"))
		}},
		{name: "dangling link inside", use: "l", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("new", root+"/l"))
		}},
		{name: "link to itself", use: "l", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("l", root+"/l"))
		}},
		{name: "magic link", use: "l/secret", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("/proc/self/cwd/..", root+"/l"))
		}},
		{name: "link to the root of the process", use: "l/etc/passwd", plant: func(t *testing.T, root, _ string) {
			must(t, os.Symlink("/proc/self/root", root+"/l"))
		}},
		{name: "hard link", use: "h", plant: func(t *testing.T, root, secret string) {
			must(t, os.Link(secret, root+"/h"))
		}},
		{name: "FIFO", use: "f", plant: func(t *testing.T, root, _ string) { must(t, unix.Mkfifo(root+"/f", 0o666)) }},
		{name: "socket", use: "s", plant: func(t *testing.T, root, _ string) {
			t.Chdir(root) // the path of a socket is short
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "s", Net: "unix"})
			must(t, err)
			t.Cleanup(func() { l.Close() })
		}},
		{name: "character device", use: "d", root: true, plant: func(t *testing.T, root, _ string) {
			must(t, unix.Mknod(root+"/d", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5)))) // zero
		}},
		{name: "block device", use: "d", root: true, plant: func(t *testing.T, root, _ string) {
			must(t, unix.Mknod(root+"/d", unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0)))) // loop0
		}},
	}
	for _, tt := range tests {
		for _, u := range uses {
			t.Run(strings.ReplaceAll(tt.name+"/"+u.name, " ", "_"), func(t *testing.T) {
				if tt.root {
					roottest.Need(t)
				}
				r, root, secret := jail(t)
				if tt.plant != nil {
					tt.plant(t, root, secret)
				}
				before := left(t, filepath.Dir(root))
				err := u.use(r, tt.use)
				// What is made exclusively just finds the name taken.
				if !errors.Is(err, ErrEscape) && !(u.name == "create exclusively" && errors.Is(err, fs.ErrExist)) {
					t.Errorf("got %v, want ErrEscape", err)
				}
				checkSecret(t, secret)
				if after := left(t, filepath.Dir(root)); after != before {
					t.Errorf("files are %s, were %s", after, before)
				}
			})
		}
	}
}

func checkSecret(t *testing.T, secret string) {
	t.Helper()
	b, err := os.ReadFile(secret)
	if err != nil || string(b) != "secret" {
		t.Errorf("outside: %q, %v", b, err)
	}
	info, err := os.Stat(secret)
	if err != nil || info.Mode().Perm() != 0o600 || info.ModTime().Unix() == 1 {
		t.Errorf("outside: %v, %v", info, err)
	}
}

// TestRootFSLinks: links can be removed and replaced, which does not touch what
// they name.
func TestRootFSLinks(t *testing.T) {
	r, root, secret := jail(t)
	must(t, os.Symlink("../secret", root+"/a"), os.Symlink("../secret", root+"/b"), os.Link(secret, root+"/h"),
		os.Symlink("../outside", root+"/o"), os.WriteFile(root+"/../outside/kept", nil, 0o600))
	must(t, r.Remove("a"), r.Rename("dir/in", "b"), r.Remove("h"), r.RemoveAll("o"))
	if b, err := afero.ReadFile(r, "b"); err != nil || string(b) != "inside" {
		t.Errorf("replaced link: %q, %v", b, err)
	}
	must(t, os.Symlink("../../outside", root+"/dir/o"), r.RemoveAll("dir"))
	checkSecret(t, secret)
	if got := left(t, root+"/../outside"); got != "kept" {
		t.Errorf("outside has %q", got)
	}
	for _, err := range []error{r.Rename("b", "../x"), r.Rename("../secret", "x"), r.Remove("../secret"),
		r.RemoveAll("../outside"),
		r.Mkdir("../new", 0o700), r.MkdirAll("x/../../new", 0o700)} {
		if !errors.Is(err, ErrEscape) {
			t.Errorf("got %v, want ErrEscape", err)
		}
	}
	must(t, os.Symlink("../outside", root+"/o"))
	for _, err := range []error{r.Rename("b", "o/x"), r.Mkdir("o/d", 0o700), r.Remove("o/kept"),
		r.MkdirAll("o/d/e", 0o700), r.RemoveAll("o/kept")} {
		if !errors.Is(err, ErrEscape) {
			t.Errorf("through a link: got %v, want ErrEscape", err)
		}
	}
	for _, err := range []error{r.Remove("/"), r.RemoveAll("/"), r.Rename("/", "x"), r.Rename("b", "/")} {
		if !errors.Is(err, unix.EBUSY) {
			t.Errorf("the root: got %v, want EBUSY", err)
		}
	}
}

// TestRootFSRace lets an attacker swap directories for links all the time: every
// operation fails or stays inside.
func TestRootFSRace(t *testing.T) {
	r, root, secret := jail(t)
	must(t, os.Mkdir(root+"/real", 0o700), os.WriteFile(root+"/real/secret", []byte("decoy"), 0o600),
		os.Symlink("..", root+"/evil"), os.Mkdir(root+"/real/outside", 0o700), os.Symlink("../secret", root+"/leaf"),
		os.WriteFile(root+"/file", []byte("decoy"), 0o600))
	stop := make(chan struct{})
	var attacker sync.WaitGroup
	swap := func(a, b string) {
		attacker.Go(func() {
			for {
				select {
				case <-stop:
					return
				default: // both names change their meaning at once
					unix.Renameat2(unix.AT_FDCWD, root+"/"+a, unix.AT_FDCWD, root+"/"+b, unix.RENAME_EXCHANGE)
				}
			}
		})
	}
	swap("real", "evil")
	swap("file", "leaf")
	for i := range 1000 {
		for _, name := range []string{"real/secret", "file"} {
			if b, err := afero.ReadFile(r, name); err == nil && string(b) == "secret" {
				t.Fatalf("%s: the secret was read", name)
			}
			f, err := r.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
			if err == nil {
				f.WriteAt([]byte("decoy"), 0)
				f.Close()
			}
		}
		f, err := r.Create(fmt.Sprintf("real/outside/%d", i))
		if err == nil {
			f.Close()
		}
		r.Mkdir(fmt.Sprintf("real/outside/d%d", i), 0o700)
		r.Rename("file", "real/secret")
		afero.WriteFile(r, "file", []byte("decoy"), 0o600)
		r.RemoveAll("real/outside/new")
	}
	close(stop)
	attacker.Wait()
	checkSecret(t, secret)
	if got := left(t, root+"/../outside"); got != "" {
		t.Errorf("outside has %q", got)
	}
}

// TestRootFSMounts: what is mounted below the root is not entered, be it another
// file system or a place of the same.
func TestRootFSMounts(t *testing.T) {
	roottest.Need(t)
	_, root, secret := jail(t)
	cmd := helper(t, "mounts", root, secret)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkSecret(t, secret)
}

func mountsHelper(args []string) error {
	root, secret := args[0], args[1]
	for _, d := range []string{"tmp", "proc", "bind"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(root+"/file", nil, 0o600); err != nil {
		return err
	}
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", root+"/tmp", "tmpfs", 0, ""),
		unix.Mount("proc", root+"/proc", "proc", 0, ""),
		unix.Mount(filepath.Dir(root), root+"/bind", "", unix.MS_BIND, ""),
		unix.Mount(secret, root+"/file", "", unix.MS_BIND, ""),
		os.WriteFile(root+"/tmp/x", []byte("other"), 0o600),
	); err != nil {
		return err
	}
	r, err := OpenRootFS(root)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, name := range []string{"tmp/x", "tmp/new", "proc/self/environ", "proc/1/root/etc/passwd", "bind/secret",
		"bind/root/dir/in", "file"} {
		for _, u := range uses {
			if u.name == "stat" && name == "file" {
				continue // metadata only; the device is the same
			}
			err := u.use(r, name)
			if !errors.Is(err, ErrEscape) && !(u.name == "create exclusively" && errors.Is(err, fs.ErrExist)) {
				return fmt.Errorf("%s %s: got %v, want ErrEscape", u.name, name, err)
			}
		}
	}
	for _, name := range []string{"tmp", "proc", "bind"} {
		if err := r.RemoveAll(name); err == nil {
			return fmt.Errorf("removing %s: no error", name)
		}
	}
	q, err := NewQuota(r, Limit{})
	if err != nil {
		return err
	}
	if used, _ := q.Usage(); used.Files != 6 { // dir, dir/in, the three mounts, file
		return fmt.Errorf("counted %+v", used)
	}
	if b, err := os.ReadFile(root + "/tmp/x"); err != nil || string(b) != "other" {
		return fmt.Errorf("the other file system: %q, %v", b, err)
	}
	return nil
}

// TestAferoBehaviour: what users of afero expect holds for a directory on the
// disk and in memory, with and without a quota.
func TestAferoBehaviour(t *testing.T) {
	counted := func(t *testing.T, base afero.Fs) afero.Fs {
		q, err := NewQuota(base, Limit{Bytes: 1 << 20, Files: 100})
		must(t, err)
		return q
	}
	systems := []struct {
		name string
		make func(t *testing.T) afero.Fs
	}{
		{"RootFS", func(t *testing.T) afero.Fs {
			r, err := OpenRootFS(t.TempDir())
			must(t, err)
			t.Cleanup(func() { r.Close() })
			return r
		}},
		{"MemMapFs", func(*testing.T) afero.Fs { return afero.NewMemMapFs() }},
		{"Quota on MemMapFs", func(t *testing.T) afero.Fs { return counted(t, afero.NewMemMapFs()) }},
		{"Quota on RootFS", func(t *testing.T) afero.Fs {
			r, err := OpenRootFS(t.TempDir())
			must(t, err)
			t.Cleanup(func() { r.Close() })
			return counted(t, r)
		}},
	}
	for _, s := range systems {
		for _, b := range behaviours {
			t.Run(strings.ReplaceAll(s.name+"/"+b.name, " ", "_"), func(t *testing.T) {
				fsys := s.make(t)
				must(t, fsys.MkdirAll("/d/e", 0o755), afero.WriteFile(fsys, "/d/f", []byte("content"), 0o644))
				b.check(t, fsys)
			})
		}
	}
}

var behaviours = []struct {
	name  string
	check func(t *testing.T, fsys afero.Fs)
}{
	{"read", func(t *testing.T, fsys afero.Fs) { content(t, fsys, "/d/f", "content") }},
	{"missing", func(t *testing.T, fsys afero.Fs) {
		_, err := fsys.Open("/d/x")
		wantIs(t, err, fs.ErrNotExist)
		_, err = fsys.Stat("/x/y")
		wantIs(t, err, fs.ErrNotExist)
		wantIs(t, fsys.Remove("/d/x"), fs.ErrNotExist)
		wantIs(t, fsys.Rename("/d/x", "/d/y"), fs.ErrNotExist)
		must(t, fsys.RemoveAll("/d/x"))
	}},
	{"create truncates", func(t *testing.T, fsys afero.Fs) {
		f, err := fsys.Create("/d/f")
		must(t, err, f.Close())
		content(t, fsys, "/d/f", "")
	}},
	{"create exclusively", func(t *testing.T, fsys afero.Fs) {
		_, err := fsys.OpenFile("/d/f", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
		wantIs(t, err, fs.ErrExist)
	}},
	{"append", func(t *testing.T, fsys afero.Fs) {
		f, err := fsys.OpenFile("/d/f", os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString("+more")
		must(t, err, f.Close())
		content(t, fsys, "/d/f", "content+more")
	}},
	{"seek and write", func(t *testing.T, fsys afero.Fs) {
		f, err := fsys.OpenFile("/d/f", os.O_RDWR, 0)
		must(t, err)
		_, err = f.Seek(3, io.SeekStart)
		must(t, err)
		_, err = f.Write([]byte("TENTS"))
		must(t, err)
		b := make([]byte, 4)
		n, err := f.ReadAt(b, 2)
		must(t, err)
		if string(b[:n]) != "nTEN" {
			t.Errorf("ReadAt got %q", b[:n])
		}
		must(t, f.Truncate(5), f.Sync(), f.Close())
		content(t, fsys, "/d/f", "conTE")
	}},
	{"stat", func(t *testing.T, fsys afero.Fs) {
		info, err := fsys.Stat("/d/f")
		must(t, err)
		if info.Size() != 7 || info.IsDir() || info.Name() != "f" || info.Mode().Perm() != 0o644 {
			t.Errorf("got %v %v", info.Size(), info.Mode())
		}
		info, err = fsys.Stat("/d")
		must(t, err)
		if !info.IsDir() {
			t.Errorf("got %v, want a directory", info.Mode())
		}
	}},
	{"names", func(t *testing.T, fsys afero.Fs) {
		f, err := fsys.Open("/d/f")
		must(t, err)
		defer f.Close()
		if filepath.ToSlash(f.Name()) != "/d/f" {
			t.Errorf("got the name %q", f.Name())
		}
	}},
	{"directory", func(t *testing.T, fsys afero.Fs) {
		list, err := afero.ReadDir(fsys, "/d")
		must(t, err)
		if len(list) != 2 || list[0].Name() != "e" || !list[0].IsDir() || list[1].Name() != "f" || list[1].Size() != 7 {
			t.Errorf("got %v", list)
		}
	}},
	{"directory in parts", func(t *testing.T, fsys afero.Fs) {
		d, err := fsys.Open("/d")
		must(t, err)
		defer d.Close()
		seen := map[string]bool{}
		for range 2 {
			list, err := d.Readdir(1)
			must(t, err)
			seen[list[0].Name()] = true
		}
		if _, err := d.Readdir(1); !errors.Is(err, io.EOF) || !seen["e"] || !seen["f"] {
			t.Errorf("got %v, %v, want EOF", seen, err)
		}
	}},
	{"mkdir twice", func(t *testing.T, fsys afero.Fs) {
		wantIs(t, fsys.Mkdir("/d", 0o755), fs.ErrExist)
		must(t, fsys.MkdirAll("/d/e", 0o755), fsys.Mkdir("/d/g", 0o755))
	}},
	{"remove", func(t *testing.T, fsys afero.Fs) {
		must(t, fsys.Remove("/d/f"), fsys.Remove("/d/e"), fsys.Remove("/d"))
		_, err := fsys.Stat("/d")
		wantIs(t, err, fs.ErrNotExist)
	}},
	{"remove all", func(t *testing.T, fsys afero.Fs) {
		must(t, fsys.RemoveAll("/d"))
		_, err := fsys.Stat("/d/f")
		wantIs(t, err, fs.ErrNotExist)
	}},
	{"rename", func(t *testing.T, fsys afero.Fs) {
		must(t, afero.WriteFile(fsys, "/d/g", []byte("old"), 0o600), fsys.Rename("/d/f", "/d/g"))
		content(t, fsys, "/d/g", "content")
		_, err := fsys.Stat("/d/f")
		wantIs(t, err, fs.ErrNotExist)
	}},
	{"rename a directory", func(t *testing.T, fsys afero.Fs) {
		must(t, fsys.Rename("/d", "/n"))
		content(t, fsys, "/n/f", "content")
	}},
	{"change", func(t *testing.T, fsys afero.Fs) {
		when := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
		must(t, fsys.Chmod("/d/f", 0o600), fsys.Chtimes("/d/f", when, when))
		info, err := fsys.Stat("/d/f")
		must(t, err)
		if info.Mode().Perm() != 0o600 || !info.ModTime().Equal(when) {
			t.Errorf("got %v %v", info.Mode(), info.ModTime())
		}
	}},
	{"temp file", func(t *testing.T, fsys afero.Fs) {
		f, err := afero.TempFile(fsys, "/d", "x")
		must(t, err, f.Close())
		ok, err := afero.Exists(fsys, f.Name())
		must(t, err)
		if !ok {
			t.Errorf("%s is not there", f.Name())
		}
	}},
	{"walk", func(t *testing.T, fsys afero.Fs) {
		var got []string
		must(t, afero.Walk(fsys, "/", func(p string, _ fs.FileInfo, err error) error {
			got = append(got, p)
			return err
		}))
		if strings.Join(got, " ") != "/ /d /d/e /d/f" {
			t.Errorf("got %v", got)
		}
	}},
}

func content(t *testing.T, fsys afero.Fs, name, want string) {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil || string(b) != want {
		t.Errorf("%s: got %q, %v, want %q", name, b, err, want)
	}
}

func wantIs(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
