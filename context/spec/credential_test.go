package spec

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/ike/identity"
)

// TestTunnelGroupInJSON: a tunnel group is the same in another process, whatever proves
// its sides.
func TestTunnelGroupInJSON(t *testing.T) {
	keys := PSKs{{identity.MustParse("alice@example"), 2}, {identity.MustParse("asn1dn:CN=bob"), 3}}
	for name, g := range map[string]TunnelGroup{
		"nothing": {Name: "a", Type: SiteToSite},
		"keys": {Name: "a", Local: PSK{1}, Remote: PSK{2}, LocalIdentity: identity.MustParse("gw.example"),
			RemoteIdentities: []identity.Pattern{identity.MustParsePattern("*.example"),
				identity.MustParsePattern("asn1dn:CN=*,O=Example")}},
		"certificates": {Name: "a", Local: Certificate{"gateway"}, Remote: Certificate{"clients"}, RSASHA1: true},
		"EAP": {Name: "a", Local: Certificate{"gateway"}, AuthenticationServers: LocalUsers,
			Remote: EAP{QueryIdentity: true, Methods: []EAPMethod{EAPMSCHAPv2, EAPGTC}}},
		"a key of each": {Name: "a", Local: PSK{1}, Remote: keys},
	} {
		b, err := json.Marshal(g)
		var back TunnelGroup
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(g, back); diff != "" {
			t.Errorf("%s: %s\n(-want +got):\n%s", name, b, diff)
		}
	}
	if b, err := json.Marshal(TunnelGroup{Local: keys}); err == nil {
		t.Errorf("a gateway with keys of single identities: %s", b)
	}
	if b, err := json.Marshal(TunnelGroup{Local: EAP{}}); err == nil {
		t.Errorf("a gateway that logs in: %s", b)
	}
	var g TunnelGroup
	for _, text := range []string{`{"RemotePSK":1,"RemotePSKs":[]}`, `{"LocalIdentity":"two words"}`,
		`{"LocalPSK":"x"}`, `{"RemotePSK":1,"RemoteTrustpoint":"a"}`, `{"LocalPSK":1,"LocalTrustpoint":"a"}`,
		`{"RemotePSK":1,"RemoteEAP":{}}`} {
		if err := json.Unmarshal([]byte(text), &g); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}
