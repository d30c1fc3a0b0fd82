package tenants

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/fdstore"
	"github.com/warrenvpn/warren/system/plan"
)

// leaveTimeout bounds how long all workers together are told that the supervisor ends.
const leaveTimeout = time.Second

// keptPrefix is what the names of workers begin with in the keeper.
const keptPrefix = "context/"

func keptAs(name string) string { return keptPrefix + name }

// Kept are the workers of an earlier life of the supervisor that nobody has taken up
// yet, by context. Its methods may be called from several goroutines at once; a nil Kept
// has none.
type Kept struct {
	mu        sync.Mutex // protects what follows
	byName    map[string]*spawn.Kept
	strangers map[string]bool // that must not be taken up
}

// FindKept returns the workers that an earlier life of the supervisor has left in a
// store. It takes the descriptors over. What is of no use is dropped, and told to
// report.
func FindKept(store *fdstore.Store, list []fdstore.Kept, report func(name string, err error)) *Kept {
	files := make(map[string]*fdstore.Descriptor)
	for _, k := range list {
		if files[k.Name] != nil { // nobody of us has kept it
			k.Close()
			continue
		}
		files[k.Name] = k.Descriptor
	}
	out := &Kept{byName: make(map[string]*spawn.Kept), strangers: make(map[string]bool)}
	for as, k := range spawn.FindKept(store, files, report) {
		name, ok := strings.CutPrefix(as, keptPrefix)
		if !ok || name == "" || strings.Contains(name, "/") {
			report(as, errors.Join(errors.New("it is no context"), k.Close()))
			continue
		}
		out.byName[name] = k
	}
	return out
}

// Has tells whether there is the worker of a context.
func (k *Kept) Has(name string) bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byName[name] != nil
}

// reserve takes the users of the workers, so that no other context gets one. A worker
// whose user is not to be had must not be taken up.
func (k *Kept) reserve(u *uids) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, one := range k.byName {
		k.strangers[name] = !u.take(name, one.UID())
	}
}

// take returns the worker of a context, nil for none, to one caller, and whether it
// must not be taken up.
func (k *Kept) take(name string) (found *spawn.Kept, strange bool) {
	if k == nil {
		return nil, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	found = k.byName[name]
	delete(k.byName, name)
	return found, k.strangers[name]
}

// names returns those that nobody has taken up.
func (k *Kept) names() []string {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.byName))
}

// Any tells whether there are workers that nobody has taken up yet.
func (k *Kept) Any() bool { return len(k.names()) > 0 }

// note is what the next process has to find the same of a context whose worker it takes
// up: its shape, and of a pair the unit.
func (e *env) note(w *plan.Wanted) string {
	if twin := e.Pair.Twin(w); twin != nil {
		return w.Shape() + " " + twin.Unit.String()
	}
	return w.Shape()
}

// recordOf is the record of what a context has taken from the host.
func (e *env) recordOf(name string) string { return filepath.Join(e.Records, name+".json") }

// adopt takes up the parts of a context that an earlier life of the supervisor has
// left. It returns nil where there is nothing that can be taken up, and nothing is left
// then of what there was.
func (t *tenant) adopt(ctx context.Context, w *plan.Wanted) (*parts, error) {
	k, strange := t.env.Kept.take(t.name)
	if k == nil {
		return nil, nil
	}
	p, err := t.takeUp(k, strange, w)
	if err == nil {
		t.log.Info("context taken up from an earlier process", "namespace", w.Namespace)
		return p, nil
	}
	t.log.Warn("context of an earlier process cannot be taken up, and is built anew", "reason", err)
	return nil, t.env.dismiss(ctx, t.name, k)
}

// errOtherShape is for a context that cannot be changed in place.
var errOtherShape = errors.New("system: its interfaces, or its place in a pair, have changed")

// takeUp is adopt, which on error has touched nothing, and k is still the caller's.
func (t *tenant) takeUp(k *spawn.Kept, strange bool, w *plan.Wanted) (*parts, error) {
	switch {
	case strange:
		return nil, errors.New("system: its user belongs to somebody else")
	case k.Note() != t.env.note(w):
		return nil, errOtherShape
	}
	group, err := t.makeGroup(w)
	if err != nil {
		return nil, err
	}
	gateway, err := netns.Adopt(t.networkConfig(w), k.Endpoints())
	if err != nil {
		return nil, err
	}
	worker, err := spawn.Adopt(t.workerConfig(w, gateway, group), k)
	if err != nil {
		gateway.Leave()
		return nil, err
	}
	return &parts{worker, gateway, group}, nil
}

// dismiss ends a worker of an earlier life and takes away all that it had.
func (e *env) dismiss(ctx context.Context, name string, k *spawn.Kept) error {
	log := e.Log.With("tenant", name)
	err := spawn.Dismiss(ctx, &spawn.Config{
		Tenant: &spec.Tenant{Name: name}, Stderr: e.Stderr, LogFormat: e.LogFormat, Log: log,
	}, k)
	if err != nil {
		log.Error("worker of an earlier process not wholly ended", "reason", err)
	}
	if err := errors.Join(deleteGroup(e.Groups.Open(name)), e.Host.Recover(e.recordOf(name))); err != nil {
		return fmt.Errorf("system: taking away what an earlier process has left: %w", err)
	}
	return nil
}

// EndKept ends the workers of an earlier life that no context of the present
// configuration has taken up: those contexts are gone.
func (s *Tenants) EndKept(ctx context.Context) {
	for _, name := range s.env.Kept.names() {
		if t := s.tenant(name); t != nil && !t.view().want.Suspended {
			continue // it will take its own up
		}
		k, _ := s.env.Kept.take(name)
		if k == nil {
			continue
		}
		if err := s.env.dismiss(ctx, name, k); err != nil {
			s.env.Log.Error("context not wholly removed", "tenant", name, "reason", err)
			continue
		}
		s.env.Log.Info("context of an earlier process ended: it is no longer configured", "tenant", name)
	}
}

// Leave tells all workers that this process ends in order, and leaves them to the next
// one: nothing is taken apart. Tenants are of no more use.
func (s *Tenants) Leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	var telling sync.WaitGroup
	for _, t := range s.list() {
		t.mu.Lock()
		w := t.worker
		t.mu.Unlock()
		if w == nil {
			continue
		}
		telling.Go(func() {
			if err := w.Leave(ctx); err != nil {
				t.log.Warn("worker not told that the supervisor ends", "reason", err)
			}
		})
	}
	telling.Wait()
}
