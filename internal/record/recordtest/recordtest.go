// Package recordtest keeps what programs have written, so that later ones are tested
// with it: a journal outlives the program that wrote it, and the nodes of a pair are
// upgraded one after the other.
package recordtest

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "add what is written otherwise now to testdata/records.txt and memory.txt")

// Sample is a record as it is written today. Its name has no spaces.
type Sample struct {
	Name  string
	Bytes []byte
}

// Read tests that read accepts all that testdata/records.txt holds, and that the last
// record of each name there is what is written today. A record that is written
// otherwise now is added to the file with -update; none is taken out before no
// neighbouring version writes it any more.
func Read(t *testing.T, samples []Sample, read func(b []byte) error) {
	t.Helper()
	check(t, "testdata/records.txt", samples, read)
}

// Memory does the same for testdata/memory.txt, which holds images of the memory that a
// worker leaves to the next one, without the zeros at their end.
func Memory(t *testing.T, samples []Sample, read func(b []byte) error) {
	t.Helper()
	check(t, "testdata/memory.txt", samples, read)
}

// check is Read for the file at path, which is relative to the package that is tested.
func check(t *testing.T, path string, samples []Sample, read func(b []byte) error) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	newest := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %s: %v", path, name, err)
		}
		if err := read(b); err != nil {
			t.Errorf("%s as an older program wrote it: %v\n% x", name, err, b)
		}
		newest[name] = b
	}
	for _, s := range samples {
		switch {
		case bytes.Equal(newest[s.Name], s.Bytes):
		case *update:
			text = append(text, s.Name+" "+hex.EncodeToString(s.Bytes)+"\n"...)
		default:
			t.Errorf("%s is written otherwise now (-update adds it to %s):\n% x, was\n% x", s.Name, path, s.Bytes,
				newest[s.Name])
		}
	}
	if !*update {
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
