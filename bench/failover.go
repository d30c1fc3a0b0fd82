package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/warrenvpn/warren/bench/figure"
	"github.com/warrenvpn/warren/bench/generator"
	"github.com/warrenvpn/warren/internal/lab"
)

// rehearsal is a pair whose active node is killed, and switched, again and
// again, while one client sends in both directions and many others are there.
type rehearsal struct {
	pair    *lab.Pair
	site    *lab.PairSite
	client  *lab.Namespace
	address string
	sas     int
}

// The ways of the traffic, in the order of lab.TrafficResult.
var ways = [2]string{"from the client", "to the client"}

// takeover measures a pair with sas IKE SAs, each with a child SA: runs times
// kill -9 of everything on the active node, then as many switches by hand.
func takeover(l *lab.Lab, r *report, sas, runs int) error {
	t := &rehearsal{sas: sas}
	t.pair = l.StartPair(lab.PairConfig{Edit: func(_, name, text string) string {
		if name == "system.hcl" {
			text = generator.Unlimited + text
		}
		return strings.Replace(text, "10.55.1.10-10.55.1.250", "10.56.0.1-10.59.255.254", 1)
	}})
	t.site = t.pair.Sites[0]
	own := t.site.StartClient()
	own.Ready()
	active, _ := t.pair.Active(t.site.Group)
	t.address = active.WaitSAs(t.site.Context, 1)[0].Assigned[0]
	t.client = own.Namespace("client")
	if sas > 1 {
		ns := t.site.Client()
		g, err := generator.New(ns, generator.OfPair(ns), sas-1)
		if err != nil {
			return err
		}
		defer g.Close()
		if _, err := g.Run(); err != nil {
			return err
		}
		g.Keep()
	}
	t.pair.Whole()
	if err := t.repeat(r, runs, "kill -9", "300 or less", "", func(active *lab.PairNode) {
		t.pair.Kill(active)
	}); err != nil {
		return err
	}
	return t.repeat(r, runs, "switch", "", "2 or less", func(*lab.PairNode) { t.pair.Switch(t.site.Group) })
}

// repeat measures what one kind of change costs.
func (t *rehearsal) repeat(r *report, runs int, what, outageAim, lostAim string,
	change func(active *lab.PairNode)) error {
	var outages, lost, back [2][]float64
	for range runs {
		active, other := t.pair.Active(t.site.Group)
		traffic := t.site.StartTraffic(t.client, t.address, nil)
		change(active)
		traffic.Go(100)
		got := traffic.Stop()
		if err := got.Err(time.Minute); err != nil {
			return err
		}
		for i := range ways {
			outages[i] = append(outages[i], float64(got.Flows[i].Outage)/float64(time.Millisecond))
			lost[i] = append(lost[i], float64(got.Pings[i].Lost()))
		}
		if n := len(other.IKESAs(t.site.Context)); n != t.sas {
			return fmt.Errorf("%s: node %s has %d of %d SAs", what, other.Port, n, t.sas)
		}
		begin := time.Now()
		if !active.Running() {
			t.pair.StartNode(active)
		}
		t.pair.Whole()
		back[0] = append(back[0], time.Since(begin).Seconds())
	}
	sas := fmt.Sprintf("%s, %d SAs", what, t.sas)
	for i, way := range ways {
		r.spread(sas+": outage "+way, outages[i], "ms", outageAim)
	}
	for i, way := range ways {
		r.spread(sas+": 10 ms pings lost "+way, lost[i], "", lostAim)
	}
	r.spread(sas+": until the pair is whole again", back[0], "s", "")
	return nil
}

// spread adds the median of values, and what they lie between.
func (r *report) spread(name string, values []float64, unit, aim string) {
	s := figure.SpreadOf(values)
	r.Add(name+", median", s.Median, unit, aim)
	r.Add(name+", smallest", s.Min, unit, "")
	r.Add(name+", largest", s.Max, unit, "")
}
