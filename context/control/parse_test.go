package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/failover"
)

var (
	someSAs = []IKESA{
		{Context: "blue", SPIi: "1", RemoteID: "al{ce", Assigned: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
			ChildSAs: []ChildSA{{SPIIn: "2", LocalTS: []string{"0.0.0.0/0"}}, {SPIIn: "3"}}},
		{SPIi: "4"},
	}
	someSessions  = []Session{{User: "alice", LoginTime: time.Unix(1700000000, 0).UTC()}}
	someResources = []Resource{{Resource: "cpu", Current: 7}}
	someStats     = IPsecStats{Offloads: []string{"gso"}, Counts: stats.Counts{stats.PacketsIn: {N: 9}}}
)

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var compareAddr = cmpopts.EquateComparable(netip.Addr{})

// parsed compares what was read with what was written.
func parsed[T any](t *testing.T, want T, parse func([]byte) (T, error)) {
	t.Helper()
	got, err := parse(marshal(t, want))
	if diff := cmp.Diff(want, got, compareAddr); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func TestParseAnswers(t *testing.T) {
	parsed(t, someSAs, ParseIKESAs)
	parsed(t, someSessions, ParseSessions)
	parsed(t, someResources, ParseResources)
	parsed(t, someStats, Parse[IPsecStats])
	parsed(t, &Replication{State: failover.ReplicationReady, Last: 5}, Parse[*Replication])
	parsed(t, nil, Parse[*Replication])
	parsed(t, nil, ParseIKESAs)
	if got, err := ParseSessions([]byte(`[{"later":{"a":[1]}}]`)); err == nil {
		t.Errorf("a row of objects: %+v", got)
	}
	long := strings.Repeat("é", MaxString)
	got, err := ParseIKESAs(marshal(t, []IKESA{{RemoteID: long, ChildSAs: []ChildSA{{LocalTS: []string{long}}}}}))
	if err != nil || len(got[0].RemoteID) != MaxString || len(got[0].ChildSAs[0].LocalTS[0]) != MaxString {
		t.Errorf("long texts are not cut: %v", err)
	}
	every := stats.Counts{}
	for i := range every {
		every[i] = stats.Count{N: math.MaxUint64, Bytes: math.MaxUint64}
	}
	if b := marshal(t, IPsecStats{Counts: every}); len(b) > MaxAnswer(KindIPsec)/2 {
		t.Errorf("counters take %d bytes, and an answer may have %d", len(b), MaxAnswer(KindIPsec))
	} else if _, err := Parse[IPsecStats](b); err != nil {
		t.Errorf("all counters: %v", err)
	}
}

// TestParseIsBounded: what a hostile worker answers costs the supervisor no more
// than the promised number of rows.
func TestParseIsBounded(t *testing.T) {
	list := func(head, one, tail string, n int) string {
		return head + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + tail
	}
	sas := func(b []byte) error { _, err := ParseIKESAs(b); return err }
	sessions := func(b []byte) error { _, err := ParseSessions(b); return err }
	servers := func(b []byte) error { _, err := ParseServers(b); return err }
	resources := func(b []byte) error { _, err := ParseResources(b); return err }
	keys := func(b []byte) error { _, err := ParseKeys(b); return err }
	small := func(b []byte) error { _, err := Parse[Replication](b); return err }
	for _, tt := range []struct {
		name  string
		parse func([]byte) error
		body  string
	}{
		{"IKE SAs", sas, list(`[`, `{}`, `]`, MaxBody/3-100)},
		{"sessions", sessions, list(`[`, `{}`, `]`, MaxSessions+1)},
		{"servers", servers, list(`[`, `{}`, `]`, MaxServers+1)},
		{"resources", resources, list(`[`, `{}`, `]`, MaxResources+1)},
		{"child SAs of one SA", sas, list(`[{"child_sas":[`, `{}`, `]}]`, MaxChildSAs+1)},
		{"child SAs of many", sas, list(`[`, list(`{"child_sas":[`, `{}`, `]}`, 100), `]`, 1100)},
		{"selectors", sas, list(`[{"child_sas":[{"local_ts":[`, `""`, `]}]}]`, maxValues)},
		{"depth", sessions, `[{"later":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}]`},
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
	f.Add([]byte(`{"state":"ready","last":1,"reason":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Parse[Replication](b); err == nil && (len(r.Reason) > MaxString || marshal(t, r) == nil) {
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

// again fuzzes a list: what was read, written and read again is the same.
func again[T any](f *testing.F, some []T, parse func([]byte) ([]T, error)) {
	f.Add(marshal(f, some))
	f.Add([]byte(`[{"child_sas":[{},{}]},null]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := parse(b)
		if err != nil {
			return
		}
		text := marshal(t, rows)
		again, err := parse(text)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if !bytes.Equal(marshal(t, again), text) {
			t.Errorf("got %s, want %s", marshal(t, again), text)
		}
	})
}

// FuzzParseIKESAs: the same of SAs.
func FuzzParseIKESAs(f *testing.F) { again(f, someSAs, ParseIKESAs) }

// FuzzParseServers: the same of servers.
func FuzzParseServers(f *testing.F) {
	again(f, []AAAServer{{ServerGroup: "ISE", Server: "10.10.0.100:1812", State: ServerUp}}, ParseServers)
}

// FuzzParseSessions: the same of sessions.
func FuzzParseSessions(f *testing.F) { again(f, someSessions, ParseSessions) }

// FuzzParseResources: the same of resources.
func FuzzParseResources(f *testing.F) { again(f, someResources, ParseResources) }
