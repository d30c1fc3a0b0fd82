package link

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/failover"
)

// TestFrames cuts heartbeats into frames and joins them again, whatever order
// they come in, with padding and with strangers' frames between.
func TestFrames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 45, 400, 1488, 1489, 5000, failover.MaxDatagram} {
		for _, mtu := range []int{minEtherMTU, 1500, 9000} {
			var e Ethernet
			want := bytes.Repeat([]byte{byte(size), byte(mtu), 3}, size)[:size]
			frames := split(want, uint32(size), mtu)
			if len(frames) > maxParts {
				t.Errorf("%d bytes with an MTU of %d: %d frames, %d are allowed", size, mtu, len(frames), maxParts)
			}
			random.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
			var got [][]byte
			for i, frame := range frames {
				if len(frame) > mtu {
					t.Errorf("a frame of %d bytes with an MTU of %d", len(frame), mtu)
				}
				for _, noise := range [][]byte{nil, []byte("WRD\x01"), frame[:etherHead-1],
					slices.Concat([]byte("no"), frame)} {
					if b := e.join(noise); b != nil {
						t.Errorf("%x is a heartbeat", noise)
					}
				}
				padded := slices.Concat(frame, make([]byte, 46))
				if b := e.join(padded); b != nil {
					got = append(got, b)
				} else if len(frames) > 1 {
					e.join(padded) // the same again says nothing new
				}
				if i < len(frames)-1 && len(got) > 0 {
					t.Error("a heartbeat before its last part")
				}
			}
			if len(got) != 1 || !bytes.Equal(got[0], want) {
				t.Errorf("%d bytes with an MTU of %d: got %d heartbeats", size, mtu, len(got))
			}
			if len(e.assemblies) != 0 {
				t.Errorf("%d heartbeats are still in pieces", len(e.assemblies))
			}
		}
	}
}

// TestUnfinishedFrames: what never comes whole takes no memory for ever.
func TestUnfinishedFrames(t *testing.T) {
	var e Ethernet
	for id := range uint32(1000) {
		e.join(split(make([]byte, 3000), id, 1500)[0])
	}
	if len(e.assemblies) != maxAssemblies {
		t.Errorf("%d heartbeats in pieces, %d are allowed", len(e.assemblies), maxAssemblies)
	}
	huge := split(make([]byte, 3000), 5000, 1500)[0]
	huge[len(etherMagic)+5] = 255
	e.join(huge)
	if e.assemblies[len(e.assemblies)-1].id == 5000 {
		t.Error("a heartbeat of 255 parts is begun")
	}
}

// FuzzFrames: no frame of a stranger does harm.
func FuzzFrames(f *testing.F) {
	for i, frame := range split(make([]byte, 3000), 7, 1500) {
		f.Add(frame, i)
	}
	f.Fuzz(func(t *testing.T, b []byte, more int) {
		var e Ethernet
		for range more % 4 {
			e.join(b)
		}
		if got := e.join(b); len(got) > maxParts*len(b) {
			t.Error(fmt.Sprint("grown to ", len(got)))
		}
	})
}
