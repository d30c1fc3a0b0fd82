package replica

import (
	"errors"
	"fmt"
	"iter"

	"github.com/warrenvpn/warren/failover/journal"
)

// compactAfter is how many bytes the journal may grow over its last snapshot
// before a new snapshot replaces it.
const compactAfter = 1 << 20

// ledger is the tenant's journal in its memory file.
type ledger struct {
	store  *journal.Store
	mem    Memory
	bottom int  // bytes in use after the last snapshot
	full   bool // an entry did not fit, nor has a snapshot since
}

func openLedger(mem Memory) (*ledger, error) {
	store, err := journal.Open(mem.Bytes)
	if err != nil {
		return nil, err
	}
	return &ledger{store: store, mem: mem}, nil
}

// replay calls f with every entry, oldest first.
func (l *ledger) replay(f func(entry)) error {
	return l.store.Replay(func(payload []byte) error {
		all, err := parseEntries(payload)
		if err != nil {
			return err
		}
		for _, e := range all {
			f(e)
		}
		return nil
	})
}

// append adds one entry. Where it does not fit the journal is replaced by
// state first, which may already hold what the entry says.
func (l *ledger) append(payload []byte, state iter.Seq[[]byte]) (journal.Position, error) {
	p, err := l.store.Append(payload)
	if errors.Is(err, journal.ErrFull) {
		l.full = true
		if err := l.compact(state); err != nil {
			return 0, err
		}
		p, err = l.store.Append(payload)
		l.full = err != nil
	}
	return p, err
}

// crowded reports whether the state alone takes so much of the memory that
// no more should be added to it.
func (l *ledger) crowded() bool {
	_, limit := l.store.Used()
	return l.full || l.bottom > limit/4*3
}

// tidy replaces the entries by state where they have grown far over the last
// snapshot.
func (l *ledger) tidy(state iter.Seq[[]byte]) error {
	if used, _ := l.store.Used(); used > 2*l.bottom+compactAfter {
		return l.compact(state)
	}
	return nil
}

// condenseAfter is how many bytes the journal has grown at least where it is condensed.
const condenseAfter = 64 << 10

// condense replaces the entries by state where they have grown somewhat over the last snapshot:
// for when there is little else to do.
func (l *ledger) condense(state iter.Seq[[]byte]) error {
	if used, _ := l.store.Used(); used > l.bottom+max(l.bottom/8, condenseAfter) {
		return l.compact(state)
	}
	return nil
}

// compact replaces all entries by state and gives the memory of the old ones
// back.
func (l *ledger) compact(state iter.Seq[[]byte]) error {
	if err := l.store.Compact(state); err != nil {
		return fmt.Errorf("replacing the journal by a snapshot: %w", err)
	}
	l.settle()
	return nil
}

// reset makes the ledger the copy of another node's, as of position at.
func (l *ledger) reset(stream journal.StreamID, at journal.Position, state iter.Seq[[]byte]) error {
	if err := l.store.Reset(stream, at, state); err != nil {
		return fmt.Errorf("replacing the journal by the twin's: %w", err)
	}
	l.settle()
	return nil
}

// settle notes the size of a snapshot and returns idle memory to the system.
func (l *ledger) settle() {
	l.bottom, _ = l.store.Used()
	offset, length := l.store.Idle()
	l.mem.giveBack(offset, length)
}
