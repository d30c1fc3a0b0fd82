package pair

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
)

// TestMachine: what is posted runs in the goroutine of the machine, and nothing waits for
// one that has ended.
func TestMachine(t *testing.T) {
	x := newMachine(&configs.System{}, slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	go func() {
		var out failover.Output
		for range 2 {
			f := <-x.calls
			f(time.Now(), &out)
		}
		close(x.ended)
	}()
	ran := 0
	x.post(func(time.Time, *failover.Output) { ran++ })
	if !x.do(func(time.Time, *failover.Output) { ran++ }) || ran != 2 {
		t.Fatalf("%d of 2 calls ran", ran)
	}
	<-x.ended
	for range 2 * beatsSize { // more than there is room for
		x.post(func(time.Time, *failover.Output) { ran++ })
	}
	if ran != 2 {
		t.Errorf("%d calls ran after its end", ran-2)
	}
}
