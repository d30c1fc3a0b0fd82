package plane

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// TestControl: control messages are read as they were written, and what is cut
// off anywhere ends the list.
func TestControl(t *testing.T) {
	oob := make([]byte, unix.CmsgSpace(4)+unix.CmsgSpace(2))
	binary.NativeEndian.PutUint32(putControl(oob, unix.IPPROTO_IP, unix.IP_TOS, 4), 0xb8)
	binary.NativeEndian.PutUint16(putControl(oob[unix.CmsgSpace(4):], unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2), 1300)

	c, rest, ok := nextControl(oob)
	if !ok || !c.is(unix.IPPROTO_IP, unix.IP_TOS, 4) || c.is(unix.IPPROTO_IP, unix.IP_TOS, 5) ||
		binary.NativeEndian.Uint32(c.data) != 0xb8 {
		t.Errorf("first: %+v, %v", c, ok)
	}
	c, rest, ok = nextControl(rest)
	if !ok || !c.is(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2) || binary.NativeEndian.Uint16(c.data) != 1300 {
		t.Errorf("second: %+v, %v", c, ok)
	}
	if _, _, ok := nextControl(rest); ok {
		t.Error("a third")
	}
	for n := range unix.CmsgLen(4) {
		if _, _, ok := nextControl(oob[:n:n]); ok {
			t.Errorf("the first %d bytes are a control message", n)
		}
	}
	oob[0] = 1 // shorter than its own header
	if _, _, ok := nextControl(oob); ok {
		t.Error("one without a header")
	}
}
