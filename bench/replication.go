package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/bench/generator"
	"github.com/warrenvpn/warren/internal/lab"
)

// replica is a pair whose standby is there, goes, and comes back to many SAs.
type replica struct {
	report *report
	pair   *lab.Pair
	site   *lab.PairSite
	client *lab.Namespace
	active *lab.PairNode
	other  *lab.PairNode
	groups int // generators so far
}

// replication measures what a standby costs: set-ups per second with one beside
// without, bytes and processor time for each SA, and how long the copy of sas
// SAs takes, with what new clients notice of it.
func replication(l *lab.Lab, r *report, setups, sas int) error {
	x := &replica{report: r}
	x.pair = l.StartPair(lab.PairConfig{Edit: func(_, name, text string) string {
		if name == "system.hcl" {
			text = generator.Unlimited + text
		}
		return strings.Replace(text, "10.55.1.10-10.55.1.250", "10.56.0.1-10.59.255.254", 1)
	}})
	x.site = x.pair.Sites[0]
	x.client = x.site.Client()
	x.active, x.other = x.pair.Active(x.site.Group)

	var with, without []float64
	for range 2 {
		rate, err := x.setups("with a ready standby", setups, true)
		if err != nil {
			return err
		}
		with = append(with, rate)
		x.pair.Kill(x.other)
		if err := x.alone(); err != nil {
			return err
		}
		if rate, err = x.setups("without", setups, false); err != nil {
			return err
		}
		without = append(without, rate)
		x.pair.StartNode(x.other)
		x.pair.Whole()
	}
	r.Add("set-up rate with a ready standby, of that without", 100*(with[0]+with[1])/(without[0]+without[1]), "%",
		"80 or more")

	x.pair.Kill(x.other)
	if err := x.alone(); err != nil {
		return err
	}
	if more := sas - 4*setups; more > 0 {
		g, err := x.generator(more)
		if err != nil {
			return err
		}
		_, err = g.Run()
		g.Close()
		if err != nil {
			return err
		}
	}
	return x.bulk(sas)
}

// busy is how many set-ups are under way at once: an answer waits for the other
// node, and the gateway must have something to do meanwhile.
const busy = 64

