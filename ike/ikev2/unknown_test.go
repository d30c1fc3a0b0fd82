package ikev2

import (
	"bytes"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// step is one level into a record: the field with a tag, or the first item of the
// list there.
type step struct {
	tag  record.Tag
	list bool
}

// newer returns the record b with a field that nobody knows, in the record at the end
// of the path.
func newer(t *testing.T, b []byte, path ...step) []byte {
	t.Helper()
	if len(path) == 0 {
		return addUnknown(b)
	}
	var rest record.Unknown
	var value []byte
	var items [][]byte
	fields := func(f *record.Fields) {
		f.Keep(&rest)
		if path[0].list {
			f.Items(path[0].tag, &items, maxListed)
		} else {
			f.Part(path[0].tag, &value)
		}
	}
	if err := record.Parse(b, fields); err != nil {
		t.Fatal(err)
	}
	if path[0].list {
		items[0] = newer(t, items[0], path[1:]...)
	} else {
		value = newer(t, value, path[1:]...)
	}
	return record.Append(nil, fields)
}

// field and first are the two kinds of steps.
func field(tag record.Tag) step { return step{tag: tag} }
func first(tag record.Tag) step { return step{tag: tag, list: true} }

// bindless is a host for which the SAs of a test need not be known.
type bindless struct{ exchange.Host }

func (bindless) BindChild(*sa.Child, exchange.SA) {}

// lasting is what a snapshot has of an SA and its child, with something on each level.
func lasting(t *testing.T) (ike, child exchange.Record) {
	t.Helper()
	s := golden(t)
	s.replaces, s.tasks = 0, []task{{kind: taskDeleteIKE, reason: "why"}}
	child = goldenRecords(t)[2]
	child.Child.Op, child.Child.Replaces = sa.OpAdd, 0
	return s.record(), child
}

// replayed returns the snapshot of an SA that was made from records, as bytes, one a
// record.
func replayed(t *testing.T, records ...[]byte) [][]byte {
	t.Helper()
	var s *SA
	for _, b := range records {
		r, err := ParseRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		if again := AppendRecord(nil, r); !bytes.Equal(again, b) {
			t.Errorf("passed on as\n% x, want\n% x", again, b)
		}
		switch r.Kind {
		case exchange.RecordIKE:
			if s, err = restored(r); err != nil {
				t.Fatal(err)
			}
			s.host = &Version{Host: bindless{}}
		case exchange.RecordWindow:
			if err := s.ReplayWindow(r); err != nil {
				t.Fatal(err)
			}
		default:
			s.ReplayChild(time.Unix(100, 0), r)
		}
	}
	var out [][]byte
	s.Snapshot(func(r exchange.Record) bool { out = append(out, AppendRecord(nil, r)); return true })
	return out
}

// TestSnapshotKeepsWhatIsUnknown: what a newer program has written on any level of a
// record is in the snapshot of the SA that was made from it.
func TestSnapshotKeepsWhatIsUnknown(t *testing.T) {
	const body = 5
	ike, child := lasting(t)
	a, b := AppendRecord(nil, ike), AppendRecord(nil, child)
	for name, path := range map[string][]step{
		"envelope":       nil,
		"body":           {field(body)},
		"session":        {field(body), field(19)},
		"window":         {field(body), field(12)},
		"agreements":     {field(body), field(12), field(10)},
		"an agreement":   {field(body), field(12), field(10), field(1)},
		"a waiting task": {field(body), field(12), first(9)},
		"request":        {field(body), field(12), field(8)},
		"its task":       {field(body), field(12), field(8), field(3)},
		"its crossing":   {field(body), field(12), field(8), field(12)},
		"its terms":      {field(body), field(12), field(8), first(8)},
	} {
		t.Run("RecordIKE, "+name, func(t *testing.T) {
			n := newer(t, a, path...)
			if got := replayed(t, n); len(got) != 1 || !bytes.Equal(got[0], n) {
				t.Errorf("snapshot\n% x, want\n% x", got, n)
			}
		})
	}
	for name, path := range map[string][]step{
		"envelope": nil,
		"body":     {field(body)},
		"change":   {field(body), field(1)},
		"inbound":  {field(body), field(1), field(6)},
		"outbound": {field(body), field(1), field(7)},
	} {
		t.Run("RecordChild, "+name, func(t *testing.T) {
			n := newer(t, b, path...)
			if got := replayed(t, a, n); len(got) != 2 || !bytes.Equal(got[0], a) || !bytes.Equal(got[1], n) {
				t.Errorf("snapshot\n% x, want\n% x\n% x", got, a, n)
			}
		})
	}
}

// TestWindowRecordKeepsWhatIsUnknown: what a RecordWindow says in its body is part of
// the SA from then on; what it says beside that is passed on with the record.
func TestWindowRecordKeepsWhatIsUnknown(t *testing.T) {
	ike, _ := lasting(t)
	s, err := restored(ike)
	if err != nil {
		t.Fatal(err)
	}
	w := s.windowRecord()
	more := newer(t, w.Body.Reveal())
	w.Body = secret.New(more)
	want := newer(t, AppendRecord(nil, ike), field(5), field(12))
	got := replayed(t, AppendRecord(nil, ike), newer(t, AppendRecord(nil, w)))
	if len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("snapshot\n% x, want\n% x", got, want)
	}
}
