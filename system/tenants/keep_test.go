package tenants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/fdstore"
	"github.com/warrenvpn/warren/internal/roottest"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/plan"
)

// shelf is a Keeper in memory.
type shelf struct {
	mu    sync.Mutex // protects files
	files map[string]int
}

func (s *shelf) Keep(name string, f *os.File) error {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = fd
	return nil
}

func (s *shelf) Drop(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd, ok := s.files[name]
	if !ok {
		return fmt.Errorf("%s is not kept", name)
	}
	delete(s.files, name)
	return unix.Close(fd)
}

// hand gives what is kept to the next life.
func (s *shelf) hand(t *testing.T) map[string]*fdstore.Descriptor {
	t.Helper()
	out := make(map[string]*fdstore.Descriptor)
	for name, fd := range s.files {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = fdstore.NewDescriptor(copied)
	}
	return out
}

// Of the network and the group of a worker that is kept before it is started nothing is asked
// but the descriptors.
type (
	noNetwork struct{ spawn.Network }
	noGroup   struct{ spawn.Group }
)

func (noNetwork) Endpoints() []netns.Endpoint { return nil }

// wanted is a context with one interface, as the only one of a configuration.
func wanted(system, name string, mtu int, suspended bool) *plan.Wanted {
	conf := &configs.System{Name: system, Contexts: []configs.Tenant{{Name: name, Suspended: suspended,
		Spec: &spec.Tenant{Name: name, Interfaces: []spec.Interface{{Name: "outside", MTU: mtu}}}}}}
	return plan.Want(conf, nil)[0]
}

// TestUnwanted: of the workers of an earlier life those are ended that no context of the first
// configuration can take up, with all that was kept of them, and no others.
func TestUnwanted(t *testing.T) {
	roottest.Need(t)
	system := fmt.Sprintf("wt-kept-%d", os.Getpid())
	var log bytes.Buffer
	b, _ := loneTenant(&log)
	host, err := netns.OpenHost(system)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	e := b.env
	e.Log = slog.New(slog.DiscardHandler)
	e.Host, e.Records, e.Pair, e.Stderr, e.Groups = host, t.TempDir(), alone{}, os.Stderr, cgroup.Detect(system)
	defer e.Groups.Close()

	keeper := &shelf{files: make(map[string]int)}
	for _, name := range []string{"same", "changed", "gone", "suspended", "stranger"} {
		_, err := spawn.New(&spawn.Config{ // whose supervisor is killed before it starts it
			Tenant: &spec.Tenant{Name: name}, UID: 1 << 20, Network: noNetwork{}, Group: noGroup{}, Stderr: os.Stderr,
			Log: slog.New(slog.DiscardHandler), Keeper: keeper, KeepAs: keptAs(name),
			Note: e.note(wanted(system, name, 1500, false)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	found := spawn.FindKept(keeper, keeper.hand(t), func(as string, err error) { t.Errorf("%s: %v", as, err) })
	e.Kept = &Kept{byName: make(map[string]*spawn.Kept), strangers: map[string]bool{"stranger": true}}
	for as, k := range found {
		e.Kept.byName[as[len(keptPrefix):]] = k
	}
	s := &Tenants{env: e}
	list := s.Unwanted([]*plan.Wanted{
		wanted(system, "same", 1500, false), wanted(system, "changed", 1400, false),
		wanted(system, "suspended", 1500, true), wanted(system, "stranger", 1500, false),
		wanted(system, "new", 1500, false),
	})
	got := make(map[string]error)
	for _, u := range list {
		got[u.name] = u.reason
	}
	want := map[string]error{"changed": errOtherShape, "gone": errGone, "suspended": errSuspended,
		"stranger": errStranger}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })); diff != "" {
		t.Errorf("unwanted (-want +got):\n%s", diff)
	}
	if left := e.Kept.names(); !slices.Equal(left, []string{"same"}) || !e.Kept.frees() {
		t.Errorf("to be taken up: %v, others end: %v", left, e.Kept.frees())
	}
	s.EndKept(t.Context(), list)
	if e.Kept.frees() || e.Kept.awaitEnded(t.Context()) != nil {
		t.Error("the host is not free of them in the end")
	}
	k, _ := e.Kept.take("same")
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	if left := slices.Sorted(maps.Keys(keeper.files)); len(left) > 0 {
		t.Errorf("kept still: %v", left)
	}
}

// TestNewContextsWait: a context that has nothing to take up is not built before those are gone
// that cannot be taken up.
func TestNewContextsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b, _ := loneTenant(&log)
		b.want = wanted("wt", "blue", 1500, false)
		b.env.Kept = &Kept{byName: make(map[string]*spawn.Kept), ending: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		built := make(chan error, 1)
		go func() { built <- b.build(ctx) }()
		synctest.Wait()
		if len(b.env.slots) != 0 || len(built) != 0 {
			t.Error("it waits for nobody")
		}
		cancel()
		if err := <-built; !errors.Is(err, context.Canceled) {
			t.Errorf("stopped while it waits: %v", err)
		}
	})
}