// alone waits until the active node knows that it is alone.
func (x *replica) alone() error {
	for range 100 {
		s, err := x.active.Failover()
		if err != nil {
			return err
		}
		if g := s.Group(x.site.Group); g.Replication != "ready" {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("node %s does not notice that its peer is gone", x.active.Port)
}

// generator makes n clients whose identities nobody had before.
func (x *replica) generator(n int) (*generator.Generator, error) {
	x.groups++
	t := generator.OfPair(x.client)
	t.Prefix, t.Window = fmt.Sprintf("g%d-", x.groups), busy
	return generator.New(x.client, t, n)
}

// usage is what a set-up may cost somebody: processor time of all processes of
// both nodes, and bytes on the failover link.
type usage struct {
	active, other time.Duration
	sent          float64
}

func (x *replica) usage(standby bool) (u usage, err error) {
	if u.active, err = lab.SettledCPU(x.active.PIDs()...); err != nil {
		return u, err
	}
	if standby {
		if u.other, err = lab.SettledCPU(x.other.PIDs()...); err != nil {
			return u, err
		}
	}
	u.sent, err = x.cableBytes()
	return u, err
}

// cableBytes returns what the active node has sent over the failover link.
func (x *replica) cableBytes() (float64, error) {
	var links []struct {
		Stats struct {
			TX struct {
				Bytes float64 `json:"bytes"`
			} `json:"tx"`
		} `json:"stats64"`
	}
	text, err := x.active.Outside().Run("ip", "-s", "-j", "link", "show", "dev", x.active.Port+"-fo")
	if err == nil {
		err = json.Unmarshal([]byte(text), &links)
	}
	if err != nil || len(links) != 1 {
		return 0, fmt.Errorf("statistics of the failover link: %q: %w", text, err)
	}
	return links[0].Stats.TX.Bytes, nil
}

// setups measures n set-ups and returns their rate.
func (x *replica) setups(how string, n int, standby bool) (float64, error) {
	g, err := x.generator(n)
	if err != nil {
		return 0, err
	}
	defer g.Close()
	before, err := x.usage(standby)
	if err != nil {
		return 0, err
	}
	took, err := g.Run()
	if err != nil {
		return 0, fmt.Errorf("set-ups %s: %w", how, err)
	}
	after, err := x.usage(standby)
	if err != nil {
		return 0, err
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(n) / float64(time.Millisecond) }
	rate := float64(n) / took.Seconds()
	x.report.Add(how+": set-ups, with clients and both nodes on this machine", rate, "per second", "")
	x.report.Add(how+": processor time of the active node for one", ms(after.active-before.active), "ms", "")
	if standby {
		x.report.Add(how+": processor time of the standby node for one", ms(after.other-before.other), "ms", "")
		x.report.Add(how+": bytes on the failover link for one", (after.sent-before.sent)/float64(n), "", "")
	}
	x.report.latency(how, g.Latencies)
	return rate, nil
}

// latency adds the median and the largest of some durations.
func (r *report) latency(how string, all []time.Duration) {
	slices.Sort(all)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	r.Add(how+": a set-up takes, median", ms(all[len(all)/2]), "ms", "")
	r.Add(how+": a set-up takes, 99 of 100", ms(all[len(all)*99/100]), "ms", "")
	r.Add(how+": a set-up takes, largest", ms(all[len(all)-1]), "ms", "")
}

// bulk lets the standby return to sas SAs, while clients come one after the
// other: before, and during the copy.
func (x *replica) bulk(sas int) error {
	const probes = 12000 // more than come while a node starts
	g, err := x.generator(probes)
	if err != nil {
		return err
	}
	defer g.Close()
	before, err := x.cableBytes()
	if err != nil {
		return err
	}
	g.Start()
	if err := g.OneByOne(func() bool { return len(g.Latencies) < 200 }); err != nil {
		return err
	}
	x.report.latency("beside no copy", slices.Clone(g.Latencies))

	g.Latencies = nil
	whole, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- g.OneByOne(func() bool {
			select {
			case <-whole:
				return false
			default:
				return true
			}
		})
	}()
	x.pair.StartNode(x.other)
	x.pair.Whole()
	close(whole)
	if err := <-ended; err != nil {
		return err
	}
	took, err := x.copied()
	if err != nil {
		return err
	}
	after, err := x.cableBytes()
	if err != nil {
		return err
	}
	x.report.Add(fmt.Sprintf("copy of %d SAs: duration", sas), took.Seconds(), "s", "")
	x.report.Add(fmt.Sprintf("copy of %d SAs: bytes for one", sas), (after-before)/float64(sas), "", "")
	x.report.latency("beside the copy", g.Latencies)
	return nil
}

// copied returns how long the standby took from the beginning of the copy until
// it was in step, by its log.
func (x *replica) copied() (time.Duration, error) {
	var began, ready time.Time
	for _, line := range strings.Split(x.other.Log(), "\n") {
		text, ok := strings.CutPrefix(line, "time=")
		if !ok || !strings.Contains(line, `msg="failover role changed"`) {
			continue
		}
		text, _, _ = strings.Cut(text, " ")
		at, err := time.Parse(time.RFC3339Nano, text)
		switch {
		case err != nil:
			return 0, fmt.Errorf("log of node %s: %w", x.other.Port, err)
		case strings.Contains(line, "to=bulk-sync"):
			began = at
		case strings.Contains(line, "to=standby-ready"):
			ready = at
		}
	}
	if began.IsZero() || ready.Before(began) {
		return 0, fmt.Errorf("node %s does not say when it copied", x.other.Port)
	}
	return ready.Sub(began), nil
}
