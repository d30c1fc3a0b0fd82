package worker

import (
	"math"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/resource"
)

// limits is what a tenant may use and write: it watches what its class rations, and
// bounds its lines in the log.
type limits struct {
	tell     func(control.Fact) // is not bounded: it tells of what is
	plane    *plane.Plane
	syslogs  *syslogs
	refusals refusals

	in, out, packets, setups, lines resource.RateMeter
	notices                         map[resource.Name]*resource.Notice
	clear                           resource.Notice // of packets that no SA stood for
	clearTo                         netip.Addr      // where the last of them went
}

// newLimits returns limits that tell what is refused.
func newLimits(p *plane.Plane, t *teller) *limits {
	return &limits{
		tell: t.tellAnyway, plane: p, syslogs: t.lines, refusals: newRefusals(t.tell),
		notices: make(map[resource.Name]*resource.Notice),
	}
}

// usage is what is used of what the class rations, beside what limits sees itself.
type usage struct {
	tenant   *spec.Tenant
	engine   ike.Usage
	sessions []session.Usage
}

// set sets the caps that are neither the engine's nor the sessions'.
func (l *limits) set(s spec.Limits) {
	l.syslogs.rate(s.Syslogs)
	l.plane.SetRates(plane.Rates{
		BytesIn: float64(s.BandwidthIn) / 8, BytesOut: float64(s.BandwidthOut) / 8, Packets: float64(s.Packets),
	})
}

// watch measures rates, and tells the log of what was refused since it
// was told last.
func (l *limits) watch(now time.Time, u usage) {
	in, out, packets := l.carried(u.tenant.Limits)
	lines, _ := l.syslogs.counts()
	for _, m := range []struct {
		meter *resource.RateMeter
		total float64
	}{
		{&l.in, in}, {&l.out, out}, {&l.packets, packets},
		{&l.setups, float64(u.engine.Begun)}, {&l.lines, float64(lines)},
	} {
		m.meter.Measure(now, m.total, housekeeping/2)
	}
	for _, r := range l.resources(u) {
		name := resource.Name(r.Resource)
		n := l.notices[name]
		if n == nil {
			n = &resource.Notice{}
			l.notices[name] = n
		}
		if count, due := n.Due(now, r.Denied); due {
			l.refused(u.tenant, r, uint64(count))
		}
	}
	if count, due := l.clear.Due(now, int64(l.plane.Stats().Sum(stats.DropClear))); due {
		l.tell(&control.ClearDropped{Address: l.clearTo, Count: uint64(count)})
	}
}

// carried is what went through the tunnels since the beginning: bits in and out,
// and packets. Under a bound it is what the bound counts, ESP with all its
// headers; without one nobody counts that.
func (l *limits) carried(s spec.Limits) (in, out, packets float64) {
	if s.BandwidthIn == 0 && s.BandwidthOut == 0 && s.Packets == 0 {
		c := l.plane.Stats()
		return 8 * float64(c[stats.PacketsIn].Bytes), 8 * float64(c[stats.PacketsOut].Bytes),
			float64(c.Sum(stats.PacketsIn, stats.PacketsOut))
	}
	u := l.plane.RateUse()
	return 8 * float64(u.BytesIn), 8 * float64(u.BytesOut), float64(u.Packets)
}

// refused tells that something was refused. Refused sessions have events of their own.
func (l *limits) refused(t *spec.Tenant, r control.Resource, count uint64) {
	switch resource.Name(r.Resource) {
	case resource.Sessions, resource.BurstSessions, resource.SiteToSite, resource.BurstSiteToSite:
		return
	case resource.InNegotiation:
		if own := t.IKE.MaxHalfOpen; r.Limit == 0 || int64(own) < r.Limit {
			l.tell(&control.HalfOpenReached{Limit: uint64(own), Count: count})
			return
		}
	}
	if r.Limit != 0 {
		l.tell(&control.LimitReached{Class: t.Class, Resource: r.Resource, Limit: r.Limit, Count: count})
	}
}

// resources are the rows of `show resource usage` that the worker counts.
func (l *limits) resources(u usage) []control.Resource {
	s, e, rates := u.tenant.Limits, u.engine, l.plane.RateUse()
	_, suppressed := l.syslogs.counts()
	row := func(name resource.Name, unit resource.Unit, m resource.Meter) control.Resource {
		return control.Resource{
			Context: u.tenant.Name, Resource: string(name), Unit: unit,
			Current: m.Current, Peak: m.Peak, Limit: m.Limit, Denied: m.Denied,
		}
	}
	rate := func(name resource.Name, unit resource.Unit, m *resource.RateMeter, limit, denied int64) control.Resource {
		current, peak := m.Last()
		return row(name, unit, resource.Meter{
			Current: int64(math.Round(current)), Peak: int64(math.Round(peak)), Limit: limit, Denied: denied,
		})
	}
	var out []control.Resource
	for _, x := range u.sessions {
		out = append(out, row(x.Resource, resource.Count, x.Meter))
	}
	return append(out,
		row(resource.InNegotiation, resource.Count, resource.Meter{
			Current: int64(e.HalfOpen), Peak: int64(e.HalfOpenPeak), Limit: int64(s.InNegotiate), Denied: int64(e.Busy),
		}),
		row(resource.InNegotiationOld, resource.Count,
			resource.Meter{Limit: int64(s.InNegotiateOld), Denied: int64(e.OldVersion)}),
		rate(resource.Setups, resource.Rate, &l.setups, int64(s.Setups), int64(e.Paced)),
		rate(resource.BandwidthIn, resource.Bits, &l.in, s.BandwidthIn, int64(rates.DroppedIn)),
		rate(resource.BandwidthOut, resource.Bits, &l.out, s.BandwidthOut, int64(rates.DroppedOut)),
		rate(resource.Packets, resource.Rate, &l.packets, s.Packets, int64(rates.DroppedPackets)),
		rate(resource.Syslogs, resource.Rate, &l.lines, int64(s.Syslogs), suppressed),
	)
}
