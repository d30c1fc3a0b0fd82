package spawn

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/spec"
)

// FuzzHandle takes what a worker that was taken over may send: the supervisor
// does nothing but what an address, routes or a claim asks for.
func FuzzHandle(f *testing.F) {
	for kind, body := range map[control.Kind]any{
		control.KindAddress: control.Address{Add: true, Prefix: netip.MustParsePrefix("10.0.0.1/32")},
		control.KindRoutes: control.Routes{
			Add: []control.Route{{Destination: netip.MustParsePrefix("10.0.0.0/8"),
				Source: netip.MustParseAddr("10.0.0.1")}}},
		control.KindClaim:   control.Claim{Resource: "vpn_burst_other", Held: 1, More: 1},
		control.KindConnect: control.Connect{Server: netip.MustParseAddrPort("10.0.0.1:1812"), Sockets: 1},
		control.KindIKESAs:  []control.IKESA{{Context: "blue"}},
		control.KindBoot:    control.Boot{Version: control.Version},
		control.KindStop:    nil,
	} {
		b, err := json.Marshal(body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(kind), b)
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		n := &network{}
		w := &Worker{cfg: Config{Network: n, Group: &group{}, Tenant: &spec.Tenant{Name: "blue"},
			Claim: func(c control.Claim) (control.Grant, error) {
				return control.Grant{Most: c.Held}, n.note("claim of " + c.Resource)
			},
			Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
		_, err := w.handle(t.Context(), &pipe.Request{Message: control.Message{Kind: control.Kind(kind), Body: body}})
		allowed := slices.Contains([]control.Kind{control.KindAddress, control.KindRoutes, control.KindClaim,
			control.KindConnect}, control.Kind(kind))
		if !allowed && (err == nil || len(n.asked) > 0) {
			t.Errorf("%q is not a worker's to ask, and did %v", kind, n.asked)
		}
		if err == nil && len(n.asked) != 1 {
			t.Errorf("%s with %q did %v", kind, body, n.asked)
		}
	})
}
