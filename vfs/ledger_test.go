package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// keeping returns a volume that notes what is gone, as a context's disk does, and
// what opens it again.
func keeping(t *testing.T) (v *Volume, dir string, again func() *Volume) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "disk0")
	must(t, os.Mkdir(dir, 0o700))
	again = func() *Volume {
		v, err := OpenVolume("blue:disk0:", dir, Limit{})
		must(t, err)
		v.gone = openLedger(dir + ".gone")
		t.Cleanup(func() { v.Close() })
		return v
	}
	return again(), dir, again
}

// TestGone: what is deleted or replaced is noted, also over a start, and what is
// there again is not.
func TestGone(t *testing.T) {
	v, _, again := keeping(t)
	must(t, put(v, "/d/x", "one"), put(v, "/d/x", "two"), put(v, "/d/x", "two"), put(v, "/y", "y"), v.MakeDir("/e"),
		v.Remove("/e"), v.Remove("/y"))
	want := []Gone{{"/d/x", sumOf("one")}, {"/e", ""}, {"/y", sumOf("y")}}
	for _, open := range []*Volume{v, again()} {
		m, err := open.Manifest(t.Context())
		if err != nil || !slices.Equal(m.Gone, want) || len(m.ByHand) > 0 {
			t.Errorf("got %+v, %v, want %+v", m, err, want)
		}
	}
	must(t, put(v, "/d/x", "one"), v.MakeDir("/e"))
	want = []Gone{{"/y", sumOf("y")}, {"/d/x", sumOf("two")}}
	for _, open := range []*Volume{v, again()} {
		if got := open.gone.all(); !slices.Equal(got, want) {
			t.Errorf("there again: got %+v, want %+v", got, want)
		}
	}
	if err := v.Remove("/d"); err == nil || v.IsGone(Gone{Path: "/d"}) {
		t.Errorf("a directory that is not empty: %v, and is gone", err)
	}
}

// TestGoneByHand: what somebody changes behind the volume's back shows, unless
// there is nothing left at all.
func TestGoneByHand(t *testing.T) {
	v, dir, _ := keeping(t)
	must(t, put(v, "/x", "x"), put(v, "/y", "y"), put(v, "/z", "z"))
	_, err := v.Manifest(t.Context())
	must(t, err, os.Remove(dir+"/x"), os.WriteFile(dir+"/y", []byte("other"), 0o600), v.Remove("/z"))
	m, err := v.Manifest(t.Context())
	if want := []Gone{{"/x", sumOf("x")}, {"/y", sumOf("y")}}; err != nil || !slices.Equal(m.ByHand, want) {
		t.Errorf("got %+v, %v, want %+v", m.ByHand, err, want)
	}
	must(t, os.Remove(dir+"/y"))
	if m, err = v.Manifest(t.Context()); err != nil || len(m.ByHand) > 0 {
		t.Errorf("an empty disk: got %+v, %v", m.ByHand, err)
	}
}

// TestLedgerIsBounded: the oldest go, in memory and in the file.
func TestLedgerIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := openLedger(path)
	var list []Gone
	for i := range 3 * maxGone {
		list = append(list, Gone{Path: fmt.Sprint("/", i)})
	}
	l.add(list...)
	l.back(list[len(list)-1])
	for _, one := range []*ledger{l, openLedger(path)} {
		if got := one.all(); len(got) > maxGone || got[len(got)-1] != list[len(list)-2] {
			t.Errorf("%d entries, the last %+v", len(got), got[len(got)-1])
		}
	}
}

// TestLedgerDamaged: a file that is damaged says what it can, and one that cannot
// be used keeps nobody from deleting.
func TestLedgerDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	openLedger(path).add(Gone{Path: "/a"})
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("\n{\"path\":\"/b")
	must(t, errors.Join(err, f.Close()))
	openLedger(path).add(Gone{Path: "/c"})
	if got, want := openLedger(path).all(), []Gone{{Path: "/a"}, {Path: "/c"}}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	l := openLedger(t.TempDir())
	l.add(Gone{Path: "/a"})
	l.back(Gone{Path: "/b"})
	if got := l.all(); len(got) != 1 {
		t.Errorf("got %+v", got)
	}
}

// TestMove: nothing is overwritten.
func TestMove(t *testing.T) {
	v, dir, _ := keeping(t)
	must(t, put(v, "/d/x", "x"), put(v, "/d/y", "y"))
	if err := v.Move("/d/x", "y"); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want that it exists", err)
	}
	must(t, v.Move("/d/x", "z"), v.Move("/d", "e"))
	names := strings.Fields(left(t, dir))
	slices.Sort(names)
	if want := []string{"e", "e/y", "e/z"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// TestSum: content that is not the one that was announced replaces nothing.
func TestSum(t *testing.T) {
	v, dir, _ := keeping(t)
	c := Content{Reader: strings.NewReader("text"), Size: 4, SHA256: sumOf("other")}
	if _, err := v.Replace(t.Context(), "/x", c); !errors.Is(err, ErrSum) || left(t, dir) != "" {
		t.Errorf("got %v, left %q", err, left(t, dir))
	}
}
