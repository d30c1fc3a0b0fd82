package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

var moment = time.Date(2026, 11, 30, 18, 23, 9, 0, time.UTC)

func listing(files map[string]string) string {
	var list []string
	for _, p := range slices.Sorted(maps.Keys(files)) {
		list = append(list, p+"="+files[p])
	}
	return strings.Join(list, " ")
}

func paths(list []Entry) (out []string) {
	for _, e := range list {
		out = append(out, e.Path)
	}
	return out
}

// TestSince: each path comes once, at the place of its last change.
func TestSince(t *testing.T) {
	s := newSide("primary", 1)
	for _, p := range []string{"/a", "/b", "/a", "/c"} {
		s.do(p, p, 1)
	}
	for _, tt := range []struct {
		since uint64
		most  int
		want  []string
	}{
		{0, 9, []string{"/b", "/a", "/c"}}, {2, 9, []string{"/a", "/c"}}, {3, 9, []string{"/c"}}, {4, 9, nil},
		{0, 2, []string{"/b", "/a"}},
	} {
		if got := paths(s.Since(tt.since, tt.most)); !slices.Equal(got, tt.want) {
			t.Errorf("since %d, %d: got %q, want %q", tt.since, tt.most, got, tt.want)
		}
	}
	for n := range 1000 {
		s.do("/a", fmt.Sprint(n), 1)
	}
	if len(s.order) > 100 || s.Len() != 3 || s.Head() != 1004 {
		t.Errorf("%d in order, %d entries, head %d", len(s.order), s.Len(), s.Head())
	}
}

// TestExcess: tombstones that the other disk has go first, and only beyond a number; of the
// others only what is beyond a much higher one.
func TestExcess(t *testing.T) {
	s := newSide("primary", 1)
	s.do("/stays", "text", 1)
	for n := range 10 {
		s.do(fmt.Sprintf("/%d", n), "", 1)
	}
	for _, tt := range []struct {
		acknowledged  uint64
		keep, most    int
		settled, lost []string
	}{
		{0, 3, 10, nil, nil},
		{0, 3, 8, nil, []string{"/0", "/1"}},
		{4, 3, 10, []string{"/0", "/1", "/2"}, nil},
		{99, 8, 10, []string{"/0", "/1"}, nil},
		{2, 3, 8, []string{"/0"}, []string{"/1"}},
	} {
		settled, lost := s.Excess(tt.acknowledged, tt.keep, tt.most)
		if !slices.Equal(settled, tt.settled) || !slices.Equal(lost, tt.lost) {
			t.Errorf("%+v: got %q, %q", tt, settled, lost)
		}
	}
	s.Forget("/0")
	if s.Gone() != 9 || s.Len() != 10 {
		t.Errorf("%d tombstones, %d entries", s.Gone(), s.Len())
	}
	if d := s.Merge(&Entry{Path: "/0", Kind: KindGone}); d.Noted || d.Action != ActionNone {
		t.Errorf("a tombstone of what nobody knows: %+v", d)
	}
}

// TestForgottenTombstone: what is made again after a tombstone was forgotten on one disk is
// newer than the tombstone on the other.
func TestForgottenTombstone(t *testing.T) {
	a, b := newSide("primary", 1), newSide("secondary", 2)
	for n := range 20 {
		a.do("/x", fmt.Sprint(n), 1)
	}
	a.do("/x", "", 1)
	b.hear(a)
	a.Forget("/x")
	a.do("/x", "again", 1)
	for range 2 {
		b.hear(a)
		a.hear(b)
	}
	if a, b := listing(a.files), listing(b.files); a != "/x=again" || b != a {
		t.Errorf("got %q, %q", a, b)
	}
}

func TestHistory(t *testing.T) {
	var h History
	for n := range uint64(2 * maxSeen) {
		h = h.With(Version{n, 1, 5})
	}
	if len(h) != maxSeen || h.Epoch() != 2*maxSeen-1 || !h.Has(Version{maxSeen, 1, 4}) ||
		h.Has(Version{maxSeen, 1, 6}) || h.Has(Version{maxSeen, 2, 4}) || h.Has(Version{1, 1, 1}) {
		t.Errorf("got %v", h)
	}
}

func TestBeside(t *testing.T) {
	s := newSide("primary", 1)
	const mark = "~primary-2026-11-30T18:23:09.000"
	for _, want := range []string{mark, mark + ".2", mark + ".3"} {
		got := s.Beside("/d/x", "primary", moment)
		if got != "/d/x"+want {
			t.Errorf("got %q, want %q", got, want)
		}
		e := s.Changed(Change{Path: got, Kind: KindFile, Kept: true})
		s.Place(&e)
		s.Note(e)
	}
	long := s.Beside("/"+strings.Repeat("ü", 100), "primary", moment)
	if len(long) > 1+maxName || !strings.HasSuffix(long, "ü"+mark) {
		t.Errorf("got %q", long)
	}
	for _, tt := range []struct {
		kept, name string
		want       bool
	}{
		{"/d/x" + mark, "/d/x", true},
		{"/d/x" + mark + ".2", "/d/x", true},
		{"/d/x" + mark, "/d/xy", false},
		{"/d/x" + mark, "/x", false},
		{"/d/x", "/d/x", false},
		{long, "/" + strings.Repeat("ü", 100), true},
		{long, "/" + strings.Repeat("u", 200), false},
		{long, "/" + strings.Repeat("ü", 50) + "/" + strings.Repeat("ü", 100), false},
	} {
		if got := IsBeside(tt.kept, tt.name); got != tt.want {
			t.Errorf("%s is beside %s: %v", tt.kept, tt.name, got)
		}
	}
	for n := range 10 {
		to := s.Beside("/d/x", "secondary", moment.Add(time.Duration(n)*time.Hour))
		e := s.Changed(Change{Path: to, Kind: KindFile, Kept: true})
		s.Place(&e)
		s.Note(e)
	}
	if s.Kept() != 13 {
		t.Errorf("%d are kept", s.Kept())
	}
	want := []string{"/d/x~primary-2026-11-30T18:23:09.000", "/d/x~secondary-2026-11-30T18:23:09.000",
		"/d/x~primary-2026-11-30T18:23:09.000.2", "/d/x~primary-2026-11-30T18:23:09.000.3",
		"/d/x~secondary-2026-11-30T19:23:09.000"}
	got := s.Oldest("/d/x" + mark)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := s.Oldest("/d/y" + mark); got != nil {
		t.Errorf("of another name: %q", got)
	}
}
