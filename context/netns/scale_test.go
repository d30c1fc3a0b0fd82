package netns

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
)

// BenchmarkRoutes has 2,000 sites come up, and the configuration looked over while
// they stand.
func BenchmarkRoutes(b *testing.B) {
	prefix := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(16 + i/256), byte(i), 0}), 24)
	}
	tn := dualTenant()
	for i := range 2000 {
		tn.CryptoMaps[0].Entries = append(tn.CryptoMaps[0].Entries,
			spec.CryptoEntry{Name: fmt.Sprint(i), ReverseRoute: true,
				Local: []netip.Prefix{netip.MustParsePrefix("10.10.0.0/24")}, Remote: []netip.Prefix{prefix(i)}})
	}
	g := buildWith(b, scratch(b), tn)
	b.Run("up", func(b *testing.B) {
		for b.Loop() {
			r := control.Routes{Reset: true}
			for i := range 2000 {
				r.Add = append(r.Add, control.Route{Destination: prefix(i)})
				if r.Changes() == control.MaxChanges || i == 1999 {
					if err := g.Routes(r); err != nil {
						b.Fatal(err)
					}
					r = control.Routes{}
				}
			}
		}
	})
	b.Run("update", func(b *testing.B) {
		for b.Loop() {
			if err := g.Update(tn); err != nil {
				b.Fatal(err)
			}
		}
	})
}
