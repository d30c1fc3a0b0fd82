package configs

import (
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	got, diags := Format("x.hcl", []byte("system{\nname=\"a\" # why\n  state_dir = \"/s\"\n}\n"))
	const want = "system {\n  name      = \"a\" # why\n  state_dir = \"/s\"\n}\n"
	if string(got) != want || len(diags.All()) > 0 {
		t.Errorf("got:\n%s%v", got, diags.Err())
	}
	got, diags = Format("x.hcl", []byte("a {\n  key = \"hunter2\" \"hunter2\"\n"))
	if text := report(t, diags); got != nil || !diags.HasErrors() || strings.Contains(text, "hunter2") ||
		!strings.Contains(text, "x.hcl:2") {
		t.Errorf("got %q and\n%s", got, text)
	}
}

func TestParseSizeAndDuration(t *testing.T) {
	for text, want := range map[string]float64{"256MiB": 256 << 20, "4 GiB": 4 << 30, "1kB": 1000, "7B": 7, "0B": 0,
		"7": -1, "-1MiB": -1, "1.5MiB": -1, "MiB": -1, "99999999TiB": -1, "": -1} {
		got, ok := parseSize(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("parseSize(%q) = %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]string{"1d": "24h", "90s": "1m30s", "30d": "30d", "8h": "8h", "x": "error",
		"-1d": "error", "1": "error", "99999999999d": "error"} {
		got := "error"
		if d, err := parseDuration(text); err == nil {
			got = short(d)
		}
		if got != want {
			t.Errorf("duration %q = %s, want %s", text, got, want)
		}
	}
}

// TestCheckSyntax: what does not parse is told, and what has no meaning is not.
func TestCheckSyntax(t *testing.T) {
	for text, want := range map[string]string{
		"nonsense = 1\n":         "",
		"interface \"x\" {\n":    "x.hcl:1: ",
		"\xff":                   "x.hcl:1: Not a text file",
		"<html>\n":               "x.hcl:1: ",
		strings.Repeat("[", 100): "x.hcl:1: Nested too deeply",
	} {
		if got := CheckSyntax("x.hcl", []byte(text)); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
}
