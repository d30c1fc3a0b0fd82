package worker

import (
	"encoding/json"
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

// FuzzBoot reads boot messages: what is accepted has a tenant and its secrets,
// and descriptors that were announced and did not come are an error.
func FuzzBoot(f *testing.F) {
	for _, boot := range []control.Boot{
		{Version: control.Version, Configuration: control.Configuration{Tenant: gatewayTenant(4),
			Secrets: [][]byte{[]byte("ours"), []byte("theirs")}}},
		{Version: control.Version,
			Configuration: control.Configuration{Tenant: clientTenant("198.51.100.2", "alice@example")},
			Descriptors:   []control.Descriptor{{Kind: control.DescriptorTUN}}},
		{Version: control.Version + 1},
	} {
		b, err := json.Marshal(boot)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		boot, err := parseBoot(body)
		if err != nil {
			return
		}
		if boot.Tenant == nil || boot.Version != control.Version || len(boot.Tenant.Secrets) < len(boot.Secrets) {
			t.Errorf("accepted: %+v", boot)
		}
		_, _ = engineConfig(boot.Tenant)
		if _, err := assemble(boot, &pipe.Request{}); err == nil && len(boot.Descriptors) > 0 {
			t.Error("descriptors that did not come were found")
		}
	})
}
