package control

import (
	"bytes"
	"testing"
)

// FuzzParseFrame: what is read is written again as it was.
func FuzzParseFrame(f *testing.F) {
	f.Add(append(Frame{Outgoing: true, Nanos: 1, Dropped: 2}.Append(nil), "frame"...))
	f.Add(Frame{Nanos: -1}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, rest, err := ParseFrame(b)
		if err == nil && !bytes.Equal(append(frame.Append(nil), rest...), b) {
			t.Errorf("%x becomes %+v and %x", b, frame, rest)
		}
		if (err != nil) != (len(b) < FrameLen || b[0] > 1) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
