package vfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/afero"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/roottest"
)

// volume makes a volume in a new directory.
func volume(t *testing.T, limit Limit) (*Volume, string) {
	t.Helper()
	dir := t.TempDir()
	v, err := OpenVolume("blue:disk0:", dir, limit)
	must(t, err)
	t.Cleanup(func() { v.Close() })
	return v, dir
}

func put(v *Volume, p, text string) error {
	_, err := v.Replace(context.Background(), p, Content{Reader: strings.NewReader(text), Size: int64(len(text))})
	return err
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestVolume(t *testing.T) {
	v, dir := volume(t, Limit{Bytes: 1000, Files: 10})
	var progress []int64
	info, err := v.Replace(t.Context(), "/a/b/x",
		Content{Reader: iotest.OneByteReader(strings.NewReader("text")), Size: 4,
			Wrote: func(done, total int64) { progress = append(progress, done, total) }})
	must(t, err, put(v, "/y", "other"), put(v, "/y", "another"))
	if diff := cmp.Diff([]int64{1, 4, 2, 4, 3, 4, 4, 4}, progress); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if want := (Info{Path: "/a/b/x", Size: 4, SHA256: sumOf("text")}); !cmp.Equal(want, info,
		cmpopts.IgnoreFields(Info{}, "Modified")) ||
		time.Since(info.Modified) > time.Hour {
		t.Errorf("got %+v, want %+v", info, want)
	}
	must(t, os.Symlink("y", dir+"/link"), unix.Mkfifo(dir+"/fifo", 0o600))
	list, err := v.List("/")
	must(t, err)
	want := []Info{{Path: "/a", Dir: true}, {Path: "/y", Size: 7}}
	if diff := cmp.Diff(want, list, cmpopts.IgnoreFields(Info{}, "Modified")); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if list, err := v.List("/a/b/x"); err != nil || len(list) != 1 || list[0].Path != "/a/b/x" {
		t.Errorf("list of a file: %+v, %v", list, err)
	}
	if got, err := v.Verify(t.Context(), "/y"); err != nil || got.SHA256 != sumOf("another") {
		t.Errorf("verify: %+v, %v", got, err)
	}
	if mode := modeOf(t, dir+"/a/b/x"); mode != fileMode {
		t.Errorf("mode %v", mode)
	}
	if used, limit := v.Usage(); used != (Usage{Bytes: 11, Files: 4}) || limit != (Limit{Bytes: 1000, Files: 10}) {
		t.Errorf("usage %+v of %+v", used, limit)
	}
	must(t, v.Remove("/a/b/x"), v.Remove("/a/b"), v.Remove("/link"))
	if used, _ := v.Usage(); used != (Usage{Bytes: 7, Files: 1}) {
		t.Errorf("usage %+v after deleting", used) // the link was made by hand, and never counted
	}
}

func modeOf(t *testing.T, name string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(name)
	must(t, err)
	return info.Mode()
}

// TestVolumeRefuses: each has one clear line, and changes nothing.
func TestVolumeRefuses(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	replace := func(ctx context.Context, p string, c Content) func(*Volume) error {
		return func(v *Volume) error { _, err := v.Replace(ctx, p, c); return err }
	}
	text := func(p, s string) func(*Volume) error {
		return replace(context.Background(), p, Content{Reader: strings.NewReader(s), Size: int64(len(s))})
	}
	var quota *QuotaError
	tests := []struct {
		name string
		do   func(*Volume) error
		is   error
		want string
	}{
		{"too large", text("/new", strings.Repeat("x", 101)), nil,
			"vfs: writing blue:disk0:/new: the storage limit is 100 bytes: 8 are used and 101 more do not fit"},
		{"too large with what is replaced", text("/old", strings.Repeat("x", 93)), nil,
			"8 are used and 93 more do not fit"},
		{"too large in new directories", text("/d1/d2/x", strings.Repeat("x", 93)), nil,
			"vfs: writing blue:disk0:/d1/d2/x: the storage limit"},
		{"too many files", text("/d1/d2/x", ""), nil, "the storage limit is 4 files: 4 are used and 1 more do not fit"},
		{"shorter than said", replace(context.Background(), "/old", Content{Reader: strings.NewReader("1"), Size: 2}),
			ErrSize, "2 bytes"},
		{"longer than said", replace(context.Background(), "/old", Content{Reader: strings.NewReader("123"), Size: 2}),
			ErrSize, "2 bytes"},
		{"negative size", replace(context.Background(), "/old", Content{Size: -1}), ErrSize, ""},
		{"source breaks", replace(context.Background(), "/old", Content{
			Reader: io.MultiReader(strings.NewReader("12"), iotest.ErrReader(io.ErrUnexpectedEOF)), Size: 9}),
			io.ErrUnexpectedEOF, ""},
		{"cancelled", replace(gone, "/old", Content{Reader: strings.NewReader("12"), Size: 2}), context.Canceled, ""},
		{"directory", text("/dir", "x"), syscall.EISDIR, "vfs: writing blue:disk0:/dir: is a directory"},
		{"root", text("/", "x"), syscall.EISDIR, ""},
		{"below a file", text("/old/x", "x"), syscall.ENOTDIR, ""},
		{"delete what is not there", func(v *Volume) error { return v.Remove("/none") }, fs.ErrNotExist,
			"vfs: deleting blue:disk0:/none: no such file or directory"},
		{"delete the root", func(v *Volume) error { return v.Remove("/") }, syscall.EBUSY, ""},
		{"read a directory", func(v *Volume) error { _, _, err := v.Open("/dir"); return err }, syscall.EISDIR, ""},
		{"verify what is not there", func(v *Volume) error {
			_, err := v.Verify(context.Background(), "/none")
			return err
		}, fs.ErrNotExist, ""},
		{"list what is not there", func(v *Volume) error { _, err := v.List("/none"); return err }, fs.ErrNotExist, ""},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			v, dir := volume(t, Limit{Bytes: 100, Files: 4})
			must(t, put(v, "/old", "old text"), os.Mkdir(dir+"/dir", 0o700), v.quota.Scan())
			if tt.name == "too many files" {
				v.SetLimit(Limit{Files: 4})
			}
			err := tt.do(v)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || tt.is == nil && !errors.As(err, &quota) ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %v with %q", err, tt.is, tt.want)
			}
			if strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), reserved) {
				t.Errorf("the error tells of what is inside: %v", err)
			}
			if peak, denied := v.Peak(); peak.Bytes < 8 || errors.As(err, &quota) != (denied.Bytes+denied.Files == 1) {
				t.Errorf("afterwards: peak %+v, refused %+v", peak, denied)
			}
			b, err := os.ReadFile(dir + "/old")
			if got := left(t, dir); err != nil || string(b) != "old text" || (got != "dir old" && got != "old dir") {
				t.Errorf("afterwards: %q, %v, files %q", b, err, got)
			}
			if used, _ := v.Usage(); used != (Usage{Bytes: 8, Files: 2}) {
				t.Errorf("afterwards: %+v is used", used)
			}
		})
	}
}

