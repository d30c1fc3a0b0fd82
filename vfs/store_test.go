package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func at(t *testing.T, s *Store, name string) (*Volume, string) {
	t.Helper()
	n, err := ParseName(name)
	must(t, err)
	v, err := s.Volume(n)
	must(t, err)
	return v, n.Path
}

func TestStore(t *testing.T) {
	state, images := t.TempDir(), t.TempDir()
	s := NewStore(HostPlace(state))
	defer s.Close()
	blue := Disk0{Context: "blue", Limit: Limit{Bytes: 10}, Shared: []Shared{{"images", images}}}
	red := Disk0{Context: "red", Shared: []Shared{{"images", images + "/"}}}
	must(t, s.Set([]Disk0{blue, red}))

	var names []string
	for _, n := range s.Names() {
		names = append(names, n.String())
	}
	if got := strings.Join(names, " "); got != "blue:disk0:/ blue:images:/ red:disk0:/ red:images:/ images:/" {
		t.Errorf("volumes: %s", got)
	}
	v, p := at(t, s, "blue:disk0:/d/x")
	must(t, put(v, p, "blue"))
	if b, err := os.ReadFile(filepath.Join(state, "contexts/blue/disk0/d/x")); err != nil || string(b) != "blue" {
		t.Errorf("on the disk: %q, %v", b, err)
	}
	if mode := modeOf(t, filepath.Join(state, "contexts/blue")); mode.Perm() != dirMode {
		t.Errorf("mode %v", mode)
	}
	v, p = at(t, s, "images:/pkg")
	must(t, put(v, p, "image"))
	for _, name := range []string{"blue:images:/pkg", "red:images:/pkg"} {
		v, p := at(t, s, name)
		if info, err := v.Verify(t.Context(), p); err != nil || info.SHA256 != sumOf("image") || !v.IsReadOnly() {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if err := put(v, p, "x"); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: got %v, want ErrReadOnly", name, err)
		}
	}
	image, _ := at(t, s, "blue:images:/pkg")
	disk, _ := at(t, s, "blue:disk0:/")
	if _, err := Copy(t.Context(), image, "/pkg", disk, "/pkg", Content{}); err != nil {
		t.Errorf("copy: %v", err)
	}
	var quota *QuotaError
	if _, err := Copy(t.Context(), image, "/pkg", disk, "/pkg2", Content{}); !errors.As(err, &quota) {
		t.Errorf("copy: got %v, want a QuotaError", err)
	}

	// A new limit holds at once, a context that goes keeps its files.
	blue.Limit.Bytes = 100
	must(t, s.Set([]Disk0{blue}))
	v, _ = at(t, s, "blue:disk0:/")
	must(t, put(v, "/pkg2", "image"))
	if _, limit := v.Usage(); limit != (Limit{Bytes: 100, Files: DefaultFiles}) {
		t.Errorf("limit %+v", limit)
	}
	must(t, s.Set(nil), s.Set([]Disk0{blue}))
	v, _ = at(t, s, "blue:disk0:/")
	if used, _ := v.Usage(); used.Bytes != 14 {
		t.Errorf("after coming back: %+v", used)
	}
}

func TestStoreRefuses(t *testing.T) {
	state, images := t.TempDir(), t.TempDir()
	s := NewStore(HostPlace(state))
	defer s.Close()
	err := s.Set([]Disk0{
		{Context: "blue", Shared: []Shared{{"images", images}, {"images", images}, {"disk0", images}, {"x", "relative"},
			{"y", images + "/none"}}},
		{Context: "../red"},
		{Context: "green", Shared: []Shared{{"images", state}}},
	})
	for _, want := range []string{"blue has two shared storages with the label images",
		`"disk0" is no valid name of shared storage`,
		`"relative" is no absolute path`, "shared storage y: vfs: opening root",
		`"../red" is no valid name of a context`,
		"green: the label images stands for another directory elsewhere"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for _, tt := range []struct{ name, want string }{
		{"grey:disk0:/", "vfs: no such volume: there is no context grey"},
		{"blue:disk1:/", "vfs: no such volume: context blue has disk0:, images:"},
		{"disk0:/x", "disk0: belongs to a context; name one, as in blue:disk0:/x"},
		{"pictures:/x", "the system has images:"},
	} {
		n, err := ParseName(tt.name)
		must(t, err)
		if _, err := s.Volume(n); !errors.Is(err, ErrVolume) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := NewStore(HostPlace(state)).Volume(Name{Volume: "images"}); !errors.Is(err, ErrVolume) {
		t.Errorf("got %v", err)
	}
}

// TestManyDisksAtOnce: each context gets its own, and one that cannot be opened is the
// fault of that context alone, told in the order of the list.
func TestManyDisksAtOnce(t *testing.T) {
	state := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(state, "contexts"), 0o755))
	var list []Disk0
	for i := range 3 * opensAtOnce {
		name := fmt.Sprintf("c%02d", i)
		list = append(list, Disk0{Context: name})
		if i == 7 || i == 30 {
			must(t, os.WriteFile(filepath.Join(state, "contexts", name), nil, 0o644))
		}
	}
	s := NewStore(HostPlace(state))
	defer s.Close()
	err := s.Set(list)
	if err == nil || !strings.Contains(err.Error(), "c07") || strings.Index(err.Error(), "c07") >
		strings.Index(err.Error(), "c30") {
		t.Errorf("got %v, want the errors of c07 and c30", err)
	}
	if got := len(s.Names()); got != len(list)-2 {
		t.Errorf("%d disks, want %d", got, len(list)-2)
	}
	for _, n := range s.Names() {
		v, p := at(t, s, n.String()+"x")
		must(t, put(v, p, n.Context))
		b, err := os.ReadFile(filepath.Join(DiskDir(state, n.Context), "x"))
		if err != nil || string(b) != n.Context {
			t.Errorf("%s has the file of %q, %v", n.Context, b, err)
		}
	}
}
