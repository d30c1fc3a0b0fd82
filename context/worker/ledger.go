package worker

import (
	"errors"
	"fmt"
	"iter"

	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike"
)

// compactAfter is how many bytes the journal may grow over its last snapshot
// before a new snapshot replaces it.
const compactAfter = 1 << 20

// ledger is the tenant's journal: records of the engine in a memory file.
type ledger struct {
	store  *journal.Store
	mem    Memory
	buf    []byte
	bottom int // bytes in use after the last snapshot
}

func openLedger(mem Memory) (*ledger, error) {
	store, err := journal.Open(mem.Bytes)
	if err != nil {
		return nil, err
	}
	return &ledger{store: store, mem: mem}, nil
}

// replay calls f with every record, oldest first.
func (l *ledger) replay(f func(ike.Record) error) error {
	return l.store.Replay(func(payload []byte) error {
		r, err := ike.ParseRecord(payload)
		if err != nil {
			return err
		}
		return f(r)
	})
}

// append adds records. Where they do not fit, or where the journal has grown
// far over its last snapshot, it is replaced by state, which already holds what
// the records say.
func (l *ledger) append(records []ike.Record, state iter.Seq[ike.Record]) error {
	for _, r := range records {
		l.buf = r.Append(l.buf[:0])
		_, err := l.store.Append(l.buf)
		clear(l.buf) // it holds keys
		if errors.Is(err, journal.ErrFull) {
			return l.compact(state)
		}
		if err != nil {
			return err
		}
	}
	if used, _ := l.store.Used(); used > 2*l.bottom+compactAfter {
		return l.compact(state)
	}
	return nil
}

// compact replaces all records by a snapshot and gives the memory of the old
// ones back.
func (l *ledger) compact(state iter.Seq[ike.Record]) error {
	err := l.store.Compact(func(yield func([]byte) bool) {
		for r := range state {
			l.buf = r.Append(l.buf[:0])
			if !yield(l.buf) {
				break
			}
		}
		clear(l.buf)
	})
	if err != nil {
		return fmt.Errorf("replacing the journal by a snapshot: %w", err)
	}
	l.bottom, _ = l.store.Used()
	offset, length := l.store.Idle()
	l.mem.giveBack(offset, length)
	return nil
}
