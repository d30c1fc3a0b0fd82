package journal

// Reservation says how far the numbers of one counter may be used: ESP sequence
// numbers, and the counters that AEAD nonces are made of. It is part of the
// record of its SA. Two rules keep every number from being used twice, whatever
// dies when, also while both nodes believe that they are active:
//
//   - The owner uses numbers up to Limit. It raises the limit by a block, in a
//     record, and uses the new numbers once Sender.Granted says so. If it does
//     not, it rekeys when the numbers run out.
//   - Who takes over begins beyond the limit that it knows, as many blocks
//     further on as the epoch has grown since, and has one block for itself.
//
// A limit that was asked for and not granted is in the journal, too. So the
// granted one belongs into the counter memory, beside the counter itself: a
// worker that is restarted goes on from there, and asks for the journal's limit
// again. Who takes over counts from the highest limit that was ever asked for.
//
// Epochs are unique, so the blocks of two activations never overlap. The block
// is the same on both nodes: a constant of the program.
type Reservation struct {
	Epoch uint64 // of the activation that the limit belongs to
	Limit uint64 // the highest number that may be used
}

// Blocks. A takeover skips what is left of a block and, the epochs of a unit
// being every second one, one more: that must be rare in the space of numbers,
// and less than what a receiver with ESN can follow (RFC 4303 appendix A2.2).
// At a million packets a second a small block lasts 16 seconds.
const (
	BlockShort = 1 << 24 // of 2^32: without ESN
	BlockLong  = 1 << 28 // of 2^64: with ESN
)

// Reserve returns the first reservation of a new counter, whose first number
// is 1. It counts at once.
func Reserve(epoch, block uint64) Reservation { return Reservation{epoch, block} }

// Raise returns the next reservation of the same owner; ok is false when the
// counter ends at most: the SA must be rekeyed.
func (r Reservation) Raise(block, most uint64) (_ Reservation, ok bool) {
	if r.Limit >= most {
		return r, false
	}
	return Reservation{r.Epoch, r.Limit + min(block, most-r.Limit)}, true
}

// Takeover returns the first number that the activation with epoch may use, and
// its reservation; ok is false if no number is left: the SA must be rekeyed by
// its peer. An epoch that is not higher gives nothing.
func (r Reservation) Takeover(epoch, block, most uint64) (first uint64, _ Reservation, ok bool) {
	if epoch <= r.Epoch || r.Limit >= most {
		return 0, r, false
	}
	room := (most - r.Limit) / block
	if gap := epoch - r.Epoch; gap <= room {
		return r.Limit + (gap-1)*block + 1, Reservation{epoch, r.Limit + gap*block}, true
	}
	return 0, r, false
}
