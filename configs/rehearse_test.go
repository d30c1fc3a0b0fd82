package configs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRehearse: a rehearsal reads a context's file to its end, whatever is in it.
func TestRehearse(t *testing.T) {
	files, err := filepath.Glob("contract/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	files = append(files, "reference/context.hcl")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		Rehearse(text)
	}
	r := newReader(rehearsal(`ip_pool "staff" { range = "10.0.0.1-10.0.0.9" }`), Machine{Cores: 1, Memory: 1 << 30})
	s := r.readSystem(rehearsedSystem)
	if r.diags.HasErrors() || len(s.Contexts) != 1 || len(s.Contexts[0].Spec.Pools) != 1 {
		t.Errorf("a good text is read as %+v with %v", s, r.diags.Err())
	}
}

// FuzzRehearse: no text ends the process.
func FuzzRehearse(f *testing.F) {
	f.Add([]byte(`ip_pool "staff" { range = "10.0.0.1-10.0.0.9" }`))
	f.Add([]byte("interface \"outside\" { address = \"192.0.2.1/24\" }\n# pre_shared_key = \"x\"\n"))
	f.Fuzz(func(_ *testing.T, text []byte) { Rehearse(text) })
}
