package esp

import (
	"math/bits"
	"sync/atomic"

	"github.com/warrenvpn/warren/esp/sa"
)

// index is a hash table that any number of goroutines read while one writes:
// open addressing over cells that are replaced atomically. Readers never wait.
// The zero index is empty.
type index[K comparable, V any] struct {
	cells atomic.Pointer[[]atomic.Pointer[entry[K, V]]]
	live  int // entries that count
	used  int // cells that are not nil
}

// entry never changes; a nil value marks a deleted entry, which only keeps the
// search going.
type entry[K comparable, V any] struct {
	key   K
	hash  uint64
	value *V
}

func (x *index[K, V]) get(hash uint64, key K) *V {
	p := x.cells.Load()
	if p == nil {
		return nil
	}
	cells := *p
	for i := hash; ; i++ {
		e := cells[i&uint64(len(cells)-1)].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && e.key == key {
			return e.value
		}
	}
}

// set stores value under key; nil deletes.
func (x *index[K, V]) set(hash uint64, key K, value *V) {
	if value == nil && x.get(hash, key) == nil {
		return
	}
	p := x.cells.Load()
	if p == nil || (x.used+1)*4 > len(*p)*3 {
		x.rebuild()
		p = x.cells.Load()
	}
	cells := *p
	for i := hash; ; i++ {
		at := &cells[i&uint64(len(cells)-1)]
		e := at.Load()
		if e != nil && (e.hash != hash || e.key != key) {
			continue
		}
		if e == nil {
			x.used++
		}
		if e == nil || e.value == nil {
			x.live++
		}
		if value == nil {
			x.live--
		}
		at.Store(&entry[K, V]{key, hash, value})
		return
	}
}

// rebuild copies the entries that count into a table where they take between a
// quarter and a half of the cells.
func (x *index[K, V]) rebuild() {
	cells := make([]atomic.Pointer[entry[K, V]], max(8, 1<<bits.Len(uint(x.live*2))))
	if p := x.cells.Load(); p != nil {
		for i := range *p {
			e := (*p)[i].Load()
			if e == nil || e.value == nil {
				continue
			}
			at := e.hash
			for cells[at&uint64(len(cells)-1)].Load() != nil {
				at++
			}
			cells[at&uint64(len(cells)-1)].Store(e)
		}
	}
	x.used = x.live
	x.cells.Store(&cells)
}

// mix spreads the bits of x (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// SPITable finds a value by the SPI of an inbound SA, in constant time. Reads
// may run beside each other and beside one writer.
type SPITable[T any] struct{ x index[sa.SPI, T] }

// Find returns the value for spi; nil where there is none.
func (t *SPITable[T]) Find(spi sa.SPI) *T { return t.x.get(mix(uint64(spi)), spi) }

// Set stores v for spi; nil takes it away.
func (t *SPITable[T]) Set(spi sa.SPI, v *T) { t.x.set(mix(uint64(spi)), spi, v) }
