package vfs

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
)

const (
	// maxGone bounds a ledger. What is older is forgotten: then a file that was
	// deleted may come back from the other unit, and none is lost.
	maxGone = 4096
	// maxLedger bounds what is read of a ledger's file, which has two lines for
	// each entry at most.
	maxLedger = 2 * maxGone * (maxPath + 256)
)

// Gone is one content that a path of a volume has had and has no more, because
// it was deleted or replaced.
type Gone struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256,omitempty"` // hexadecimal; "" for a directory
}

// ledger remembers what is gone, so that another unit can tell what was deleted
// from what was never there. It is kept in a file, beside the directory of the
// volume and not in it: one line for each change, in the order of time. A file
// that cannot be read or written is no reason to keep anybody from deleting: then
// it is remembered until warrend ends.
type ledger struct {
	path string // "": not kept

	mu    sync.Mutex // protects what follows
	order []Gone     // the oldest first
	has   map[Gone]bool
	lines int // in the file
}

// entry is one line of the file.
type entry struct {
	Gone
	Back bool `json:"back,omitempty"` // the path has this content again
}

// openLedger reads a ledger; a line that makes no sense is left out.
func openLedger(path string) *ledger {
	l := &ledger{path: path, has: map[Gone]bool{}}
	f, err := os.Open(path)
	if err != nil {
		return l
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxLedger {
		return l
	}
	for s := bufio.NewScanner(f); s.Scan(); l.lines++ {
		var e entry
		if json.Unmarshal(s.Bytes(), &e) != nil || e.Path == "" {
			continue
		}
		if e.Back {
			l.dropLocked(e.Gone)
		} else {
			l.addLocked(e.Gone)
		}
	}
	return l
}

// add notes what is gone now.
func (l *ledger) add(list ...Gone) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var entries []entry
	for _, g := range list {
		if l.addLocked(g) {
			entries = append(entries, entry{Gone: g})
		}
	}
	l.writeLocked(entries)
}

func (l *ledger) addLocked(g Gone) bool {
	if l.has[g] {
		return false
	}
	l.has[g] = true
	l.order = append(l.order, g)
	if len(l.order) > maxGone {
		delete(l.has, l.order[0])
		l.order = l.order[1:]
	}
	return true
}

// back notes that a path has a content again.
func (l *ledger) back(g Gone) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropLocked(g) {
		l.writeLocked([]entry{{Gone: g, Back: true}})
	}
}

func (l *ledger) dropLocked(g Gone) bool {
	if !l.has[g] {
		return false
	}
	delete(l.has, g)
	for i, one := range l.order {
		if one == g {
			l.order = append(l.order[:i:i], l.order[i+1:]...)
			break
		}
	}
	return true
}

// all returns what is gone, the oldest first.
func (l *ledger) all() []Gone {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Gone(nil), l.order...)
}

// writeLocked adds lines to the file, or writes it anew when half of it is old.
func (l *ledger) writeLocked(entries []entry) {
	if l.path == "" || len(entries) == 0 {
		return
	}
	if l.lines += len(entries); l.lines > 2*maxGone {
		l.rewriteLocked()
		return
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, fileMode)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.WriteString(linesOf(entries)); err == nil {
		f.Sync()
	}
}

func (l *ledger) rewriteLocked() {
	entries := make([]entry, len(l.order))
	for i, g := range l.order {
		entries[i].Gone = g
	}
	aside := l.path + ".new"
	err := os.WriteFile(aside, []byte(linesOf(entries)), fileMode)
	if err == nil {
		err = os.Rename(aside, l.path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		os.Remove(aside)
		return
	}
	l.lines = len(entries)
}

// linesOf begins with a line break, so that a line that was cut short by a loss
// of power spoils no other.
func linesOf(entries []entry) string {
	var text strings.Builder
	for _, e := range entries {
		b, err := json.Marshal(e)
		if err != nil {
			panic("vfs: internal error: " + err.Error())
		}
		text.WriteString("\n" + string(b))
	}
	return text.String()
}
