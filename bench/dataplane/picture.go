package main

import (
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/bench/figure"
)

// chart is a group of bars.
type chart struct {
	title string
	rows  []row
}

type row struct {
	label string
	value float64
	text  string
	ours  bool
}

const (
	barHeight  = 22
	barGap     = 6
	chartGap   = 46
	labelWidth = 150
	barWidth   = 430
	pageWidth  = labelWidth + barWidth + 140
)

// picture is the result as SVG, in colours that are legible on white and on
// black.
func (r *report) picture() []byte {
	var charts []chart
	for _, c := range []struct {
		title, test, format string
		get                 func(*summary) *figure.Spread
	}{
		{"One TCP flow through the gateway, Gbit/s (more is better)", "tcp_up", "%.1f", gbps},
		{"Processor time of the gateway for it, seconds per Gbit (less is better)", "tcp_up", "%.3f", cpuPerGbit},
		{"Packets of 128 bytes, microseconds of the gateway for each (less is better)", "udp_128", "%.2f",
			cpuPerMPacket},
	} {
		ch := chart{title: c.title}
		for _, g := range []string{plain, warren, staticPlane, wireguardGo, strongSwan} {
			if s := r.find(g, g, c.test, 1); s != nil && c.get(s) != nil {
				v := c.get(s).Median
				ch.rows = append(ch.rows, row{g, v, fmt.Sprintf(c.format, v), g == warren || g == staticPlane})
			}
		}
		if len(ch.rows) > 0 {
			charts = append(charts, ch)
		}
	}
	var b strings.Builder
	y := 10
	for _, c := range charts {
		y = c.draw(&b, y)
	}
	fmt.Fprintf(&b, `<text class="s" x="0" y="%d">%s; median of %d rounds. make bench-dataplane</text>`+"\n", y+4,
		escape(r.Machine), r.Rounds)
	return fmt.Appendf(nil,
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" font-family="sans-serif" font-size="14">
<style>text{fill:#777}.t{font-weight:bold}.s{font-size:11px}.o{fill:#2a8f5a}.b{fill:#9aa3ad}</style>
%s</svg>
`, pageWidth, y+14, pageWidth, b.String())
}

// draw draws a chart from y on and returns where it ends.
func (c chart) draw(b *strings.Builder, y int) int {
	most := 0.0
	for _, r := range c.rows {
		most = max(most, r.value)
	}
	y += 14
	fmt.Fprintf(b, `<text class="t" x="0" y="%d">%s</text>`+"\n", y, escape(c.title))
	y += 10
	for _, r := range c.rows {
		class := "b"
		if r.ours {
			class = "o"
		}
		width := max(2, r.value/most*barWidth)
		fmt.Fprintf(b,
			`<text x="0" y="%d">%s</text><rect class="%s" x="%d" y="%d" width="%.0f" height="%d" rx="3"/><text x="%.0f" y="%d">%s</text>`+"\n",
			y+16, escape(r.label), class, labelWidth, y, width, barHeight, labelWidth+width+8, y+16, r.text)
		y += barHeight + barGap
	}
	return y + chartGap - barGap - 20
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
