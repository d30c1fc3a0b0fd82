package replica

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/failover/journal"
)

// intake is the copy of the twin's state that a snapshot brings, entry by entry: each is
// applied as it comes, while the next ones are on their way. What this node holds stays
// as it is until adopt.
type intake struct {
	store *store
	image *image
	use   func()
	items [][]byte // the entries as this node writes them down: they hold keys
}

// mostItems bounds what is allocated for a snapshot before its entries come.
const mostItems = 1 << 16

// intake begins the copy of a snapshot with so many entries.
func (s *store) intake(count int) (*intake, error) {
	im, use, err := s.blank(false)
	if err != nil {
		return nil, err
	}
	return &intake{store: s, image: im, use: use, items: make([][]byte, 0, min(count, mostItems))}, nil
}

// take applies an entry, which is cleared: it may hold keys.
func (x *intake) take(now time.Time, payload []byte) error {
	defer clear(payload)
	e, err := parseEntry(payload)
	if err != nil {
		return err
	}
	x.items = append(x.items, x.store.apply(now, e, x.image).encode())
	return nil
}

// adopt makes the state, and the journal, that copy, which is used up. What was held
// before is replaced as a whole; on an error it is held still.
func (x *intake) adopt(step journal.Step) error {
	if err := x.store.journal.reset(step.Stream, step.Position, slices.Values(x.items)); err != nil {
		x.drop()
		return err
	}
	x.store.use(x.image, x.use)
	x.forget()
	return nil
}

// drop gives the copy up.
func (x *intake) drop() {
	x.image.state.Wipe()
	x.forget()
}

// forget overwrites what the copy was made of.
func (x *intake) forget() {
	for _, b := range x.items {
		clear(b)
	}
	x.items = nil
}
