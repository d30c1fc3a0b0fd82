package tenants

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/system/plan"
)

// fakeLinks are links of which the test says what is wrong with them.
type fakeLinks struct {
	mu     sync.Mutex // protects faults
	faults map[string]netns.Fault
	events chan map[string]netns.Fault
}

func (f *fakeLinks) Faults() map[string]netns.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.faults
}

func (f *fakeLinks) WatchLinks(ctx context.Context, changed func()) {
	changed()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-f.events:
			f.mu.Lock()
			f.faults = now
			f.mu.Unlock()
			changed()
		}
	}
}

// loneTenant is a context without anything that runs; changed has something after a
// change of its state.
func loneTenant(log *bytes.Buffer) (t *tenant, changed <-chan struct{}) {
	c := make(chan struct{}, 1)
	s := New(&Config{Changed: func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}})
	t = &tenant{env: s.env, name: "blue", log: slog.New(slog.NewTextHandler(log, nil)), want: &plan.Wanted{}}
	s.byName["blue"] = t
	return t, c
}

// TestLinksAreWatched: a context without a twin notices what becomes of its links,
// and says so.
func TestLinksAreWatched(t *testing.T) {
	var log bytes.Buffer
	b, changed := loneTenant(&log)
	f := &fakeLinks{events: make(chan map[string]netns.Fault)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.watchLinks(ctx, f) }()
	said := func() (list []string) {
		for _, p := range b.problems() {
			list = append(list, p.Context+" "+p.Error+"; "+p.Hint)
		}
		return list
	}
	const back, up = "; it is taken again by itself, as soon as the host has the device",
		"; somebody has set it down; `warren reload` sets it up"
	for _, step := range []struct {
		faults map[string]netns.Fault
		want   []string
	}{
		{map[string]netns.Fault{"outside": netns.NoCarrier},
			[]string{"blue interface outside: its device has no carrier; "}},
		{map[string]netns.Fault{"outside": netns.LinkDown, "inside": netns.DeviceGone},
			[]string{"blue interface inside: its device is gone" + back, "blue interface outside: its device is down" +
				up}},
		{nil, nil},
	} {
		<-changed // the change before is known
		f.events <- step.faults
		f.events <- step.faults // which is taken when the first one is done
		if got := said(); !slices.Equal(got, step.want) {
			t.Errorf("%v: got %q, want %q", step.faults, got, step.want)
		}
	}
	cancel()
	<-done
	for _, want := range []string{
		`level=WARN msg="interface lost" interface=outside reason="its device has no carrier"`,
		`level=WARN msg="interface lost" interface=inside reason="its device is gone"`,
		`level=INFO msg="interface is back" interface=inside`, `level=INFO msg="interface is back" interface=outside`,
	} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("the log has not once %q:\n%s", want, &log)
		}
	}
}
