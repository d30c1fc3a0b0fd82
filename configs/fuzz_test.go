package configs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// FuzzLoad reads arbitrary text as a system file and as the file of a context.
// Nothing panics; what is accepted has a fingerprint; what is refused has a
// reason; and formatting is stable.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"reference/*.hcl", "contract/*.hcl", "contract/pair/*.hcl",
		"contract/next/*.hcl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	for _, s := range []string{
		"", "\xff", "a", "a {", "a {}\n", `interface "x" { address = [` + strings.Repeat("[", 99),
		"a = " + strings.Repeat("!", 999) + "true\n",
		"dataplane { mtu = 1e999999999 }\n", "dataplane { mtu = -0 }\n",
		"route \"::/0\" {\n interface = <<A\nx\nA\n}\n",
		"class \"x\" {\n limits {\n cpu = 1e-400\n memory = \"99999999TiB\"\n }\n}\n",
		"ip_pool \"p\" { range = \"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\" }\n",
		"system { name = null }\n", "interface null {}\n", "ikev2 { nat_keepalive = [for x in [1]: x] }\n",
		"\ufeffsystem {}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		tree := fstest.MapFS{
			"system.hcl":  &fstest.MapFile{Data: []byte(baseSystem)},
			"context.hcl": &fstest.MapFile{Data: src},
			"fuzz.hcl":    &fstest.MapFile{Data: src},
		}
		for _, file := range []string{"system.hcl", "fuzz.hcl"} {
			sys, diags := Load(FSLoader{FS: tree}, file, machine)
			if (sys == nil) != diags.HasErrors() || (diags.Err() != nil) != diags.HasErrors() {
				t.Fatalf("result %v, errors %v", sys, diags.Err())
			}
			if err := diags.Write(io.Discard, 80, true); err != nil {
				t.Fatal(err)
			}
			if sys == nil {
				continue
			}
			for _, c := range sys.Contexts {
				Fingerprint(c.Spec, []byte("key"))
			}
		}
		once, diags := Format("fuzz.hcl", src)
		if diags.HasErrors() {
			return
		}
		if twice, _ := Format("fuzz.hcl", once); !bytes.Equal(once, twice) {
			t.Errorf("formatting again changes the text:\n%q\n%q", once, twice)
		}
	})
}

// FuzzMask puts a secret into arbitrary surroundings: whatever the text, the
// report does not show it.
func FuzzMask(f *testing.F) {
	f.Add("tunnel_group \"a\" {\n ikev2 {\n", "pre_shared_key = ", "\n}\n}\n")
	f.Add("x = { ", "pre_shared_key = ", " }")
	f.Add("", "local_authentication = { pre_shared_key = ", " } }")
	f.Add("failover { ", "key = ", "")
	f.Fuzz(func(t *testing.T, before, name, after string) {
		const secret = "hunter2"
		src := before + "\n" + "pre_shared_key = \"" + secret + "\"\n" + after
		if strings.Contains(before+after, secret) || strings.Contains(before, "<<") ||
			strings.Count(before, `"`)%2 != 0 ||
			strings.ContainsAny(before, "#/*\\${%") {
			return // the secret may be a comment or a part of another text there
		}
		masked := mask([]byte(src), "x")
		if len(masked) != len(src) {
			t.Fatalf("%d bytes became %d", len(src), len(masked))
		}
		if bytes.Contains(masked, []byte(secret)) {
			t.Errorf("%q is masked as %q", src, masked)
		}
	})
}
