// Package journal is an ordered log of opaque records: in a memory file that
// outlives the worker (Store), and between a worker and its twin on the other
// node (Sender, Receiver), with positions, acknowledgement, snapshots, resuming
// after a short cut and gap detection. A Reservation sets sequence numbers aside,
// so that none is used twice, whatever dies when.
//
// The package is pure: memory and messages are arguments, time does not occur
// in it. It neither knows what a record means nor who may read it; package
// failover/link encrypts what travels. Nothing here is safe for concurrent use.
package journal

import (
	"encoding/hex"
	"errors"
)

// Position counts the records of a stream. The first record has position 1;
// position 0 means "nothing yet".
type Position uint64

// StreamID names one line of positions. It changes whenever positions stop
// being comparable: with every new active worker that does not continue the
// journal of its predecessor.
type StreamID [16]byte

// String returns the eight bytes in the middle in hexadecimal, enough for a log:
// names often begin with a number that is small.
func (s StreamID) String() string { return hex.EncodeToString(s[4:12]) }

// MaxRecord bounds one record. The largest are IKE SAs with a cached response
// of many fragments and long identities; a hundred times that fits.
const MaxRecord = 1 << 20

// Errors of a Store.
var (
	// ErrFull says that the record does not fit: Compact, then try again. From
	// Compact it says that the memory file is too small for the state.
	ErrFull = errors.New("journal: memory file is full")
	// ErrFormat says that the memory holds something, but no journal of ours.
	ErrFormat = errors.New("journal: not a journal")
	// ErrVersion says that a version of the program wrote the journal which is no
	// neighbour of this one.
	ErrVersion = errors.New("journal: written by another version")
	// ErrTooLarge says that a record is larger than MaxRecord, or empty.
	ErrTooLarge = errors.New("journal: record is empty or larger than the limit")
	// ErrTooSmall says that the memory is smaller than MinMemory.
	ErrTooSmall = errors.New("journal: memory file is too small")
)
