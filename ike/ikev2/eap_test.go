package ikev2

import "testing"

// TestEAPPacket: what an authority says goes no further than it is an EAP packet, of a size
// that a peer can be sent.
func TestEAPPacket(t *testing.T) {
	long := make([]byte, maxEAPPacket+1)
	long[2], long[3] = byte(len(long)>>8), byte(len(long)&0xff)
	for _, tt := range []struct {
		b    []byte
		want bool
	}{
		{nil, false}, {[]byte{3, 1, 0}, false}, {[]byte{3, 1, 0, 4}, true}, {[]byte{3, 1, 0, 5}, false},
		{[]byte{1, 1, 0, 5, 1, 0}, false}, {long, false},
	} {
		if got := eapPacket(tt.b); got != tt.want {
			t.Errorf("% x: %v", tt.b[:min(len(tt.b), 8)], got)
		}
	}
}
