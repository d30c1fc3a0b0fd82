package suite

import (
	"bytes"
	"crypto/hmac"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
)

// TestPRFIsHMAC compares every PRF with crypto/hmac, with keys that are shorter than a block, as long
// and longer, one behind the other in the same memory, of which nothing is left.
func TestPRFIsHMAC(t *testing.T) {
	all := bytes.Repeat([]byte("a key and a text of many parts "), 16)
	for _, id := range []uint16{
		sa.PRFHMACMD5, sa.PRFHMACSHA1, sa.PRFHMACSHA256, sa.PRFHMACSHA384, sa.PRFHMACSHA512,
	} {
		p, ok := NewPRF(id)
		if !ok {
			t.Fatalf("PRF %d is not supported", id)
		}
		for _, n := range []int{300, 0, 1, 63, 64, 65, 127, 128, 129, 20} {
			mac := hmac.New(p.hash, all[:n])
			mac.Write(all)
			if got, want := p.Sum(all[:n], all[:7], nil, all[7:]), mac.Sum(nil); !bytes.Equal(got, want) {
				t.Errorf("PRF %d, key of %d octets: % x, want % x", id, n, got, want)
			}
			if zero := (prfWork{}); p.work.pad != zero.pad || p.work.inner != zero.inner {
				t.Errorf("PRF %d, key of %d octets: something is left of it", id, n)
			}
		}
		if _, ok := NewPRF(0); ok {
			t.Error("PRF 0 is supported")
		}
	}
}

// TestPRFAllocates: a set-up computes a dozen, and what each leaves behind is between the SAs that stay.
func TestPRFAllocates(t *testing.T) {
	p, _ := NewPRF(sa.PRFHMACSHA384)
	key, text := make([]byte, 48), make([]byte, 300)
	if n := testing.AllocsPerRun(100, func() { p.Sum(key, text) }); n > 1 {
		t.Errorf("a sum is made of %v objects", n)
	}
}
