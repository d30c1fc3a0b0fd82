package replica

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memory is memory that outlives the worker: the shared mapping of a memory
// file, or plain bytes in a test.
type Memory struct {
	Bytes  []byte
	shared bool
}

// MapFile maps the whole of f, which may be closed afterwards. The mapping
// stays until the process ends.
func MapFile(f *os.File) (Memory, error) {
	info, err := f.Stat()
	if err != nil {
		return Memory{}, fmt.Errorf("replica: measuring %s: %w", f.Name(), err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return Memory{}, fmt.Errorf("replica: mapping %s: %w", f.Name(), err)
	}
	return Memory{Bytes: b, shared: true}, nil
}

// giveBack frees the pages that lie wholly within a range that is not in use.
// They read as zero afterwards. It is a matter of thrift: where the kernel
// refuses, the pages stay.
func (m Memory) giveBack(offset, length int) {
	page := os.Getpagesize()
	from := (offset + page - 1) &^ (page - 1)
	to := (offset + length) &^ (page - 1)
	if m.shared && from < to {
		unix.Madvise(m.Bytes[from:to], unix.MADV_REMOVE)
	}
}
