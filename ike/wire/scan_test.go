package wire

import (
	"fmt"
	"testing"
)

func TestScan(t *testing.T) {
	b := unhex(t, saInit)
	scan := func(b []byte, most int) (string, bool) {
		got := ""
		ok := Scan(b, func(t PayloadType, body []byte) bool {
			got += fmt.Sprintf("%v %d; ", t, len(body))
			most--
			return most > 0
		})
		return got, ok
	}
	if got, ok := scan(b, 99); got != "SA 36; KE 68; nonce 32; N 24; N 24; N 12; " || !ok {
		t.Errorf("got %s, %v", got, ok)
	}
	if got, ok := scan(b, 2); got != "SA 36; KE 68; " || !ok {
		t.Errorf("stopped after two: got %s, %v", got, ok)
	}
	for n := range b {
		if _, ok := scan(b[:n], 99); ok {
			t.Errorf("prefix of %d bytes is well formed", n)
		}
	}
	if _, ok := scan(append(b, 0), 99); ok {
		t.Error("a byte after the end was accepted")
	}
	many := AppendMessage(nil, Header{}, make([]Payload, 0)...)
	for range MaxPayloads + 1 {
		many = append(many, 43, 0, 0, 4)
	}
	many[16] = 43
	if _, ok := scan(many, 999); ok {
		t.Error("too many payloads were accepted")
	}
	if n := testing.AllocsPerRun(100, func() { Scan(b, func(PayloadType, []byte) bool { return true }) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzScan agrees with the parser on every message that this accepts.
func FuzzScan(f *testing.F) {
	f.Add(unhex(f, saInit))
	f.Add(unhex(f, skDelete))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		ok := Scan(b, func(PayloadType, []byte) bool { n++; return true })
		m, err := ParseMessage(b)
		if err != nil || m.Payloads.Count(TypeSK)+m.Payloads.Count(TypeSKF) > 0 {
			return
		}
		if !ok || n != len(m.Payloads) {
			t.Fatalf("%d payloads, %v; the parser finds %d", n, ok, len(m.Payloads))
		}
	})
}
