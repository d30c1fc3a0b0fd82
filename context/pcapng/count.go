package pcapng

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxBlock is the largest block that a capture of ours has: a packet of 64 KiB
// and what stands around it.
const MaxBlock = 128 << 10

// ErrMalformed is returned for what is no capture of ours.
var ErrMalformed = errors.New("pcapng: malformed capture")

// Counter counts what a capture holds while it passes, in pieces of any size.
// The zero Counter is ready. It keeps no more than a block's fixed part.
type Counter struct {
	Packets uint64 // that the capture holds
	Dropped uint64 // that were too many for it; known at its end
	Ended   bool   // the capture has come to its end, and was not cut off

	kind   uint32
	left   int    // of the block, which is being passed over
	keep   []byte // what is read of it
	wanted int
}

const (
	blockHeader = 8
	// statisticsHead is how much of a statistics block is looked at.
	statisticsHead = 12 + 12 + 12
)

// Write takes the next piece. What is no capture is an error.
func (c *Counter) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if c.wanted > len(c.keep) {
			take := min(c.wanted-len(c.keep), len(b))
			c.keep = append(c.keep, b[:take]...)
			b = b[take:]
			if len(c.keep) < c.wanted {
				return n, nil
			}
			if c.kind != 0 {
				c.statistics()
				continue
			}
			if err := c.header(); err != nil {
				return n - len(b), err
			}
			continue
		}
		if c.left > 0 {
			skip := min(c.left, len(b))
			c.left -= skip
			b = b[skip:]
		}
		if c.left == 0 {
			c.kind, c.keep, c.wanted = 0, c.keep[:0], blockHeader
		}
	}
	return n, nil
}

// header begins a block.
func (c *Counter) header() error {
	kind, size := binary.LittleEndian.Uint32(c.keep), binary.LittleEndian.Uint32(c.keep[4:])
	if size < blockHeader+4 || size > MaxBlock || size%4 != 0 {
		return fmt.Errorf("%w: a block of %d bytes", ErrMalformed, size)
	}
	c.kind, c.left = kind, int(size)-blockHeader
	c.keep, c.wanted = c.keep[:0], 0
	switch kind {
	case blockSection, blockInterface:
	case blockPacket:
		c.Packets++
	case blockStatistics:
		if c.left < statisticsHead+4 {
			return fmt.Errorf("%w: a statistics block of %d bytes", ErrMalformed, size)
		}
		c.wanted = statisticsHead
	default:
		return fmt.Errorf("%w: a block of type %#x", ErrMalformed, kind)
	}
	return nil
}

// statistics reads the fixed part of a statistics block: interface and time,
// and the two counters as AppendStatistics writes them.
func (c *Counter) statistics() {
	c.Dropped = binary.LittleEndian.Uint64(c.keep[12+12+4:])
	c.Ended = true
	c.left -= statisticsHead
	c.keep, c.wanted = c.keep[:0], 0
}
