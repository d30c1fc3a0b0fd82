package control

import (
	"encoding/binary"
	"errors"
	"time"
)

// CaptureDecrypted is what a Capture calls the inside of the SAs.
const CaptureDecrypted = "decrypted"

// MaxCaptures bounds the captures of one context at the same time.
const MaxCaptures = 4

// Capture asks for packets in the form of pcapng. It ends when one of its bounds
// is reached, or when nobody reads it any more.
type Capture struct {
	// Interface is one of the tenant's, by its name in the configuration, or
	// CaptureDecrypted: inner packets as the SAs carry them.
	Interface string        `json:"interface"`
	Count     uint64        `json:"count,omitempty"`    // packets; 0: no bound
	Duration  time.Duration `json:"duration,omitempty"` // 0: no bound
}

// CaptureOrder is what the supervisor makes of a Capture for the worker. Its
// descriptors are where the capture is written to, and for an interface where its
// frames come from.
type CaptureOrder struct {
	Capture
	// Ethernet says that the frames of the interface have a link header.
	Ethernet bool `json:"ethernet,omitempty"`
}

// Frame is the beginning of each message in which the supervisor passes a frame
// of an interface to a capture: behind it come a virtio_net_hdr and the frame, or
// nothing, where there is only a loss to tell of.
type Frame struct {
	Outgoing bool   // it left through the interface
	Nanos    int64  // when it passed, in nanoseconds since 1970
	Dropped  uint64 // frames that were lost on the way, since the capture began
}

// FrameLen is the length of an encoded Frame.
const FrameLen = 1 + 8 + 8

// Append appends the encoded form.
func (f Frame) Append(b []byte) []byte {
	outgoing := byte(0)
	if f.Outgoing {
		outgoing = 1
	}
	b = append(b, outgoing)
	b = binary.BigEndian.AppendUint64(b, uint64(f.Nanos))
	return binary.BigEndian.AppendUint64(b, f.Dropped)
}

// ParseFrame reads what Append wrote, and returns what stands behind it.
func ParseFrame(b []byte) (f Frame, rest []byte, err error) {
	if len(b) < FrameLen || b[0] > 1 {
		return Frame{}, nil, errors.New("control: malformed frame of a capture")
	}
	return Frame{
		Outgoing: b[0] == 1, Nanos: int64(binary.BigEndian.Uint64(b[1:])), Dropped: binary.BigEndian.Uint64(b[9:]),
	}, b[FrameLen:], nil
}
