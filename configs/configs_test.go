package configs

import (
	"bytes"
	"errors"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// machine is the size of the machine in the tests.
var machine = Machine{Cores: 4, Memory: 8 << 30}

// load loads a configuration of several files, given by path.
func load(t *testing.T, files map[string]string, file string) (*System, *Diagnostics) {
	t.Helper()
	tree, web := fstest.MapFS{}, map[string]string{}
	for name, text := range files {
		if strings.HasPrefix(name, "https:") {
			web[name] = text
			continue
		}
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	env := func(name string) (string, bool) {
		if name == "WARREN_TEST_PSK" {
			return "from the environment", true
		}
		return "", false
	}
	return Load(withWeb{FSLoader{FS: tree, Env: env}, web}, file, machine)
}

// withWeb adds what servers have, by URL.
type withWeb struct {
	FSLoader
	web map[string]string
}

func (l withWeb) ReadFile(at Location) ([]byte, error) {
	if at.Scheme != SchemeHTTPS {
		return l.FSLoader.ReadFile(at)
	}
	text, ok := l.web[at.Path]
	if !ok {
		return nil, errors.New("the server is away")
	}
	return []byte(text), nil
}

// report is what an operator reads.
func report(t *testing.T, d *Diagnostics) string {
	t.Helper()
	var out bytes.Buffer
	if err := d.Write(&out, 100, false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestContract: the configurations that users rely on are accepted as they stand;
// and so are those that stand beside the tree, where somebody has put them there.
func TestContract(t *testing.T) {
	for _, dir := range []string{"contract", "../../shared/contract"} {
		if _, err := os.Stat(dir); err != nil && dir != "contract" {
			continue // our own were tested
		}
		for _, file := range []string{"system.hcl", "pair/system-a.hcl", "pair/system-b.hcl", "next/system.hcl"} {
			t.Run(path.Join(path.Base(path.Dir(dir)), file), func(t *testing.T) {
				l := withKeys{FSLoader{FS: os.DirFS(dir)}}
				sys, diags := Load(l, file, machine)
				if diags.HasErrors() {
					t.Fatalf("not accepted as it stands:\n%s", report(t, diags))
				}
				golden(t, "testdata/contract/"+file+".golden", dump(sys))
			})
		}
	}
}

// withKeys adds the secrets that the contract's files name. The system file of
// the directory next is always our own: it has those words that are in
// the language, and a context's file beside it may come from elsewhere.
type withKeys struct{ FSLoader }

func (l withKeys) ReadFile(at Location) ([]byte, error) {
	switch {
	case at.Path == "next/failover.key":
		return []byte("hex:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"), nil
	case path.Base(at.Path) == "failover.key":
		return []byte("sixteen or more characters\n"), nil
	case path.Base(at.Path) == "bob.psk":
		return []byte("a key that only bob has\n"), nil
	case at.Path == "next/system.hcl":
		return os.ReadFile("contract/next/system.hcl")
	}
	return l.FSLoader.ReadFile(at)
}

// golden compares with a file; with -update it writes the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
