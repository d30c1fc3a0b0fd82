package iketest

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var updateFlag = flag.Bool("update", false, "write what the scenarios print now into their files")

// TestScenarios plays the files of testdata, one for a section of an RFC.
func TestScenarios(t *testing.T) { PlayFiles(t, "testdata/*/*.txt", *updateFlag) }

// TestNoSecretsInScenarios: what is random or secret is a name, or nothing.
func TestNoSecretsInScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	secret := regexp.MustCompile(`[0-9a-f]{16}|key of the (client|gateway)"|\[[0-9]+ [0-9]+ `)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := secret.Find(text); found != nil {
			t.Errorf("%s: %s", name, found)
		}
	}
}

// TestPlayErrors: a file that cannot be played says in which line, and why.
func TestPlayErrors(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"start\n\nfly\n", "line 3: fly: there is no such command"},
		{"advance 1s\n", "line 1: advance 1s: this comes after start"},
		{"start\nrekey\n", `line 2: rekey: want "rekey KIND by NODE"`},
		{"start\nrekey child by client\n", "line 2: rekey child by client: it has no established IKE SA"},
		{"start\nkill stranger\n", "line 2: kill stranger: nodes are gateway and client"},
		{"configure client colour green\n", "line 1: configure client colour green: options are"},
		{"configure client dpd soon\n", `line 1: configure client dpd soon: time: invalid duration "soon"`},
		{"connect\nconfigure both dpd 1s\n", "line 2: configure both dpd 1s: this comes before start"},
		{"configure server dpd 1s\n", "line 1: configure server dpd 1s: NODE is client, gateway or both"},
		{"start\nconnect\n", "line 2: connect: both nodes are there already"},
		{"start\ndrop 1 from server\n", "line 2: drop 1 from server: nodes are gateway and client"},
		{"start\nforge nothing to gateway\n", "line 2: forge nothing to gateway: messages are"},
		{"start\nrefuse\n", `line 2: refuse: want "refuse REASON"`},
		{"connect\n", "the last commands have no ---- beneath them"},
	} {
		if _, err := Play(tt.file); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %s", tt.file, err, tt.want)
		}
	}
}

// TestPlayTwice: a scenario prints the same each time.
func TestPlayTwice(t *testing.T) {
	const file = "connect\ntakeover gateway losing 1\nrekey ike by client\nadvance 10m\n----\n"
	first, err := Play(file)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, err := Play(first); err != nil || again != first {
			t.Fatalf("got %s, %v, want %s", again, err, first)
		}
	}
}
