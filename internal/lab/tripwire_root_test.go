//go:build e2e

package lab

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// recorder is a TB whose errors are those of the lab, not of the test.
type recorder struct {
	*testing.T
	errs    []string
	cleanup []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errs = append(r.errs, fmt.Sprintf(format, args...))
}
func (r *recorder) Cleanup(f func()) { r.cleanup = append(r.cleanup, f) }

// TestTripwire: it is silent about what may pass, and names the first packet that
// may not, whichever way it goes.
func TestTripwire(t *testing.T) {
	tests := []struct {
		name string
		ping Ping
		want string // "": nothing
	}{
		{"outer addresses", Ping{To: "192.0.2.2"}, ""},
		{"outer addresses, IPv6", Ping{To: "2001:db8::2"}, ""},
		{"inside", Ping{From: "10.10.0.1", To: "10.10.0.2"}, "from 10.10.0.1 to 10.10.0.2"},
		{"just beside it", Ping{From: "10.10.8.1", To: "10.10.8.2"}, ""},
		{"inside, IPv6", Ping{From: "fd00:0:0:12::1", To: "fd00:0:0:12::2"}, "from fd00:0:0:12::1 to "},
		{"just beside it, IPv6", Ping{From: "fd00:0:0:20::1", To: "fd00:0:0:20::2"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{T: t}
			l := New(r)
			a, b := l.Namespace("a"), l.Namespace("b")
			l.Veth(a, "eth0", b, "eth0")
			for i, ns := range []*Namespace{a, b} {
				for _, p := range []string{"192.0.2.%d/24", "10.10.0.%d/21", "10.10.8.%d/24", "2001:db8::%d/64",
					"fd00:0:0:12::%d/64", "fd00:0:0:20::%d/64"} {
					ns.Address("eth0", fmt.Sprintf(p, i+1))
				}
			}
			b.Tripwire("eth0", "10.10.0.0/21", "fd00:0:0:10::/60")
			tt.ping.Interval, tt.ping.Timeout = 10*time.Millisecond, 5*time.Second
			a.MustPing(tt.ping)
			for i := len(r.cleanup) - 1; i >= 0; i-- {
				r.cleanup[i]()
			}
			if got := strings.Join(r.errs, "\n"); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
