package catalog

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/record/recordtest"
)

func sampleEntry() Entry {
	v := Version{Epoch: 7, Disk: 0xfedcba9876543210, Position: 300}
	return Entry{Path: "/d/x", Kind: KindFile, Size: 4, Sum: sum("text"), Version: v, Kept: true, Position: 301,
		Seen: History{v, {Epoch: 6, Disk: 5, Position: 9}}, Had: []Sum{sum("one"), sum("two")}}
}

func sampleNews() News {
	gone := Version{Epoch: 7, Disk: 1, Position: 2}
	return News{Session: 99, UpTo: 301, More: true, Entries: []Entry{
		{Path: "/old", Kind: KindGone, Version: gone, Seen: History{gone}, Position: 300}, sampleEntry()}}
}

func sampleBatch() Batch {
	e := sampleEntry()
	e.Stamp, e.Aside = "4.5.6", "/d/.~warren-1"
	return Batch{Disk: 3, Head: 400, Entries: []Entry{e}, Forget: []string{"/a", "/b"},
		Incarnation: Incarnation{ID: 7, Settled: true, Later: true}}
}

// TestNews: what disks tell each other, and what of an entry stays at home.
func TestNews(t *testing.T) {
	n, x := sampleNews(), sampleBatch()
	told := News{Entries: x.Entries}
	if got, err := ParseNews(AppendNews(nil, &told)); err != nil || got.Entries[0].Stamp != "" ||
		got.Entries[0].Aside != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err := ParseNews(AppendNews(nil, &n))
	if diff := cmp.Diff(n, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	kept, err := ParseBatch(AppendBatch(nil, &x))
	if diff := cmp.Diff(x, kept); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	recordtest.Read(t, []recordtest.Sample{{Name: "news", Bytes: AppendNews(nil, &n)}}, func(b []byte) error {
		_, err := ParseNews(b)
		return err
	})
	recordtest.Memory(t, []recordtest.Sample{{Name: "batch", Bytes: AppendBatch(nil, &x)}}, func(b []byte) error {
		_, err := ParseBatch(b)
		return err
	})
}

// TestNewerEntry: what a newer program knows of a file stays with it.
func TestNewerEntry(t *testing.T) {
	e := sampleEntry()
	b := record.Append(nil, func(f *record.Fields) {
		e.shared(f)
		more := uint64(5)
		record.Number(f, 30, &more)
	})
	var got Entry
	if err := record.Parse(b, got.told); err != nil || got.Unknown.Len() == 0 {
		t.Fatalf("%v, %d octets", err, got.Unknown.Len())
	}
	s := New(1)
	d := s.Merge(&got)
	if again := record.Append(nil, d.Entry.told); !bytes.Contains(again, b[len(b)-2:]) || d.Action != ActionTake {
		t.Errorf("%v: % x, want the end of % x", d.Action, again, b)
	}
	got.Kind = 9
	if d := s.Merge(&got); d.Action != ActionNone || d.Noted {
		t.Errorf("a kind of a newer program: %+v", d)
	}
}

// TestParseRefuses: names that lead out, versions without a history.
func TestParseRefuses(t *testing.T) {
	for name, spoil := range map[string]func(e *Entry){
		"no path":       func(e *Entry) { e.Path = "" },
		"relative path": func(e *Entry) { e.Path = "x" },
		"the root":      func(e *Entry) { e.Path = "/" },
		"dots":          func(e *Entry) { e.Path = "/a/../x" },
		"two slashes":   func(e *Entry) { e.Path = "//x" },
		"no kind":       func(e *Entry) { e.Kind = 0 },
		"no version":    func(e *Entry) { e.Version, e.Seen = Version{}, nil },
		"no history":    func(e *Entry) { e.Seen = nil },
		"negative size": func(e *Entry) { e.Size = -1 },
	} {
		e := sampleEntry()
		spoil(&e)
		if _, err := ParseNews(AppendNews(nil, &News{Entries: []Entry{e}})); err == nil {
			t.Errorf("%s: it is accepted", name)
		}
	}
	n := sampleNews()
	b := AppendNews(nil, &n)
	for i := 1; i < len(b); i++ {
		if got, err := ParseNews(b[:i]); err == nil && cmp.Equal(got, n) {
			t.Errorf("%d of %d octets are all of it", i, len(b))
		}
	}
}

func FuzzParseNews(f *testing.F) {
	n := sampleNews()
	f.Add(AppendNews(nil, &n))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ParseNews(b)
		if err != nil {
			return
		}
		c := New(1)
		for _, e := range n.Entries {
			if d := c.Merge(&e); d.Noted {
				c.Place(&d.Entry)
				c.Note(d.Entry)
			}
		}
		again, err := ParseNews(AppendNews(nil, &n))
		if err != nil || !cmp.Equal(again.Entries, n.Entries) {
			t.Errorf("%v: %+v, was %+v", err, again, n)
		}
	})
}

func FuzzParseBatch(f *testing.F) {
	x := sampleBatch()
	f.Add(AppendBatch(nil, &x))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := ParseBatch(b); err == nil {
			c := New(1)
			c.Apply(&x)
			c.Since(0, 10)
		}
	})
}

func FuzzParseSum(f *testing.F) {
	f.Add(sum("x").String())
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := ParseSum(text); ok && len(s.String()) != len(text) {
			t.Errorf("%q is %s", text, s)
		}
	})
}
