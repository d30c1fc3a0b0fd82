package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/warrenvpn/warren/bench/figure"
)

// report is the whole result.
type report struct {
	Machine string         `json:"machine"`
	Rounds  int            `json:"rounds"`
	Seconds int            `json:"seconds"`
	Grouped bool           `json:"grouped"` // every daemon has a control group
	Runs    []*measurement `json:"runs"`
	Summary []*summary     `json:"summary"`
	Ratios  []ratio        `json:"ratios"`
	// Fairness is measured once, after the rounds.
	Fairness []*fairness `json:"fairness"`
}

// summary is what all rounds of one test came to.
type summary struct {
	Gateway       string         `json:"gateway"`
	Client        string         `json:"client"`
	Clients       int            `json:"clients"`
	Test          string         `json:"test"`
	Gbps          figure.Spread  `json:"gbps"`
	PPS           *figure.Spread `json:"pps"`
	CPUPerGbit    *figure.Spread `json:"cpu_s_per_gbit"`
	CPUPerMPacket *figure.Spread `json:"cpu_s_per_mpacket"`
	LostPercent   figure.Spread  `json:"lost_percent"`
	AllPerGbit    figure.Spread  `json:"machine_cpu_s_per_gbit"`
}

// ratio compares two medians.
type ratio struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Aim   float64 `json:"aim"` // at least; 0: none
}

// add keeps a measurement and prints it at once.
func (r *report) add(m *measurement) {
	r.Runs = append(r.Runs, m)
	line := fmt.Sprintf("%-13s %-13s %d  %-9s %d  %7.3f Gbit/s", m.Gateway, m.Client, m.Clients, m.Test,
		m.Round, m.Gbps)
	if m.CPUPerGbit != nil {
		line += fmt.Sprintf("  %6.3f s/Gbit", *m.CPUPerGbit)
	}
	if m.PPS != nil {
		line += fmt.Sprintf("  %8.0f pps  %5.1f %% lost", *m.PPS, m.LostPercent)
	}
	if m.PPS == nil {
		line += fmt.Sprintf("  %4.0f retransmitted", m.Retransmits)
	}
	if m.CPUPerMPacket != nil {
		line += fmt.Sprintf("  %6.2f s/Mpkt", *m.CPUPerMPacket)
	}
	fmt.Println(line)
}

// summarise makes summaries and ratios of the runs.
func (r *report) summarise() {
	type key struct {
		gateway, client, test string
		clients               int
	}
	of := map[key][]*measurement{}
	var order []key
	for _, m := range r.Runs {
		k := key{m.Gateway, m.Client, m.Test, m.Clients}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], m)
	}
	for _, k := range order {
		ms := of[k]
		r.Summary = append(r.Summary, &summary{
			Gateway: k.gateway, Client: k.client, Clients: k.clients, Test: k.test,
			Gbps:          *spreadOf(ms, func(m *measurement) *float64 { return &m.Gbps }),
			PPS:           spreadOf(ms, func(m *measurement) *float64 { return m.PPS }),
			CPUPerGbit:    spreadOf(ms, func(m *measurement) *float64 { return m.CPUPerGbit }),
			CPUPerMPacket: spreadOf(ms, func(m *measurement) *float64 { return m.CPUPerMPacket }),
			LostPercent:   *spreadOf(ms, func(m *measurement) *float64 { return &m.LostPercent }),
			AllPerGbit:    *spreadOf(ms, func(m *measurement) *float64 { return &m.AllPerGbit }),
		})
	}
	r.compare()
}

func spreadOf(ms []*measurement, get func(*measurement) *float64) *figure.Spread {
	var vs []float64
	for _, m := range ms {
		if v := get(m); v != nil {
			vs = append(vs, *v)
		}
	}
	if len(vs) == 0 {
		return nil
	}
	s := figure.SpreadOf(vs)
	return &s
}

// find returns the summary of a test.
func (r *report) find(gateway, client, test string, clients int) *summary {
	for _, s := range r.Summary {
		if s.Gateway == gateway && s.Client == client && s.Test == test && s.Clients == clients {
			return s
		}
	}
	return nil
}

func gbps(s *summary) *figure.Spread          { return &s.Gbps }
func cpuPerGbit(s *summary) *figure.Spread    { return s.CPUPerGbit }
func cpuPerMPacket(s *summary) *figure.Spread { return s.CPUPerMPacket }

