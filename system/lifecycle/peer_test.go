package lifecycle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPeerWritesOnlyItsContexts: the peer's supervisor may write what the contexts
// that follow it are configured with, and nothing else of the host.
func TestPeerWritesOnlyItsContexts(t *testing.T) {
	const pairBlock = `
interface "Ethernet0/9" { device = "wt-fo" }
failover {
  unit = "secondary"
  key  = { file = "failover.key" }
  link "direct" {
    interface = "Ethernet0/9"
    address   = "192.168.255.2/30"
    peer      = "192.168.255.1"
  }
}
`
	naming := func(file string) string {
		return strings.Replace(rigTenant, `"the gateway's own key"`, `{ file = "`+file+`" }`, 1)
	}
	outside := filepath.Join(t.TempDir(), "cron")
	if err := os.WriteFile(outside, []byte("a file of the host, long enough\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const secret = "a pre-shared key of some length\n"
	blue := func(name, body string) PeerFile {
		return PeerFile{Context: "blue", Name: name, Content: []byte(body)}
	}
	config := func(body string) PeerFile {
		return PeerFile{Context: "blue", Name: "blue.hcl", Config: true, Content: []byte(body)}
	}
	tests := []struct {
		name  string
		files []PeerFile
		want  string // of the refusal; "": it is taken
	}{
		{"a secret that it has", []PeerFile{blue("blue.psk", secret)}, ""},
		{"a secret that is new", []PeerFile{config(naming("new.psk")), blue("new.psk", secret)}, ""},
		{"nothing reads it", []PeerFile{blue("stray.psk", secret)}, "does not read it"},
		{"the system file", []PeerFile{blue("system.hcl", "name = \"other\"\n")}, "the system itself reads it"},
		{"the system file, named as a secret", []PeerFile{config(naming("system.hcl")), blue("system.hcl", secret)},
			"the system itself reads it"},
		{"the failover key", []PeerFile{config(naming("failover.key")), blue("failover.key", secret)},
			"the system itself reads it"},
		{"the failover key by another name", []PeerFile{config(naming("same/failover.key")),
			blue("same/failover.key", secret)}, "another name of"},
		{"a file of the host", []PeerFile{config(naming(outside)), blue(outside, secret)}, "not below the directory"},
		{"a file of the host through a link", []PeerFile{config(naming("link")), blue("link", secret)},
			"not below the directory"},
		{"what an active context reads", []PeerFile{config(naming("red.psk")), blue("red.psk", secret)},
			"active on this unit"},
		{"the configuration of an active context", []PeerFile{config(naming("red.hcl")), blue("red.hcl", secret)},
			"active on this unit"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			r := &rig{t: t, dir: t.TempDir(), time: rigStart, disk: map[string]error{}}
			r.write("system.hcl", rigSystem+pairBlock)
			r.write("failover.key", "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n")
			r.write("blue.hcl", naming("blue.psk"))
			r.write("red.hcl", naming("red.psk"))
			for _, name := range []string{"blue.psk", "red.psk", "staff.psk"} {
				r.write(name, "everybody's key, long enough\n")
			}
			for name, target := range map[string]string{"link": outside, "same": "."} {
				if err := os.Symlink(target, filepath.Join(r.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			r.start()
			before := r.read("system.hcl") + r.read("failover.key") + r.read("red.hcl") + r.read("red.psk")
			r.active = map[string]bool{"red": true}
			_, err := r.TakeFiles(t.Context(), PeerFiles{Author: "root", Files: tt.files})
			switch {
			case tt.want == "":
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if r.read("system.hcl")+r.read("failover.key")+r.read("red.hcl")+r.read("red.psk") != before {
				t.Error("what is not the peer's has changed")
			}
			if b, err := os.ReadFile(outside); err != nil || strings.Contains(string(b), "pre-shared") {
				t.Errorf("the host's file has %q, %v", b, err)
			}
		})
	}
}
