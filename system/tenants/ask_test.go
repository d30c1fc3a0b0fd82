package tenants

import (
	"testing"

	"github.com/warrenvpn/warren/context/spawn"
)

// TestUnreadySaysWhy: also of a worker that was replaced between a question and its
// error.
func TestUnreadySaysWhy(t *testing.T) {
	tests := []struct {
		status spawn.Status
		want   string
	}{
		{spawn.Status{Reason: "starting"}, "starting"},
		{spawn.Status{Ready: true}, "its worker has been replaced meanwhile"},
		{spawn.Status{Ready: true, Reason: "the worker has died"}, "its worker has been replaced meanwhile"},
	}
	for _, tt := range tests {
		if got := unready(tt.status); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.status, got, tt.want)
		}
	}
}
