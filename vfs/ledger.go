package vfs

import (
	"bufio"
	"encoding/json"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// maxLedger bounds what is read of a ledger.
const maxLedger = 16 << 20

// Gone is one content that a path of a volume has had and has no more, because
// it was deleted or replaced.
type Gone struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256,omitempty"` // hexadecimal; "" for a directory
}

// ledgerOf is the file in which the program before this one has noted what is gone from a
// disk: one line for each change, in the order of time.
func ledgerOf(index string) string { return strings.TrimSuffix(index, indexSuffix) + ".gone" }

// importLedger takes over what the program before this one has noted: a file that has such
// a content elsewhere, and no history, is older than what is here.
func (x *index) importLedger() {
	f, err := x.fsys.Open(ledgerOf(x.path))
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxLedger {
		return
	}
	gone := map[string][]catalog.Sum{}
	for s := bufio.NewScanner(f); s.Scan(); {
		var line struct {
			Gone
			Back bool `json:"back,omitempty"` // the path has this content again
		}
		if json.Unmarshal(s.Bytes(), &line) != nil {
			continue
		}
		p, err := cleanPath(line.Path)
		sum, ok := catalog.ParseSum(line.SHA256)
		if err != nil || p == "/" || !ok && line.SHA256 != "" {
			continue
		}
		list := slices.DeleteFunc(gone[p], func(o catalog.Sum) bool { return o == sum })
		if !line.Back && ok {
			list = append(list, sum)
		}
		gone[p] = list
	}
	for p, list := range gone {
		e := x.Changed(catalog.Change{Path: p, Kind: catalog.KindGone})
		e.Had = append(e.Had, list[max(0, len(list)-catalog.MaxHad):]...)
		x.Place(&e)
		x.Note(e)
	}
}
