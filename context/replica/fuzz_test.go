package replica

import (
	"bytes"
	"testing"
)

// FuzzEntries reads journal entries, also those that a broken worker left behind:
// what is accepted is written as it was read.
func FuzzEntries(f *testing.F) {
	for _, b := range entries {
		f.Add(b)
	}
	f.Add(appendBatch(nil, entries))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := parseEntries(b); err == nil && len(all) == 0 {
			t.Error("an entry of nothing was accepted")
		}
		e, err := parseEntry(b)
		switch {
		case err != nil || e.lost != nil:
		case e.record != nil:
			again, err := parseEntry(e.encode())
			if err != nil || again.record == nil || again.record.Kind != e.record.Kind {
				t.Errorf("the record cannot be read again: %v", err)
			}
		default:
			if got := e.encode(); !bytes.Equal(got, b) {
				t.Errorf("got %x, want %x", got, b)
			}
		}
	})
}
