package catalog

import "github.com/warrenvpn/warren/internal/record"

// MaxTold is how many entries one answer has at most.
const MaxTold = 512

// News is what one disk tells another: its entries behind a position.
type News struct {
	Session uint64 // the use of the catalogue that the positions are of
	Entries []Entry
	UpTo    uint64 // with these entries everything up to here is told
	More    bool   // there are more behind UpTo
}

// AppendNews appends news in the form in which disks tell them.
func AppendNews(b []byte, n *News) []byte { return record.Append(b, n.fields) }

// ParseNews reads what AppendNews wrote. Fields of a newer program stay with the entries.
func ParseNews(b []byte) (News, error) {
	var n News
	err := record.Parse(b, n.fields)
	return n, err
}

func (n *News) fields(f *record.Fields) {
	record.Number(f, 1, &n.Session)
	record.List(f, 2, &n.Entries, MaxTold, func(f *record.Fields, e *Entry) { e.told(f) })
	record.Number(f, 3, &n.UpTo)
	f.Flag(4, &n.More)
}

// Batch is what is noted together: after a crash all of it counts, or nothing.
type Batch struct {
	Disk    uint64 // at the beginning of a log: whose it is
	Head    uint64 // positions up to here were given
	Entries []Entry
	Forget  []string // paths that were forgotten
	// Incarnation is what the disk has become; the zero value: what it was.
	Incarnation Incarnation
}

// maxBatch bounds the entries of one batch; a directory has more changes in several.
const maxBatch = 4096

// AppendBatch appends a batch in the form in which a disk keeps it.
func AppendBatch(b []byte, x *Batch) []byte { return record.Append(b, x.fields) }

// ParseBatch reads what AppendBatch wrote.
func ParseBatch(b []byte) (Batch, error) {
	var x Batch
	err := record.Parse(b, x.fields)
	return x, err
}

func (x *Batch) fields(f *record.Fields) {
	record.Number(f, 1, &x.Disk)
	record.Number(f, 2, &x.Head)
	record.List(f, 3, &x.Entries, maxBatch, func(f *record.Fields, e *Entry) { e.local(f) })
	record.List(f, 4, &x.Forget, maxBatch, func(f *record.Fields, p *string) { f.Text(1, p) })
	f.Record(5, x.Incarnation.fields)
}

// Apply makes a catalogue what it is with one more batch.
func (c *Catalog) Apply(x *Batch) {
	if x.Disk != 0 {
		c.disk = x.Disk
	}
	if x.Incarnation.ID != 0 {
		c.incarnation = x.Incarnation
	}
	c.head = max(c.head, x.Head)
	for _, p := range x.Forget {
		c.Forget(p)
	}
	c.Note(x.Entries...)
}
