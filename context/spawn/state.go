package spawn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/internal/record"
)

// state is what the next supervisor has to know of a worker beside its descriptors.
// None of it comes from the worker but what it says of its build and its sandbox, which
// is shown and never acted upon.
type state struct {
	UID      uint32
	Note     string // Config.Note
	Clock    int64  // control.Boot's, of every process
	Memory   uint64 // number of the memory files
	Restarts int
	Silences int

	Processes uint64 // that were kept so far; their number
	Process   processState
	Endpoints []control.Descriptor

	unknown record.Unknown // of a newer version
}

// processState is the process of a worker. Number 0: there is none.
type processState struct {
	Number  uint64
	PID     int
	Inner   int // its number as it sees it
	Started time.Time
	Box     control.Sandbox
	Build   string // "": it has not booted

	unknown record.Unknown
}

// Bounds of what is read.
const (
	maxEndpoints = 4096
	maxParts     = 64 // of a sandbox
)

// fields are the record of a state. Tags that are gone are not used again.
func (s *state) fields(f *record.Fields) {
	f.Keep(&s.unknown)
	record.Number(f, 1, &s.UID)
	f.Text(2, &s.Note)
	number(f, 3, &s.Clock)
	record.Number(f, 4, &s.Memory)
	number(f, 5, &s.Restarts)
	number(f, 6, &s.Silences)
	record.Number(f, 7, &s.Processes)
	f.Record(8, s.Process.fields)
	record.List(f, 9, &s.Endpoints, maxEndpoints, descriptorFields)
}

func (p *processState) fields(f *record.Fields) {
	f.Keep(&p.unknown)
	record.Number(f, 1, &p.Number)
	number(f, 2, &p.PID)
	number(f, 3, &p.Inner)
	f.Instant(4, &p.Started)
	texts(f, 5, &p.Box.Reached)
	texts(f, 6, &p.Box.Missing)
	f.Text(7, &p.Build)
}

func descriptorFields(f *record.Fields, d *control.Descriptor) {
	kind := string(d.Kind)
	f.Text(1, &kind)
	d.Kind = control.DescriptorKind(kind)
	f.AddrPort(2, &d.Local)
	f.Text(3, &d.Interface)
	number(f, 4, &d.MTU)
}

// number is a field of a number that is not negative.
func number[T ~int | ~int64](f *record.Fields, tag record.Tag, v *T) {
	n := uint64(max(*v, 0))
	record.Number(f, tag, &n)
	if f.Reading() {
		*v = T(n)
		f.Require(*v >= 0)
	}
}

// texts is a field of texts.
func texts(f *record.Fields, tag record.Tag, v *[]string) {
	var items [][]byte
	for _, s := range *v {
		items = append(items, []byte(s))
	}
	f.Items(tag, &items, maxParts)
	if f.Reading() {
		*v = nil
		for _, b := range items {
			*v = append(*v, string(b))
		}
	}
}

// stateFile is a memory file with two places for a state. It is written to the place
// that does not count, and counts when all of it is there: whoever writes may end
// anywhere. Each place is
//
//	 0               4               8                              16
//	+---------------+---------------+-------------------------------+- - - -+
//	|     CRC-32    |    length     |             number            | state |
//	+---------------+---------------+-------------------------------+- - - -+
//
// with the CRC over all that follows. The higher number counts.
type stateFile struct {
	file   *os.File
	number uint64 // of the last write
}

const (
	stateHead  = 16
	statePlace = 128 << 10
)

var errNoState = errors.New("spawn: the state that was kept of a worker cannot be read")

func newStateFile() (*stateFile, error) {
	f, err := memoryFile("state", 2*statePlace)
	if err != nil {
		return nil, err
	}
	return &stateFile{file: f}, nil
}

// write makes s the state.
func (t *stateFile) write(s *state) error {
	b := record.Append(make([]byte, stateHead), s.fields)
	if len(b) > statePlace {
		return fmt.Errorf("spawn: the state of a worker has %d bytes; %d can be kept", len(b), statePlace)
	}
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-stateHead))
	binary.BigEndian.PutUint64(b[8:], t.number+1)
	binary.BigEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	if _, err := t.file.WriteAt(b, int64((t.number+1)%2)*statePlace); err != nil {
		return fmt.Errorf("spawn: writing the state of a worker: %w", err)
	}
	t.number++
	return nil
}

// read returns the state, and has write go on from there.
func (t *stateFile) read() (*state, error) {
	if info, err := t.file.Stat(); err != nil || info.Size() != 2*statePlace {
		return nil, fmt.Errorf("%w: the file is none", errNoState)
	}
	if seals, err := unix.FcntlInt(t.file.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return nil, fmt.Errorf("%w: the file is none", errNoState)
	}
	var best []byte
	for place := range int64(2) {
		b := make([]byte, statePlace)
		if _, err := t.file.ReadAt(b, place*statePlace); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoState, err)
		}
		size := binary.BigEndian.Uint32(b[4:])
		if size > statePlace-stateHead || crc32.ChecksumIEEE(b[4:stateHead+size]) != binary.BigEndian.Uint32(b) {
			continue
		}
		if n := binary.BigEndian.Uint64(b[8:]); n > t.number {
			t.number, best = n, b[stateHead:stateHead+size]
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: there is none", errNoState)
	}
	s := &state{}
	if err := record.Parse(best, s.fields); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoState, err)
	}
	return s, nil
}

func (t *stateFile) close() { t.file.Close() }
