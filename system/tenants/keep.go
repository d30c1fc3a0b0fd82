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
	ending    chan struct{}   // closed when EndKept has returned; nil: it is not to be called
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

// ended returns what is closed when those are gone that cannot be taken up; nil: there is
// nothing to wait for.
func (k *Kept) ended() <-chan struct{} {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ending
}

// frees tells whether some still end that cannot be taken up: the host gets back what they
// have.
func (k *Kept) frees() bool {
	ended := k.ended()
	if ended == nil {
		return false
	}
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// awaitEnded waits until those are gone that cannot be taken up.
func (k *Kept) awaitEnded(ctx context.Context) error {
	ended := k.ended()
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

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

// Why the worker of an earlier life cannot be taken up.
var (
	errStranger   = errors.New("system: its user belongs to somebody else")
	errOtherShape = errors.New("system: its interfaces, or its place in a pair, have changed")
	errSuspended  = errors.New("system: it is suspended")
	errGone       = errors.New("system: it is no longer configured")
)

// fits returns why a worker cannot be taken up as a context, nil where it can. strange is as
// Kept.take has it.
func (e *env) fits(k *spawn.Kept, strange bool, w *plan.Wanted) error {
	switch {
	case w == nil:
		return errGone
	case w.Suspended:
		return errSuspended
	case strange:
		return errStranger
	case k.Note() != e.note(w):
		return errOtherShape
	}
	return nil
}

// takeUp is adopt, which on error has touched nothing, and k is still the caller's.
func (t *tenant) takeUp(k *spawn.Kept, strange bool, w *plan.Wanted) (*parts, error) {
	if err := t.env.fits(k, strange, w); err != nil {
		return nil, err
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

// Unwanted is the worker of an earlier life that no context can take up.
type Unwanted struct {
	name   string
	kept   *spawn.Kept
	reason error
}

// Unwanted takes those workers of an earlier life that cannot be taken up by the contexts of
// a list, the first one: these are gone or suspended, or have other interfaces now. Contexts
// that are built anew wait until EndKept, which must be called, has returned: they may need
// what those workers have. Contexts that take up theirs wait for nothing.
func (s *Tenants) Unwanted(list []*plan.Wanted) []Unwanted {
	kept := s.env.Kept
	if !kept.Any() {
		return nil
	}
	wants := make(map[string]*plan.Wanted)
	for _, w := range list {
		wants[w.Name] = w
	}
	kept.mu.Lock()
	defer kept.mu.Unlock()
	var out []Unwanted
	for name, k := range kept.byName {
		if reason := s.env.fits(k, kept.strangers[name], wants[name]); reason != nil {
			out = append(out, Unwanted{name, k, reason})
			delete(kept.byName, name)
		}
	}
	if out != nil {
		kept.ending = make(chan struct{})
	}
	return out
}

// EndKept ends workers of an earlier life, and returns when nothing is left of them.
func (s *Tenants) EndKept(ctx context.Context, list []Unwanted) {
	if list == nil {
		return
	}
	defer close(s.env.Kept.ending)
	turns := make(chan struct{}, builders)
	var ending sync.WaitGroup
	for _, u := range list {
		ending.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if err := s.env.dismiss(ctx, u.name, u.kept); err != nil {
				s.env.Log.Error("context not wholly removed", "tenant", u.name, "reason", err)
				return
			}
			s.env.Log.Info("context of an earlier process ended", "tenant", u.name, "reason", u.reason)
		})
	}
	ending.Wait()
}

// endOwn ends the worker of an earlier life that was the context's, and that it has not taken
// up.
func (t *tenant) endOwn(ctx context.Context) {
	k, _ := t.env.Kept.take(t.name)
	if k == nil {
		return
	}
	if err := t.env.dismiss(ctx, t.name, k); err != nil {
		t.log.Error("context not wholly removed", "reason", err)
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
