package stats

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Count is what one counter has counted.
type Count struct {
	N     uint64 // in the unit of its row
	Bytes uint64 // where the row has a BytesKey
}

// Counts are all counters at one time, by Counter.
type Counts [Number]Count

// Sum returns the number that all of these counters have counted together.
func (c Counts) Sum(of ...Counter) (n uint64) {
	for _, x := range of {
		n += c[x].N
	}
	return n
}

// String lists what is not zero, as "drop_replay=3 drop_replay_bytes=360".
func (c Counts) String() string {
	var b strings.Builder
	c.each(func(key string, n *uint64) {
		if *n == 0 {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%d", key, *n)
	})
	return b.String()
}

// AppendJSON appends the members of an object, a key and a number for each
// counter, without braces: they stand beside other members.
func (c Counts) AppendJSON(b []byte) []byte {
	first := true
	c.each(func(key string, n *uint64) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(strconv.AppendQuote(b, key), ':')
		b = strconv.AppendUint(b, *n, 10)
	})
	return b
}

// Decode reads the value of one member of an object from d, and reports false
// where no counter has this key; then it has read nothing.
func (c *Counts) Decode(d *json.Decoder, key string) (found bool, err error) {
	n := c.number(key)
	if n == nil {
		return false, nil
	}
	return true, d.Decode(n)
}

// number returns the number that a key names; nil where there is none.
func (c *Counts) number(key string) *uint64 {
	for i := range table {
		r := &table[i]
		switch {
		case r.Key == key:
			return &c[r.Counter].N
		case r.BytesKey == key && key != "":
			return &c[r.Counter].Bytes
		}
	}
	return nil
}

// each calls fn for every number with its key, in the order of the constants.
func (c *Counts) each(fn func(key string, n *uint64)) {
	for i, r := range rowOf {
		fn(r.Key, &c[i].N)
		if r.BytesKey != "" {
			fn(r.BytesKey, &c[i].Bytes)
		}
	}
}

// Describe calls fn for the key of every number, in the order of AppendJSON, with
// what the number is.
func (c Counts) Describe(fn func(key, about string)) {
	for _, r := range rowOf {
		kind := string(r.Unit)
		if r.Dropped {
			kind = "dropped " + kind
		}
		fn(r.Key, fmt.Sprintf("%s, %s: %s", kind, r.Direction, r.Help))
		if r.BytesKey != "" {
			fn(r.BytesKey, "bytes of "+r.Key)
		}
	}
}
