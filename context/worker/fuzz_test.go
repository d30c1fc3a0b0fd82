package worker

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/failover/journal"
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
	f.Add(appendCounters(nil, counterEntry{child: 7, reservation: journal.Reservation{Epoch: 1, Limit: 4096}}))
	f.Add(appendSession(nil, time.Unix(9, 0), sessionEntry{spi: 7, since: time.Unix(1, 2), bytesIn: 3, bytesOut: 4}))
	f.Add(appendHabit(nil, habitEntry{addr: netip.MustParseAddr("10.99.0.10"), identity: "alice@example"}))
	f.Add(appendHabit(nil, habitEntry{addr: netip.MustParseAddr("2001:db8::10"), identity: "asn1dn:CN=alice"}))
	f.Add([]byte{entryRecord})
	f.Add(appendBatch(nil, [][]byte{appendSession(nil, time.Unix(9, 0), sessionEntry{spi: 1}), appendCounters(nil, counterEntry{child: 7})}))
	f.Add([]byte{entryCounters, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := parseEntries(b); err == nil && len(all) == 0 {
			t.Error("an entry of nothing was accepted")
		}
		e, err := parseEntry(b)
		switch {
		case err != nil:
		case e.session != nil:
			if got := appendSession(nil, e.at, *e.session); !bytes.Equal(got, b) {
				t.Errorf("got %x, want %x", got, b)
			}
		case e.habit != nil:
			if got := appendHabit(nil, *e.habit); !bytes.Equal(got, b) {
				t.Errorf("got %x, want %x", got, b)
			}
		case e.counters != nil:
			if got := appendCounters(nil, *e.counters); !bytes.Equal(got, b) {
				t.Errorf("got %x, want %x", got, b)
			}
		case e.record != nil:
			again, err := parseEntry(appendRecord(nil, e.at, *e.record))
			if err != nil || again.record == nil || again.record.Kind != e.record.Kind {
				t.Errorf("the record cannot be read again: %v", err)
			}
		default:
			t.Error("an entry of no kind was accepted")
		}
	})
}
