package configs

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestReadableSecrets: a file with a secret in it that everybody can read is
// warned about, once, whether it is one of keys or of the language.
func TestReadableSecrets(t *testing.T) {
	tenant := func(psk string) string {
		return fmt.Sprintf(`
tunnel_group "a" {
  type = "site-to-site"
  ikev2 {
    local_authentication  = { pre_shared_key = %[1]s }
    remote_authentication = { pre_shared_key = %[1]s }
  }
}
`, psk)
	}
	for _, tt := range []struct {
		name, psk string
		modes     map[string]fs.FileMode
		want      []string
	}{
		{"a file for its owner", `{ file = "a.psk" }`, map[string]fs.FileMode{"a.psk": 0o600, "context.hcl": 0o644},
			nil},
		{"a file for a group", `{ file = "a.psk" }`, map[string]fs.FileMode{"a.psk": 0o640}, nil},
		{"a file for everybody", `{ file = "a.psk" }`, map[string]fs.FileMode{"a.psk": 0o644},
			[]string{"a.psk has a secret in it, and its mode is 0644"}},
		{"text in a file for everybody", `"a secret of some length"`, map[string]fs.FileMode{"context.hcl": 0o664},
			[]string{"context.hcl has a secret in it, and its mode is 0664"}},
		{"text in a file for its owner", `"a secret of some length"`,
			map[string]fs.FileMode{"context.hcl": 0o600, "a.psk": 0o644}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, text := range map[string]string{"system.hcl": baseSystem, "context.hcl": tenant(tt.psk),
				"a.psk": "a secret of some length\n"} {
				files[name] = &fstest.MapFile{Data: []byte(text), Mode: tt.modes[name]}
			}
			_, diags := Load(FSLoader{FS: files}, "system.hcl", machine)
			var got []string
			for _, d := range diags.All() {
				if d.Summary == "Secret that everybody can read" {
					got = append(got, d.Detail[:strings.Index(d.Detail, ":")])
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFailoverKey: 32 bytes in hexadecimal are the key; text is made harder to
// guess, the same on both nodes, and warned about.
func TestFailoverKey(t *testing.T) {
	for _, tt := range []struct{ name, text, want, key string }{
		{"random", "hex:" + strings.Repeat("0f", 32) + "\n", "", strings.Repeat("0f", 32)},
		{"text", "sixteen or more characters\n", "warning: Failover key that can be guessed", "32 bytes"},
		{"short text", "sixteen\n", "error: Secret of wrong length", ""},
		{"too few bytes", "hex:" + strings.Repeat("0f", 31) + "\n", "error: Secret of wrong length", ""},
		{"too many bytes", "hex:" + strings.Repeat("0f", 33) + "\n", "error: Secret of wrong length", ""},
		{"no bytes", "hex:0\n", "error: Secret is not hexadecimal", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			load := func(unit string) (*System, string) {
				sys, diags := load(t, map[string]string{"failover.key": tt.text, "system.hcl": fmt.Sprintf(`
interface "Ethernet0/9" { device = "eth9" }
failover {
  unit = %q
  key  = { file = "failover.key" }
  link "direct" {
    interface = "Ethernet0/9"
    address   = "192.168.255.1/30"
    peer      = "192.168.255.2"
  }
}
`, unit)}, "system.hcl")
				return sys, report(t, diags)
			}
			sys, got := load("primary")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %q", got, tt.want)
			}
			if tt.want != "" && !strings.Contains(got, "hexadecimal") &&
				!strings.Contains(got, "warren failover keygen") {
				t.Errorf("no remedy in %s", got)
			}
			if sys == nil {
				return
			}
			key := fmt.Sprintf("%x", sys.Failover.Key.Reveal())
			if tt.key == "32 bytes" && len(key) == 64 {
				tt.key = key
			}
			if other, _ := load("secondary"); key != tt.key || fmt.Sprintf("%x", other.Failover.Key.Reveal()) != key {
				t.Errorf("key %s", key)
			}
		})
	}
}

// TestUnseenSigns: what an editor adds to a file of a key, and does not show, is
// told.
func TestUnseenSigns(t *testing.T) {
	for text, want := range map[string]bool{
		"key": false, "key\n": false, "key\r\n": false, "\ufeffkey\n": true, "key\n\n": true, " key\n": true,
		"key \n": true, "a\nb\n": true, "\xff\n": false,
	} {
		content := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
		if got := hasUnseen([]byte(content)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