// TestReadOnly: shared storage can be read by a context and changed by none.
func TestReadOnly(t *testing.T) {
	v, _ := volume(t, Limit{})
	must(t, put(v, "/x", "text"))
	ro := v.ReadOnly("red:images:")
	for _, err := range []error{put(ro, "/x", "other"), put(ro, "/new", ""), ro.Remove("/x")} {
		if !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "red:images:/") {
			t.Errorf("got %v, want ErrReadOnly", err)
		}
	}
	if got, err := ro.Verify(t.Context(), "/x"); err != nil || got.SHA256 != sumOf("text") {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestQuotaCounts: every way to grow is counted, and what others removed is found
// before anything is refused.
func TestQuotaCounts(t *testing.T) {
	for _, name := range []string{"RootFS", "MemMapFs"} {
		t.Run(name, func(t *testing.T) {
			base := afero.NewMemMapFs()
			if name == "RootFS" {
				r, err := OpenRootFS(t.TempDir())
				must(t, err)
				defer r.Close()
				base = r
			}
			q, err := NewQuota(base, Limit{Bytes: 10, Files: 3})
			must(t, err)
			want := func(bytes, files int64) {
				t.Helper()
				used, _ := q.Usage()
				must(t, q.Scan())
				if real, _ := q.Usage(); used != (Usage{bytes, files}) || real != used {
					t.Errorf("counted %+v, there is %+v, want %d bytes and %d files", used, real, bytes, files)
				}
			}
			var e *QuotaError
			refused := func(err error) {
				t.Helper()
				if !errors.As(err, &e) {
					t.Errorf("got %v, want a QuotaError", err)
				}
			}
			f, err := q.Create("/f")
			must(t, err)
			defer f.Close()
			write := func(n int, err error) error { return err }
			must(t, write(f.Write([]byte("12345678"))))
			want(8, 1)
			refused(write(f.Write([]byte("9ab"))))
			refused(write(f.WriteAt([]byte("9ab"), 8)))
			refused(f.Truncate(11))
			want(8, 1)
			must(t, write(f.WriteAt([]byte("xx"), 7)))
			want(9, 1)
			must(t, f.Truncate(10))
			want(10, 1)
			must(t, f.Truncate(2))
			want(2, 1)
			a, err := q.OpenFile("/f", os.O_WRONLY|os.O_APPEND, 0)
			must(t, err, write(a.WriteString("3456")))
			refused(write(a.WriteString("78901")))
			must(t, a.Close())
			want(6, 1)
			must(t, q.MkdirAll("/d/e", 0o700))
			want(6, 3)
			_, err = q.Create("/g")
			refused(err)
			refused(q.Mkdir("/g", 0o700))
			must(t, q.RemoveAll("/d"), afero.WriteFile(q, "/g", []byte("1234"), 0o600))
			want(10, 2)
			must(t, q.Rename("/g", "/f"))
			want(4, 1)
			must(t, afero.WriteFile(q, "/f", []byte("123456789"), 0o600))
			want(9, 1)
			must(t, base.Remove("/f"), afero.WriteFile(q, "/h", []byte("123456789"), 0o600))
			want(9, 1)
			again, err := NewQuota(base, Limit{})
			must(t, err)
			if used, _ := again.Usage(); used != (Usage{9, 1}) {
				t.Errorf("counted %+v after a restart", used)
			}
		})
	}
}

// TestReplaceIsAtomic kills a writer at any moment: the file is old or new, and
// the next start finds no leftovers.
func TestReplaceIsAtomic(t *testing.T) {
	dir := t.TempDir()
	leftovers := 0
	for i := range 25 {
		cmd := helper(t, "replace", dir)
		out, err := cmd.StdoutPipe()
		must(t, err, cmd.Start())
		io.ReadFull(out, make([]byte, 10+i*2)) // it says when it has written a part, and when all is done
		must(t, cmd.Process.Kill())
		cmd.Wait()
		b, err := os.ReadFile(dir + "/d/file")
		must(t, err)
		if len(b) != tornSize || bytes.Count(b, b[:1]) != len(b) {
			t.Fatalf("the file is torn: %d bytes, %d of them %q", len(b), bytes.Count(b, b[:1]), b[:1])
		}
		if strings.Contains(left(t, dir), reserved) {
			leftovers++
		}
		v, err := OpenVolume("blue:disk0:", dir, Limit{Bytes: 2 * tornSize, Files: 3})
		must(t, err)
		if used, _ := v.Usage(); used != (Usage{Bytes: tornSize, Files: 2}) {
			t.Errorf("counted %+v", used)
		}
		must(t, v.Close())
		if got := left(t, dir); got != "d d/file" {
			t.Errorf("left behind: %s", got)
		}
	}
	if leftovers == 0 {
		t.Error("no writer died while it wrote: this tests nothing")
	}
	t.Logf("%d of 25 writers died with a half-written file", leftovers)
}

// tornSize is large enough that most writers die while they write.
const tornSize = 1 << 20

func replaceHelper(args []string) error {
	v, err := OpenVolume("blue:disk0:", args[0], Limit{Bytes: 2 * tornSize})
	if err != nil {
		return err
	}
	for i := byte('a'); ; i = 'a' + (i-'a'+1)%26 {
		text := bytes.Repeat([]byte{i}, tornSize)
		c := Content{Reader: bytes.NewReader(text), Size: tornSize, Wrote: func(int64, int64) {
			os.Stdout.Write([]byte{'.'})
		}}
		if _, err := v.Replace(context.Background(), "/d/file", c); err != nil {
			return err
		}
		os.Stdout.Write([]byte{i})
	}
}

// TestFullDisk: a disk without room is one clear line, and changes nothing.
func TestFullDisk(t *testing.T) {
	roottest.Need(t)
	cmd := helper(t, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func fullHelper(args []string) error {
	dir := args[0]
	if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k")); err != nil {
		return err
	}
	v, err := OpenVolume("blue:disk0:", dir, Limit{Bytes: 1 << 20})
	if err != nil {
		return err
	}
	defer v.Close()
	if err := put(v, "/old", "old"); err != nil {
		return err
	}
	for _, name := range []string{"/old", "/d/new"} {
		err := put(v, name, strings.Repeat("x", 512<<10))
		if want := "vfs: writing blue:disk0:" + name + ": no space left on device"; err == nil || err.Error() != want {
			return fmt.Errorf("got %v, want %s", err, want)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "old"))
	entries, listErr := os.ReadDir(dir)
	if err != nil || listErr != nil || string(b) != "old" || len(entries) != 1 {
		return fmt.Errorf("afterwards: %q, %v, %v", b, err, entries)
	}
	if used, _ := v.Usage(); used != (Usage{Bytes: 3, Files: 1}) {
		return fmt.Errorf("afterwards: %+v is used", used)
	}
	return put(v, "/old", strings.Repeat("y", 64<<10))
}
