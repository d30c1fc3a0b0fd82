package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/warrenvpn/warren/esp/stats"
)

func someFacts() Facts {
	return Facts{
		Started: time.Unix(1700000000, 0).UTC(),
		IKESAs: []IKESA{
			{Context: "blue", SPIi: "1", RemoteID: "al{ce", Assigned: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
				ChildSAs: []ChildSA{{SPIIn: "2", LocalTS: []string{"0.0.0.0/0"}}, {SPIIn: "3"}}},
			{SPIi: "4"},
		},
		Sessions:    []Session{{User: "alice"}},
		Resources:   []Resource{{Resource: "cpu", Current: 7}},
		IPsec:       IPsecStats{Offloads: []string{"gso"}, Counts: stats.Counts{stats.PacketsIn: {N: 9}}},
		Replication: &Replication{State: "ready", Last: 5},
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var compareAddr = cmpopts.EquateComparable(netip.Addr{})

func TestParseFacts(t *testing.T) {
	want := someFacts()
	got, err := ParseFacts(marshal(t, want))
	if diff := cmp.Diff(want, got, compareAddr); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	if _, err := ParseFacts([]byte(`{"ike_sas":null,"sessions":null,"later":{"a":[1]}}`)); err != nil {
		t.Errorf("empty lists: %v", err)
	}
	long := strings.Repeat("é", MaxString)
	got, err = ParseFacts(marshal(t, Facts{IKESAs: []IKESA{{RemoteID: long,
		ChildSAs: []ChildSA{{LocalTS: []string{long}}}}}}))
	if err != nil || len(got.IKESAs[0].RemoteID) != MaxString || len(got.IKESAs[0].ChildSAs[0].LocalTS[0]) != MaxString {
		t.Errorf("long texts are not cut: %v", err)
	}
}

// TestParseIsBounded: what a hostile worker answers costs the supervisor no more
// than the promised number of rows.
func TestParseIsBounded(t *testing.T) {
	list := func(head, one, tail string, n int) string {
		return head + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + tail
	}
	facts := func(b []byte) error { _, err := ParseFacts(b); return err }
	keys := func(b []byte) error { _, err := ParseKeys(b); return err }
	small := func(b []byte) error { _, err := Parse[Replication](b); return err }
	for _, tt := range []struct {
		name  string
		parse func([]byte) error
		body  string
	}{
		{"IKE SAs", facts, list(`{"ike_sas":[`, `{}`, `]}`, MaxBody/3-100)},
		{"sessions", facts, list(`{"sessions":[`, `{}`, `]}`, MaxSessions+1)},
		{"resources", facts, list(`{"resources":[`, `{}`, `]}`, MaxResources+1)},
		{"child SAs of one SA", facts, list(`{"ike_sas":[{"child_sas":[`, `{}`, `]}]}`, MaxChildSAs+1)},
		{"child SAs of many", facts, list(`{"ike_sas":[`, list(`{"child_sas":[`, `{}`, `]}`, 100), `]}`, 1100)},
		{"selectors", facts, list(`{"ike_sas":[{"child_sas":[{"local_ts":[`, `""`, `]}]}]}`, maxValues)},
		{"the same list again", facts, list(`{`, list(`"sessions":[`, `{}`, `]`, MaxSessions), `}`, 2)},
		{"depth", facts, `{"later":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`},
		{"keys", keys, list(`{"esp":[`, `""`, `]}`, MaxBody/4)},
		{"a small message", small, list(`{"x":[`, `1`, `]}`, fewValues)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := []byte(tt.body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := tt.parse(body)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, errTooMuch) {
				t.Errorf("got %v", err)
			}
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 512 {
				t.Errorf("%d KiB of JSON allocate %d MiB", len(body)>>10, mib)
			}
		})
	}
}

// FuzzParse: what is read of a hostile worker is within the bounds and can be
// passed on.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"state":"ready","last":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Parse[Replication](b); err == nil && (len(r.State) > MaxString || marshal(t, r) == nil) {
			t.Errorf("%q becomes %+v", b, r)
		}
	})
}

// FuzzParseRoutes: the same of routes.
func FuzzParseRoutes(f *testing.F) {
	f.Add([]byte(`{"reset":true,"add":[{"destination":"10.0.0.0/8","source":"10.0.0.1"}],"silence":["fd00::1"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRoutes(b); err == nil && (r.Changes() > MaxChanges || marshal(t, r) == nil) {
			t.Errorf("%q becomes %d changes", b, r.Changes())
		}
	})
}

// FuzzParseKeys: the same of keys.
func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"ike":["a"],"esp":["b","c"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := ParseKeys(b); err == nil {
			marshal(t, k)
		}
	})
}

// FuzzParseFacts: the same of facts; and what was read, written and read again is
// the same.
func FuzzParseFacts(f *testing.F) {
	f.Add(marshal(f, someFacts()))
	f.Add([]byte(`{"ike_sas":[{"child_sas":[{},{}]},null],"sessions":[null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, err := ParseFacts(b)
		if err != nil {
			return
		}
		text := marshal(t, facts)
		again, err := ParseFacts(text)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if !bytes.Equal(marshal(t, again), text) {
			t.Errorf("got %s, want %s", marshal(t, again), text)
		}
	})
}
