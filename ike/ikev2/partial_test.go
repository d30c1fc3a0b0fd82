package ikev2

import "testing"

// TestPartialsAreBounded: however many messages are half-sent, they take no more memory
// than maxPartials, the oldest give way first, and what is forgotten is not counted.
func TestPartialsAreBounded(t *testing.T) {
	v := &Version{}
	var all []*SA
	for range 2000 {
		s := &SA{host: v}
		all = append(all, s)
		p := &partial{sa: s, parts: make([][]byte, 9), missing: 9}
		*s.partialOf(false) = p
		v.partials.add(p)
		for n := range 8 {
			p.keep(n, 0, make([]byte, 1000))
		}
		v.dropCrowded()
		if v.partials.size > maxPartials {
			t.Fatalf("%d bytes are kept", v.partials.size)
		}
	}
	kept := 0
	for i, s := range all {
		if s.partial[0] != nil {
			kept++
		} else if i > 0 && all[i-1].partial[0] != nil {
			t.Fatalf("number %d is forgotten, the one before is not", i)
		}
	}
	if kept < maxPartials/10000 || kept != v.partials.oldest.Len() {
		t.Errorf("%d of %d are kept, %d are listed", kept, len(all), v.partials.oldest.Len())
	}
	for _, s := range all {
		fragments{s}.drop(false)
		fragments{s}.drop(true)
	}
	if v.partials.size != 0 || v.partials.oldest.Len() != 0 {
		t.Errorf("%d bytes of nothing", v.partials.size)
	}
}
