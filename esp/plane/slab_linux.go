package plane

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// slab is memory for packets outside the Go heap: what was never touched costs
// nothing, and the collector does not look at it.
type slab []byte

func newSlab(size int) (slab, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("plane: memory for packets: %w", err)
	}
	return b, nil
}

func (s slab) free() { _ = unix.Munmap(s) }
