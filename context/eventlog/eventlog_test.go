package eventlog_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/eventlog"
)

// TestWrite: the line of an event is the one that a logger would write.
func TestWrite(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	peer := control.Peer{SA: 0x6f1c, Peer: netip.MustParseAddrPort("198.51.100.2:4500"), Identity: "alice@blue.example"}
	up := &control.IKEUp{
		Peer: peer, Profile: "DefaultRAGroup", Suite: "aes-256-gcm/sha384/x25519",
		Assigned: []netip.Addr{netip.MustParseAddr("10.99.0.10")},
	}
	const stamp = "2026-01-02T03:04:05.000006Z"
	for _, tt := range []struct {
		name string
		fact control.Fact
		json bool
		want string
	}{
		{"text", up, false, "time=" + stamp[:len(stamp)-4] + `Z level=INFO msg="IKE SA established" ` +
			"sa=0000000000006f1c peer=198.51.100.2:4500 identity=alice@blue.example profile=DefaultRAGroup " +
			"suite=aes-256-gcm/sha384/x25519 nat=false initiator=false assigned=[10.99.0.10]\n"},
		{"JSON", up, true, `{"time":"` + stamp + `","level":"INFO","msg":"IKE SA established",` +
			`"sa":"0000000000006f1c","peer":"198.51.100.2:4500","identity":"alice@blue.example",` +
			`"profile":"DefaultRAGroup","suite":"aes-256-gcm/sha384/x25519","nat":false,"initiator":false,` +
			`"assigned":["10.99.0.10"]}` + "\n"},
		{"a level that nobody wants", &control.StoodBy{}, false, ""},
		{"no line", &control.SessionUp{Peer: peer}, false, ""},
		{"fields that are not there", &control.PeerRefused{Reason: "no tunnel group"}, true,
			`{"time":"` + stamp + `","level":"WARN","msg":"peer refused","peer":"","identity":"",` +
				`"profile":"","reason":"no tunnel group","notify":""}` + "\n"},
		{"a limit of nothing", &control.PeerRefused{Resource: "vpn_other"}, true,
			`{"time":"` + stamp + `","level":"WARN","msg":"peer refused","peer":"","identity":"",` +
				`"profile":"","reason":"","notify":"","resource":"vpn_other","limit":0}` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			opts := &slog.HandlerOptions{}
			if tt.name == "a level that nobody wants" {
				opts.Level = slog.LevelWarn
			}
			var h slog.Handler = slog.NewTextHandler(&out, opts)
			if tt.json {
				h = slog.NewJSONHandler(&out, opts)
			}
			written, err := eventlog.Write(h, &control.Event{Time: at, Fact: tt.fact})
			if err != nil || written != (tt.want != "") || out.String() != tt.want {
				t.Errorf("wrote %v, %v:\n%swant\n%s", written, err, out.String(), tt.want)
			}
		})
	}
}

// fill puts something into every field of a fact, of texts one that has to be quoted where
// odd is set.
func fill(v reflect.Value, odd bool) {
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("2001:db8::1")))
		return
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("[2001:db8::1]:500")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), odd)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), odd)
		fill(v.Index(1), odd)
	case reflect.String:
		v.SetString("text")
		if odd {
			v.SetString(`a "b"=\c <ü>`)
		}
	case reflect.Bool:
		v.SetBool(odd)
	case reflect.Int64:
		v.SetInt(1500_000_000)
	default:
		v.SetUint(4711)
	}
}

// TestAppend: the line of every event is what log/slog would write.
func TestAppend(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 60_000_007, time.FixedZone("", 3600))
	facts := control.ToldByWorkers()
	for _, f := range control.ToldByWorkers() {
		for _, odd := range []bool{false, true} {
			full := reflect.New(reflect.TypeOf(f).Elem())
			fill(full.Elem(), odd)
			facts = append(facts, full.Interface().(control.Fact))
		}
	}
	for _, f := range facts {
		for _, json := range []bool{false, true} {
			e := control.Event{Time: at, Fact: f}
			var want bytes.Buffer
			var h slog.Handler = slog.NewTextHandler(&want, nil)
			if json {
				h = slog.NewJSONHandler(&want, nil)
			}
			if _, err := eventlog.Write(h.WithAttrs([]slog.Attr{slog.String("tenant", "blue")}), &e); err != nil {
				t.Fatal(err)
			}
			format := eventlog.Format{JSON: json, Tenant: "blue"}
			if got := string(format.Append([]byte("before\n"), &e)); got != "before\n"+want.String() {
				t.Errorf("got  %swant %s", got, fmt.Sprint("before\n", want.String()))
			}
		}
	}
}
