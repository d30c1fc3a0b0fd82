package lifecycle

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/internal/durable"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// Basis is what a plan was made from, and what it comes to: as long as a new plan would
// have the same one, applying does exactly what the plan says. It names files and holds
// no text and no secret: digests are made with a key that state_dir has (planKeyName).
type Basis struct {
	Path string // of the system file
	// Running is the version that ran, and RunningDigest is that of its texts.
	Running       int
	RunningDigest string
	Sources       []Source // all that the startup configuration was read from
	Steps         []string // that were to be taken, in order, with their effects
	// Held are the contexts that were to go on as they run, because of a mistake in
	// their configuration.
	Held []string
	// Strict and AllowStale are those of the Leniency.
	Strict, AllowStale bool
}

// Source is one thing that a configuration was read from.
type Source struct {
	Name   string // of a file, a URL or a variable
	Digest string
}

// basisOf is the Basis of a change from what is running to next.
func (l *Lifecycle) basisOf(next *loaded, st state, steps []plan.Step, how Leniency) Basis {
	b := Basis{Path: l.path, Running: st.number, RunningDigest: l.digest([]byte(st.running.texts.Digest())),
		Strict: how.Strict, AllowStale: how.AllowStale}
	for _, one := range next.texts.List {
		b.Sources = append(b.Sources, Source{one.Name(), l.digest(one.Body)})
	}
	for _, s := range steps {
		b.Steps = append(b.Steps, fmt.Sprintf("%s (SAs: %s)", s, s.SAs))
	}
	for _, p := range next.problems {
		b.Held = append(b.Held, p.Context)
	}
	return b
}

// digest is equal for equal texts, and tells nobody who has no key what the text is.
func (l *Lifecycle) digest(text []byte) string {
	mac := hmac.New(sha256.New, l.planKey)
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}

// check refuses a plan that was made from something else than there is now.
func (made *Basis) check(now Basis) error {
	since := made.since(now)
	if len(since) == 0 {
		return nil
	}
	return &fault.Error{
		Code: fault.CodeRefused, Reason: "the plan does not hold any more, so nothing was changed",
		Detail: strings.Join(since, "\n") + "\n", Hint: "`warren plan --out FILE` makes another one",
	}
}

// since says what has changed since a plan was made.
func (made *Basis) since(now Basis) []string {
	var list []string
	tell := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if made.Path != now.Path {
		tell("it is a plan for %s, and warrend runs %s", made.Path, now.Path)
		return list
	}
	switch {
	case made.Running != now.Running:
		tell("version %d runs, and version %d ran then", now.Running, made.Running)
	case made.RunningDigest != now.RunningDigest:
		tell("version %d that runs is another one", now.Running)
	}
	was := map[string]string{}
	for _, s := range made.Sources {
		was[s.Name] = s.Digest
	}
	for _, s := range now.Sources {
		digest, known := was[s.Name]
		switch {
		case !known:
			tell("%s was not there, or nothing named it", s.Name)
		case digest != s.Digest:
			tell("%s has changed", s.Name)
		}
		delete(was, s.Name)
	}
	for _, s := range made.Sources {
		if _, gone := was[s.Name]; gone {
			tell("%s is gone, or nothing names it any more", s.Name)
		}
	}
	for _, name := range now.Held {
		if !slices.Contains(made.Held, name) {
			tell("the configuration of context %q cannot be used", name)
		}
	}
	for _, name := range made.Held {
		if !slices.Contains(now.Held, name) {
			tell("the configuration of context %q can be used again", name)
		}
	}
	if list != nil {
		return list
	}
	return stepsSince(made.Steps, now.Steps)
}

// stepsSince says what would be done otherwise: the same texts lead elsewhere where the
// contexts, or the machine, are not as they were.
func stepsSince(made, now []string) (list []string) {
	if slices.Equal(made, now) {
		return nil
	}
	for _, s := range now {
		if !slices.Contains(made, s) {
			list = append(list, "it would now "+s)
		}
	}
	for _, s := range made {
		if !slices.Contains(now, s) {
			list = append(list, "it would not any more "+s)
		}
	}
	if list == nil {
		list = append(list, "it would take its steps in another order")
	}
	return list
}

// planKeyName is the file of the key of digests, beside the versions: plans hold when
// warrend was started again.
const planKeyName = "plan.key"

// planKey returns the key, which it makes where there is none.
func (h *history) planKey() ([]byte, error) {
	path := filepath.Join(h.dir, planKeyName)
	key, err := os.ReadFile(path)
	if err == nil && len(key) == sha256.Size {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("system: reading the key of plans: %w", err)
	}
	key = make([]byte, sha256.Size)
	rand.Read(key)
	if err := durable.Write(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("system: keeping the key of plans: %w", err)
	}
	return key, nil
}
