package pair

import (
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/events"
)

// TestKindsOfEvents: every event of the role machine has a kind of its own in the stream,
// which those who read it can ask for.
func TestKindsOfEvents(t *testing.T) {
	seen := map[string]bool{}
	for k := failover.EventRole; !strings.HasSuffix(k.String(), " event"); k++ {
		if kind := kinds[k]; seen[kind] || !slices.Contains(events.FailoverKinds, kind) {
			t.Errorf("%v has the kind %q", k, kind)
		}
		seen[kinds[k]] = true
	}
	if len(seen) != len(events.FailoverKinds) {
		t.Errorf("%d kinds, and %d are known", len(seen), len(events.FailoverKinds))
	}
}
