package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestCannotBePrinted(t *testing.T) {
	const text = "correct horse battery staple"
	type holder struct {
		Public  Value
		private Value
	}
	v := Copy([]byte(text))
	h := holder{v, v}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", v, h, &h)
	}
	fmt.Fprintln(&out, v, h, []Value{v}, map[string]Value{"k": v})
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v, "h", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v, "h", h)
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)

	for _, leak := range []string{text, "correct", fmt.Sprintf("%x", text[:4]),
		fmt.Sprintf("%d %d", text[0], text[1])} {
		if strings.Contains(strings.ToLower(out.String()), leak) {
			t.Errorf("%q leaked in:\n%s", leak, out.String())
		}
	}
}

func TestClearReachesCopies(t *testing.T) {
	b := []byte("key")
	v := New(b)
	w := v
	v.Clear()
	if w.Len() != 0 || !bytes.Equal(b, make([]byte, 3)) {
		t.Errorf("after Clear: copy holds %d bytes, memory % x", w.Len(), b)
	}
	Value{}.Clear()
}

func TestEqual(t *testing.T) {
	if !Copy([]byte("a")).Equal(Copy([]byte("a"))) || Copy([]byte("a")).Equal(Copy([]byte("b"))) {
		t.Error("Equal is wrong")
	}
}

// TestNewIsOneObject: an SA has a dozen keys, and a set-up makes twice as many.
func TestNewIsOneObject(t *testing.T) {
	b := []byte("key")
	var v Value
	if n := testing.AllocsPerRun(100, func() { v = New(b) }); n != 1 {
		t.Errorf("a Value is made of %v objects", n)
	}
	if string(v.Reveal()) != "key" {
		t.Errorf("revealed: %q", v.Reveal())
	}
}
