package spawn

import (
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/spec"
)

// TestHastyWorker asks for routes without end: all that a worker can have is
// there at once, and then no more than the kernel's lock can spare.
func TestHastyWorker(t *testing.T) {
	n := &network{}
	w, err := New(&Config{Tenant: &spec.Tenant{Name: "blue"}, UID: testUID, Network: n, Group: &group{},
		Stderr: os.Stderr, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	body := []byte(`{"add":[{"destination":"10.0.0.0/8"}]}`)
	begin := time.Now()
	refused := 0
	for range arrangeBurst { // each asks for one change, and counts for one itself
		_, err := w.handle(t.Context(), &pipe.Request{Message: control.Message{Kind: control.KindRoutes, Body: body}})
		if errors.Is(err, errHasty) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if most := arrangeBurst/2 + int(arrangeRate*(time.Since(begin).Seconds()+1)); len(n.asked) < arrangeBurst/2 ||
		len(n.asked) > most || refused == 0 {
		t.Errorf("%d changes were made and %d refused, want %d to %d", len(n.asked), refused, arrangeBurst/2, most)
	}
}
