package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// baseSystem is the system file of cases that have none: one context whose
// file is context.hcl.
const baseSystem = `system {}
interface "Ethernet1/1" { device = "eth1" }
interface "Ethernet1/2" { device = "eth2" }
context "blue" {
  config_url = "file:context.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
  allocate_interface "Ethernet1/2" { name = "inside" }
}
`

// archive is a file of sections "-- name --".
type archive struct {
	names []string
	files map[string]string
}

func readArchive(t *testing.T, file string) archive {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := archive{files: map[string]string{}}
	name := ""
	for line := range strings.Lines(string(b)) {
		if inner, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(inner, " --\n") {
			name = strings.TrimSuffix(inner, " --\n")
			a.names = append(a.names, name)
			a.files[name] = ""
			continue
		}
		a.files[name] += line
	}
	return a
}

func (a archive) write(t *testing.T, file string) {
	t.Helper()
	var out strings.Builder
	out.WriteString(a.files[""])
	for _, name := range a.names {
		out.WriteString("-- " + name + " --\n" + a.files[name])
	}
	if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCases loads every case below testdata. Those of invalid have a section
// "want" with what the operator reads; those of valid one with the warnings
// and the whole result. No section shows a secret.
func TestCases(t *testing.T) {
	for _, kind := range []string{"invalid", "valid"} {
		files, err := filepath.Glob("testdata/" + kind + "/*.txt")
		if err != nil || len(files) == 0 {
			t.Fatalf("no cases: %v", err)
		}
		for _, file := range files {
			t.Run(kind+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
				a := readArchive(t, file)
				sources := map[string]string{"system.hcl": baseSystem}
				for name, text := range a.files {
					if name != "want" && name != "" {
						sources[name] = text
					}
				}
				sys, diags := load(t, sources, "system.hcl")
				if diags.HasErrors() == (kind == "valid") || diags.HasErrors() == (sys != nil) {
					t.Fatalf("errors: %v, result: %v\n%s", diags.HasErrors(), sys != nil, report(t, diags))
				}
				got := strings.TrimRight(report(t, diags), "\n") + "\n"
				if strings.Contains(got, "hunter2") {
					t.Errorf("a secret is in the report:\n%s", got)
				}
				if sys != nil {
					got += dump(sys)
				}
				if *update {
					if _, ok := a.files["want"]; !ok {
						a.names = append(a.names, "want")
					}
					a.files["want"] = got
					a.write(t, file)
				}
				if want := a.files["want"]; got != want {
					t.Errorf("want:\n%s\ngot:\n%s", want, got)
				}
			})
		}
	}
}
