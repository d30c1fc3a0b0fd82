package vfs

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// noted makes the volume of a context's disk.
func noted(t *testing.T, state string) *Volume {
	t.Helper()
	s := NewStore(HostPlace(state))
	must(t, s.Set([]Disk0{{Context: "blue"}}))
	t.Cleanup(func() { s.Close() })
	v, err := s.Volume(Name{Context: "blue", Volume: Disk, Path: "/"})
	must(t, err)
	return v
}

// TestManifest: it has everything that is there, and what is not any more, for a program
// that knows no versions.
func TestManifest(t *testing.T) {
	v := noted(t, t.TempDir())
	must(t, put(v, "/d/x", "one"), put(v, "/d/x", "text"), put(v, "/y", ""), v.MakeDir("/e/f"), put(v, "/z", "zed"),
		v.Remove("/z"))
	m := v.Manifest()
	var got []string
	for _, f := range m.Files {
		got = append(got, f.Path+" "+f.SHA256)
	}
	want := []string{"/d ", "/d/x " + sumOf("text"), "/e ", "/e/f ", "/y " + sumOf("")}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, g := range []Gone{{"/d/x", sumOf("one")}, {"/z", sumOf("zed")}} {
		if !slices.Contains(m.Gone, g) {
			t.Errorf("%+v is not gone: %+v", g, m.Gone)
		}
	}
	if m.Version == "" || m.Version != v.Version() {
		t.Errorf("version %q, %q", m.Version, v.Version())
	}
	must(t, put(v, "/y", "other"))
	if v.Version() == m.Version {
		t.Error("the version is the same after a change")
	}
	alone, _ := volume(t, Limit{})
	if m := alone.Manifest(); m.Version != "" || m.Files != nil {
		t.Errorf("of a volume without an index: %+v", m)
	}
}

// TestLedger: what the program before this one has noted is taken over.
func TestLedger(t *testing.T) {
	state := t.TempDir()
	dir := DiskDir(state, "blue")
	must(t, os.MkdirAll(dir, 0o700), os.WriteFile(dir+"/x", []byte("new"), 0o600), os.WriteFile(dir+".gone", []byte(
		"\n"+`{"path":"/x","sha256":"`+sumOf("old")+`"}`+"\nno JSON\n"+`{"path":"/../y","sha256":"`+sumOf("old")+`"}`+
			"\n"+`{"path":"/z","sha256":"`+sumOf("old")+`"}`+"\n"+`{"path":"/back","sha256":"`+sumOf("old")+`"}`+
			"\n"+`{"path":"/back","sha256":"`+sumOf("old")+`","back":true}`+"\n"+`{"path":"/dir"}`), 0o600))
	v := noted(t, state)
	must(t, v.Scan(t.Context(), Hand{}))
	want := []Gone{{"/back", ""}, {"/dir", ""}, {"/x", sumOf("old")}, {"/z", ""}, {"/z", sumOf("old")}}
	m := v.Manifest()
	slices.SortFunc(m.Gone, func(a, b Gone) int { return strings.Compare(a.Path+a.SHA256, b.Path+b.SHA256) })
	if !slices.Equal(m.Gone, want) || len(m.Files) != 1 || m.Files[0].SHA256 != sumOf("new") {
		t.Errorf("got %+v, want %+v", m, want)
	}
	if _, err := os.Stat(dir + ".gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ledger: %v", err)
	}
	offer := Offer{Entry: catalog.Entry{Path: "/x", Kind: catalog.KindFile, Size: 3, Position: 9,
		Version: catalog.Version{Disk: 1, Position: 9}, Seen: catalog.History{{Disk: 1, Position: 9}}}}
	offer.Entry.Sum, _ = catalog.ParseSum(sumOf("old"))
	if done, err := v.Accept(t.Context(), &offer); err != nil || done != (Accepted{}) {
		t.Errorf("what was replaced is offered again: %+v, %v", done, err)
	}
}

func TestCommit(t *testing.T) {
	v := noted(t, t.TempDir())
	must(t, put(v, "/x", "old"))
	no := errors.New("no")
	c := Content{Reader: strings.NewReader("new"), Size: 3, Commit: func() (uint64, error) { return 0, no }}
	_, err := v.Replace(t.Context(), "/x", c)
	if !errors.Is(err, no) || !errors.Is(v.RemoveIf("/x", c.Commit), no) {
		t.Errorf("got %v", err)
	}
	if info, err := v.Verify(t.Context(), "/x"); err != nil || info.SHA256 != sumOf("old") {
		t.Errorf("afterwards: %+v, %v", info, err)
	}
	list, err := v.List("/")
	if err != nil || len(list) != 1 {
		t.Errorf("left: %+v, %v", list, err)
	}
}
