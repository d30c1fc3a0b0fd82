//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestKeysOfIdentities has two clients, each with a key of its own: with the key of
// the other one nobody is let in.
func TestKeysOfIdentities(t *testing.T) {
	t.Parallel()
	_, n, w := start(t, replace(t, "blue.hcl",
		`remote_authentication = { pre_shared_key = "blue-client-key" }`,
		`remote_authentication = {
      pre_shared_keys = { "alice@blue.example" = "only alice has this key", "bob@blue.example" = "hex:626f623a20616e206f6e6c79206b6579" }
    }`))
	for _, tt := range []struct {
		name, id, key string
		up            bool
	}{
		{"alice", "alice@blue.example", "only alice has this key", true},
		{"bob, with bytes in hexadecimal", "bob@blue.example", "bob: an only key", true},
		{"alice as bob", "bob@blue.example", "only alice has this key", false},
		{"nobody", "carol@blue.example", "only alice has this key", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := n.Blue.Conn()
			conn.LocalID, conn.LocalPSK = tt.id, tt.key
			s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
			defer s.Stop()
			err := s.Initiate("blue", 5*time.Second)
			if (err == nil) != tt.up {
				t.Errorf("connected: %v, want %v", err, tt.up)
			}
			if tt.up {
				n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
			} else {
				wantNotify(t, s, "AUTH_FAILED|AUTHENTICATION_FAILED")
				wantLog(t, w, "level=WARN", tt.id, "AUTHENTICATION_FAILED")
			}
		})
	}
}

// TestIdentityTypes has a client of every type of identity, each named in full
// in the configuration, and one more that is not.
func TestIdentityTypes(t *testing.T) {
	t.Parallel()
	identities := []struct{ ours, theirs string }{
		{"198.51.100.2", "198.51.100.2"},
		{"2001:db8::2", "2001:db8::2"},
		{"laptop.blue.example", "laptop.blue.example"},
		{"carol@blue.example", "carol@blue.example"},
		{"keyid:carol", "keyid:carol"},
		{"keyid:#00ff0102", "@#00ff0102"},
		{"asn1dn:CN=carol,O=Blue,C=CH", "C=CH, O=Blue, CN=carol"},
	}
	var names []string
	for _, id := range identities {
		names = append(names, fmt.Sprintf("%q", id.ours))
	}
	_, n, w := start(t, replace(t, "blue.hcl",
		`local_identity        = "gw.blue.example"`,
		`local_identity        = "gw.blue.example"`+"\n    remote_identity       = ["+strings.Join(names, ", ")+"]"))
	for _, id := range identities {
		t.Run(id.ours, func(t *testing.T) {
			conn := n.Blue.Conn()
			conn.LocalID = id.theirs
			s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
			defer s.Stop()
			s.MustInitiate("blue")
			if sa := w.WaitSAs("blue", 1)[0]; sa.RemoteID != id.ours {
				t.Errorf("the gateway shows %q, want %q", sa.RemoteID, id.ours)
			}
			if err := s.Terminate("blue"); err != nil {
				t.Error(err)
			}
			w.WaitSAs("blue", 0)
		})
	}
	conn := n.Blue.Conn()
	conn.LocalID = "keyid:dave"
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	if s.Initiate("blue", 5*time.Second) == nil {
		t.Error("an identity that is not named is let in")
	}
	wantLog(t, w, "level=WARN", "keyid:dave", "AUTHENTICATION_FAILED")
}
