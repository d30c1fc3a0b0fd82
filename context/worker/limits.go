package worker

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/resource"
)

// limits watches what the class rations of this worker.
type limits struct {
	in, out, packets, setups, lines resource.RateMeter
	notices                         map[resource.Name]*resource.Notice
	clear                           resource.Notice // of packets that no SA stood for
	// log is not bounded: it tells of what is.
	log *slog.Logger
}

func newLimits(log *slog.Logger) limits {
	return limits{log: log, notices: make(map[resource.Name]*resource.Notice)}
}

// enough answers claims where the worker shares with nobody.
func enough(_ context.Context, c control.Claim) (control.Grant, error) {
	return control.Grant{Most: c.Held + c.More}, nil
}

// limit sets the caps that are not the engine's.
func (w *Worker) limit(l spec.Limits) {
	w.syslogs.rate(l.Syslogs)
	w.plane.SetRates(plane.Rates{
		BytesIn: float64(l.BandwidthIn) / 8, BytesOut: float64(l.BandwidthOut) / 8, Packets: float64(l.Packets),
	})
}

// watchLimits measures rates, and tells the log of what was refused since it
// was told last.
func (w *Worker) watchLimits(now time.Time) {
	in, out, packets := w.carried()
	lines, _ := w.syslogs.counts()
	for _, m := range []struct {
		meter *resource.RateMeter
		total float64
	}{
		{&w.limits.in, in}, {&w.limits.out, out}, {&w.limits.packets, packets},
		{&w.limits.setups, float64(w.engine.Usage().Begun)}, {&w.limits.lines, float64(lines)},
	} {
		m.meter.Measure(now, m.total, housekeeping/2)
	}
	for _, r := range w.resources() {
		name := resource.Name(r.Resource)
		n := w.limits.notices[name]
		if n == nil {
			n = &resource.Notice{}
			w.limits.notices[name] = n
		}
		if count, due := n.Due(now, r.Denied); due {
			w.tellLimit(r, count)
		}
	}
	if count, due := w.limits.clear.Due(now, int64(w.plane.Stats().Sum(stats.DropClear))); due {
		w.limits.log.Warn("no SA stands for packets that must not leave in clear; they were dropped", "address", w.clearTo, "count", count)
	}
}

// carried is what went through the tunnels since the beginning: bits in and out,
// and packets. Under a bound it is what the bound counts, ESP with all its
// headers; without one nobody counts that.
func (w *Worker) carried() (in, out, packets float64) {
	l := w.tenant.Limits
	if l.BandwidthIn == 0 && l.BandwidthOut == 0 && l.Packets == 0 {
		s := w.plane.Stats()
		return 8 * float64(s[stats.PacketsIn].Bytes), 8 * float64(s[stats.PacketsOut].Bytes), float64(s.Sum(stats.PacketsIn, stats.PacketsOut))
	}
	u := w.plane.RateUse()
	return 8 * float64(u.BytesIn), 8 * float64(u.BytesOut), float64(u.Packets)
}

// tellLimit logs that something was refused. Refused sessions have lines of
// their own.
func (w *Worker) tellLimit(r control.Resource, count int64) {
	switch resource.Name(r.Resource) {
	case resource.Sessions, resource.BurstSessions, resource.SiteToSite, resource.BurstSiteToSite:
		return
	case resource.InNegotiation:
		if own := w.tenant.IKE.MaxHalfOpen; r.Limit == 0 || int64(own) < r.Limit {
			w.limits.log.Warn("too many half-open IKE SAs", "limit", own, "count", count)
			return
		}
	}
	if r.Limit != 0 {
		w.limits.log.Warn("limit of the class reached", "class", w.tenant.Class, "resource", r.Resource, "limit", r.Limit, "count", count)
	}
}

// resources are the rows of `show resource usage` that the worker counts.
func (w *Worker) resources() []control.Resource {
	l, e, u := w.tenant.Limits, w.engine.Usage(), w.plane.RateUse()
	_, suppressed := w.syslogs.counts()
	row := func(name resource.Name, unit control.Unit, m resource.Meter) control.Resource {
		return control.Resource{
			Context: w.tenant.Name, Resource: string(name), Unit: unit,
			Current: m.Current, Peak: m.Peak, Limit: m.Limit, Denied: m.Denied,
		}
	}
	rate := func(name resource.Name, unit control.Unit, m *resource.RateMeter, limit, denied int64) control.Resource {
		current, peak := m.Last()
		return row(name, unit, resource.Meter{
			Current: int64(math.Round(current)), Peak: int64(math.Round(peak)), Limit: limit, Denied: denied,
		})
	}
	var out []control.Resource
	for _, x := range w.sessions.Usage() {
		out = append(out, row(x.Resource, control.UnitCount, x.Meter))
	}
	return append(out,
		row(resource.InNegotiation, control.UnitCount, resource.Meter{
			Current: int64(e.HalfOpen), Peak: int64(e.HalfOpenPeak), Limit: int64(l.InNegotiate), Denied: int64(e.Busy),
		}),
		row(resource.InNegotiationOld, control.UnitCount, resource.Meter{Limit: int64(l.InNegotiateOld), Denied: int64(e.OldVersion)}),
		rate(resource.Setups, control.UnitRate, &w.limits.setups, int64(l.Setups), int64(e.Paced)),
		rate(resource.BandwidthIn, control.UnitBits, &w.limits.in, l.BandwidthIn, int64(u.DroppedIn)),
		rate(resource.BandwidthOut, control.UnitBits, &w.limits.out, l.BandwidthOut, int64(u.DroppedOut)),
		rate(resource.Packets, control.UnitRate, &w.limits.packets, l.Packets, int64(u.DroppedPackets)),
		rate(resource.Syslogs, control.UnitRate, &w.limits.lines, int64(l.Syslogs), suppressed),
	)
}
