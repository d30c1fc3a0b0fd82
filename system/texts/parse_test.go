package texts

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/configs"
)

// TestParse: a configuration comes back as it was written.
func TestParse(t *testing.T) {
	want := &Set{Path: "/etc/system.hcl", Left: []string{"red"}, List: []Text{
		{At: configs.Location{Scheme: configs.SchemeFile, Path: "/etc/system.hcl"}, Body: []byte("system {}\n"),
			Config: true},
		{At: configs.Location{Scheme: configs.SchemeDisk, Path: "/key", Context: "blue", Root: "/var/x"},
			Body: []byte{0, 255}, Contexts: []string{"blue", "green"}},
		{At: configs.Location{Scheme: SchemeEnv, Path: "X"},
			Body: []byte(strings.Repeat("x", configs.MaxFileSize))},
	}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// TestParseBounds: what claims more than a configuration has is refused.
func TestParseBounds(t *testing.T) {
	many := func(one string, n int) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for name, text := range map[string]string{
		"texts":     `{"List":[` + many(`{}`, maxTexts+1) + `]}`,
		"contexts":  `{"List":[{"Contexts":[` + many(`""`, maxContexts+1) + `]}]}`,
		"left":      `{"Left":[` + many(`""`, maxContexts+1) + `]}`,
		"a text":    `{"List":[{"Body":"` + base64.StdEncoding.EncodeToString(make([]byte, configs.MaxFileSize+1)) + `"}]}`,
		"no list":   `{"List":{}}`,
		"no object": `7`,
		"cut short": `{"List":[{}`,
		"too long":  `{"Path":"` + strings.Repeat("x", MaxJSON) + `"}`,
	} {
		if got, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: got %.100q", name, got.Path)
		}
	}
	for _, text := range []string{`{}`, `{"List":null,"Left":null}`, `{"List":[` + many(`{}`, maxTexts) + `]}`} {
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}

// FuzzParse: whatever is parsed has no more than it may, and comes back when it is written.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"Path":"/etc/system.hcl","List":[{"At":{"Scheme":"file"},"Body":"AA=="}],"Left":["red"]}`))
	f.Add([]byte(`{"List":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(b)
		if err != nil {
			return
		}
		if len(got.List) > maxTexts || len(got.Left) > maxContexts {
			t.Fatalf("%d texts, %d contexts", len(got.List), len(got.Left))
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(again)
		if err != nil || back.Digest() != got.Digest() {
			t.Errorf("%s: %v", again, err)
		}
	})
}
