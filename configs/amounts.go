package configs

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/warrenvpn/warren/resource"
)

// stringOf returns the value if it is text.
func stringOf(v *value) (string, bool) {
	if v.val.Type() != cty.String {
		return "", false
	}
	return v.val.AsString(), true
}

// amountOf returns an absolute amount of a unit.
func amountOf(v *value, u resource.Unit) (float64, bool) {
	const most = 1 << 52 // whole numbers up to here are exact
	if text, ok := stringOf(v); ok {
		switch u {
		case resource.Bytes:
			return parseSize(text)
		case resource.Bits:
			return parseBitrate(text)
		}
		return 0, false
	}
	if v.val.Type() != cty.Number {
		return 0, false
	}
	f, _ := v.val.AsBigFloat().Float64()
	if !(f >= 0 && f <= most) || u != resource.Cores && f != math.Trunc(f) {
		return 0, false
	}
	return f, true
}

func unitRule(u resource.Unit) string {
	switch u {
	case resource.Cores:
		return `a number of cores, such as 0.5, a percentage, such as "50%", or 0 (unlimited)`
	case resource.Bytes:
		return `a size, such as "256MiB", a percentage, such as "10%", or 0 (unlimited)`
	case resource.Bits:
		return `bits per second, such as "100Mbit", a percentage, such as "10%", or 0 (unlimited)`
	case resource.Rate:
		return `a whole number per second, a percentage, such as "50%", or 0 (unlimited)`
	}
	return `a whole number, a percentage, such as "50%", or 0 (unlimited)`
}

func amountText(amount float64, u resource.Unit) string {
	switch u {
	case resource.Bytes:
		return sizeText(amount)
	case resource.Bits:
		return fmt.Sprintf("%gMbit", amount/1e6)
	}
	return fmt.Sprintf("%g", amount)
}

// sizeText writes a size with the longest unit that leaves a number above 1.
func sizeText(bytes float64) string {
	for _, u := range sizeUnits[:3] {
		if bytes >= u.factor {
			return strconv.FormatFloat(math.Round(bytes/u.factor*10)/10, 'f', -1, 64) + u.suffix
		}
	}
	return fmt.Sprintf("%g bytes", bytes)
}

// sizeUnits are the units of sizes, in bytes.
var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// parseSize reads a size with its unit.
func parseSize(text string) (float64, bool) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		count, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 40)
		size := float64(count) * u.factor
		return size, err == nil && size <= 1<<52
	}
	return 0, false
}

// size returns an attribute that is a size, or def.
func (n *node) size(name string, def float64) float64 {
	v, ok := n.get(name)
	if !ok {
		return def
	}
	size, ok := amountOf(v, resource.Bytes)
	if !ok || size == 0 {
		n.wrong(v, `a size, such as "16GiB"`)
		return def
	}
	return size
}

// parseBitrate reads bits per second with their unit, fractions allowed.
func parseBitrate(text string) (float64, bool) {
	for _, u := range []struct {
		suffix string
		factor float64
	}{{"kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}, {"bit", 1}} {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		count, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		rate := math.Floor(count * u.factor)
		return rate, err == nil && rate >= 0 && rate <= 1<<52
	}
	return 0, false
}

// bitrate returns an attribute that is bits per second, or def.
func (n *node) bitrate(name string, def float64) float64 {
	v, ok := n.get(name)
	if !ok {
		return def
	}
	rate, ok := amountOf(v, resource.Bits)
	if !ok || rate == 0 {
		n.wrong(v, `bits per second, such as "1Gbit"`)
		return def
	}
	return rate
}
