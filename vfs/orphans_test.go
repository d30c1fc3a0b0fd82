package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/vfs/catalog"
)

var removedAt = time.Date(2026, 12, 1, 3, 15, 0, 0, time.UTC)

// disk makes the disk of a context with one file.
func disk(t *testing.T, stateDir, context, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(DiskDir(stateDir, context), "certs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if text == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(DiskDir(stateDir, context), "certs", "x"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOrphans: a disk that is set aside is out of the way of the next context of the
// name, comes back as a whole, the newest first, and is gone when it was erased.
func TestOrphans(t *testing.T) {
	dir := t.TempDir()
	has := func(want ...string) {
		t.Helper()
		list, err := Orphans(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range list {
			got = append(got, o.ID)
		}
		if len(got) != len(want) {
			t.Fatalf("orphans are %v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("orphans are %v, want %v", got, want)
			}
		}
	}
	has()
	var ids []string
	for i, text := range []string{"first", "second"} {
		disk(t, dir, "dora", text)
		id, err := SetAside(dir, "dora", removedAt.Add(time.Duration(i)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		if _, err := os.Stat(DiskDir(dir, "dora")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is still there: %v", err)
		}
	}
	has(ids...)
	list, _ := Orphans(dir)
	if o := list[1]; o.Context != "dora" || o.Files != 2 || o.Bytes != 6 || !o.Removed.Equal(removedAt.Add(time.Hour)) {
		t.Errorf("got %+v", o)
	}
	disk(t, dir, "blue", "blue's")
	if id, err := BringBack(dir, "blue"); id != "" || err != nil {
		t.Errorf("blue gets %q, %v", id, err)
	}
	if err := os.MkdirAll(DiskDir(dir, "dora"), 0o700); err != nil { // without files
		t.Fatal(err)
	}
	if id, err := BringBack(dir, "dora"); id != ids[1] || err != nil {
		t.Errorf("dora gets %q, %v", id, err)
	}
	b, err := os.ReadFile(filepath.Join(DiskDir(dir, "dora"), "certs", "x"))
	if err != nil || string(b) != "second" {
		t.Errorf("it has %q, %v", b, err)
	}
	has(ids[0])
	if id, err := BringBack(dir, "dora"); id != "" || err != nil {
		t.Errorf("over its files dora gets %q, %v", id, err)
	}
	for _, bad := range []string{"", "dora", "../contexts", "dora~", "dora~now", "../x~20261201T031500.000000000Z"} {
		if err := EraseOrphan(dir, bad); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := EraseOrphan(dir, ids[0]); err != nil {
		t.Error(err)
	}
	has()
	if id, err := SetAside(dir, "grey", removedAt); id != "" || err != nil {
		t.Errorf("no disk: %q, %v", id, err)
	}
	if err := os.MkdirAll(DiskDir(dir, "grey"), 0o700); err != nil {
		t.Fatal(err)
	}
	if id, err := SetAside(dir, "grey", removedAt); id != "" || err != nil {
		t.Errorf("a disk without files: %q, %v", id, err)
	}
	if _, err := os.Stat(DiskDir(dir, "grey")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := SetAside(dir, "../x", removedAt); !errors.Is(err, ErrName) {
		t.Errorf("got %v", err)
	}
}

// TestSuccessor: the next disk of a name has another identity, of a kind that an empty disk
// has not; one that comes back has its own.
func TestSuccessor(t *testing.T) {
	dir := t.TempDir()
	s := NewStore(HostPlace(dir))
	identity := func() catalog.Incarnation {
		t.Helper()
		if err := s.Set([]Disk0{{Context: "dora"}}); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		v, err := s.Volume(Name{Context: "dora", Volume: Disk, Path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		return v.State().Incarnation
	}
	disk(t, dir, "dora", "text")
	if got := identity(); got != (catalog.Incarnation{ID: catalog.Unnamed}) {
		t.Errorf("with files: got %+v", got)
	}
	var seen []catalog.Incarnation
	for n := range 3 {
		if _, err := SetAside(dir, "dora", removedAt.Add(time.Duration(n)*time.Second)); err != nil {
			t.Fatal(err)
		}
		got := identity()
		again := identity()
		if !got.Known() || !got.Settled || !got.Later || again != got || slices.Contains(seen, got) {
			t.Errorf("got %+v, then %+v, before %+v", got, again, seen)
		}
		seen = append(seen, got)
		disk(t, dir, "dora", "more")
	}
	if _, err := SetAside(dir, "dora", removedAt.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := BringBack(dir, "dora"); err != nil {
		t.Fatal(err)
	}
	if got := identity(); got != seen[2] {
		t.Errorf("brought back: got %+v, want %+v", got, seen[2])
	}
	if err := makeSuccessor(filepath.Join(dir, orphansDir, "dora~20261201T051500.000000000Z")); err != nil {
		t.Fatal(err)
	}
	if list, err := Orphans(dir); err != nil || len(list) != 3 {
		t.Errorf("what a crash has left is listed: %+v, %v", list, err)
	}
}

// TestOrphansOfStrangers: what is no orphan in the folder of orphans stays.
func TestOrphansOfStrangers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lost+found", "dora~yesterday", "..~20261201T031500.000000000Z"} {
		if err := os.MkdirAll(filepath.Join(dir, orphansDir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := Orphans(dir); err != nil || len(list) > 0 {
		t.Errorf("got %+v, %v", list, err)
	}
}

// TestContexts: those that there is something of are listed, and nothing else.
func TestContexts(t *testing.T) {
	dir := t.TempDir()
	if names, err := Contexts(dir); err != nil || names != nil {
		t.Errorf("of nothing: %q, %v", names, err)
	}
	disk(t, dir, "grey", "was removed")
	if _, err := SetAside(dir, "grey", removedAt); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"red", "blue", "not a name"} {
		if err := os.MkdirAll(filepath.Join(dir, "contexts", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "contexts", "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if names, err := Contexts(dir); err != nil || !slices.Equal(names, []string{"blue", "red"}) {
		t.Errorf("got %q, %v", names, err)
	}
}
