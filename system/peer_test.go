package system

import (
	"errors"
	"testing"
	"time"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/lifecycle"
)

// TestRestAfter: only a refusal makes a unit wait for long: one that was away for a moment
// gets the configuration as soon as it is there.
func TestRestAfter(t *testing.T) {
	refusal := &fault.Error{Code: fault.CodeRefused, Reason: "a device is missing"}
	for _, tt := range []struct {
		err  error
		want time.Duration
	}{
		{nil, mendInterval},
		{&lifecycle.Unanswered{Err: refusal}, mendInterval}, // the link's own reason
		{refusal, mendRest},
		{errors.New("there is no common part"), mendRest},
	} {
		if got := restAfter(tt.err); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
}
