package worker

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

// FuzzBoot reads boot messages: what is accepted has a tenant and its secrets,
// and descriptors that were announced and did not come are an error.
func FuzzBoot(f *testing.F) {
	for _, boot := range []control.Boot{
		{Version: control.Version, Tenant: gatewayTenant(4), Secrets: [][]byte{[]byte("ours"), []byte("theirs")}},
		{Version: control.Version, Tenant: clientTenant("198.51.100.2", "alice@example"), Descriptors: []control.Descriptor{{Kind: control.DescriptorTUN}}},
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
		engineConfig(boot.Tenant)
		if _, err := assemble(boot, &pipe.Request{}); err == nil && len(boot.Descriptors) > 0 {
			t.Error("descriptors that did not come were found")
		}
	})
}

// FuzzEntries reads journal entries, also those that a broken worker left behind:
// what is accepted is written as it was read.
func FuzzEntries(f *testing.F) {
	for _, b := range entries {
		f.Add(b)
	}
	f.Add(appendBatch(nil, entries))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := parseEntries(b); err == nil && len(all) == 0 {
			t.Error("an entry of nothing was accepted")
		}
		e, err := parseEntry(b)
		switch {
		case err != nil || e.lost != nil:
		case e.record != nil:
			again, err := parseEntry(e.encode())
			if err != nil || again.record == nil || again.record.Kind != e.record.Kind {
				t.Errorf("the record cannot be read again: %v", err)
			}
		default:
			if got := e.encode(); !bytes.Equal(got, b) {
				t.Errorf("got %x, want %x", got, b)
			}
		}
	})
}