// compare makes the ratios. More than 1 is in favour of warren in each.
func (r *report) compare() {
	own := func(test string, clients int) *summary { return r.find(warren, warren, test, clients) }
	wg := func(test string, clients int) *summary { return r.find(wireguardGo, wireguardGo, test, clients) }
	swan := func(test string, clients int) *summary { return r.find(strongSwan, strongSwan, test, clients) }
	mixed := func(test string) *summary { return r.find(warren, strongSwan, test, 1) }
	if own("tcp_up", 1) == nil && own("udp_128", 1) == nil {
		own = func(test string, clients int) *summary { return r.find(staticPlane, staticPlane, test, clients) }
	}
	for _, t := range []string{"tcp_up", "tcp_down", "tcp_4"} {
		r.ratio(t+": Gbit/s, warren to wireguard-go", own(t, 1), wg(t, 1), gbps, 2)
		r.inverse(t+": CPU-seconds per Gbit, wireguard-go to warren", own(t, 1), wg(t, 1), cpuPerGbit, 2)
		r.ratio(t+": Gbit/s, warren to strongSwan", own(t, 1), swan(t, 1), gbps, 8)
	}
	for _, t := range []string{"tcp_up", "tcp_down"} {
		r.ratio(t+", 4 clients: Gbit/s, warren to wireguard-go", own(t, 4), wg(t, 4), gbps, 2)
		r.inverse(t+", 4 clients: CPU-seconds per Gbit, wireguard-go to warren", own(t, 4), wg(t, 4), cpuPerGbit, 2)
	}
	for _, t := range []string{"udp_1300", "udp_128"} {
		r.inverse(t+": packets per CPU-second, warren to wireguard-go", own(t, 1), wg(t, 1), cpuPerMPacket, 2)
	}
	for _, t := range []string{"tcp_up", "tcp_down", "tcp_4"} {
		r.inverse(t+", strongSwan client: CPU-seconds per Gbit, strongSwan to warren", mixed(t), swan(t, 1),
			cpuPerGbit, 0)
	}
	for _, t := range []string{"udp_1300", "udp_128"} {
		r.inverse(t+", strongSwan client: packets per CPU-second, warren to strongSwan", mixed(t), swan(t, 1),
			cpuPerMPacket, 0)
	}
}

// ratio adds a's figure over b's, where both were measured.
func (r *report) ratio(name string, a, b *summary, get func(*summary) *figure.Spread, aim float64) {
	if a == nil || b == nil || get(a) == nil || get(b) == nil {
		return
	}
	r.Ratios = append(r.Ratios, ratio{name, get(a).Median / get(b).Median, aim})
}

// inverse is ratio for figures of which less is better.
func (r *report) inverse(name string, a, b *summary, get func(*summary) *figure.Spread, aim float64) {
	r.ratio(name, b, a, get, aim)
}

// print prints summaries and ratios.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s; %d rounds of %d s; median (min to max)\n\n", r.Machine, r.Rounds, r.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "test\tclients\tgateway\tclient\tGbit/s\t\tCPU-s/Gbit\t\tkpackets/s\tCPU-s/Mpacket\t\tlost")
	for _, test := range tests {
		for _, s := range r.Summary {
			if s.Test != test.name {
				continue
			}
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t", s.Test, s.Clients, s.Gateway, s.Client, text(&s.Gbps, "%.2f"),
				text(s.CPUPerGbit, "%.3f"))
			kpps := "-"
			if s.PPS != nil {
				kpps = fmt.Sprintf("%.0f", s.PPS.Median/1000)
			}
			lost := "-"
			if test.udp {
				lost = fmt.Sprintf("%.1f %%", s.LostPercent.Median)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", kpps, text(s.CPUPerMPacket, "%.2f"), lost)
		}
	}
	t.Flush()
	fmt.Fprintln(w)
	for _, q := range r.Ratios {
		aim := ""
		if q.Aim > 0 {
			aim = fmt.Sprintf("   (aim: %.1f)", q.Aim)
		}
		fmt.Fprintf(w, "%-75s %6.2f%s\n", q.Name, q.Value, aim)
	}
}

// text is the median in one column and the range in the next.
func text(s *figure.Spread, format string) string {
	if s == nil {
		return "-\t"
	}
	return fmt.Sprintf(format+"\t("+format+" to "+format+")", s.Median, s.Min, s.Max)
}

// encode is the report as JSON.
func (r *report) encode() []byte {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic("dataplane: internal error: " + err.Error())
	}
	return append(b, '\n')
}
