package lifecycle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
)

// originMend is that of a configuration which a unit was given because it had another one.
const originMend = "resync"

// CommonView is what a unit has in common with the other one, for comparison. Secrets are
// stars in it, and counted by digests that are for the other unit alone.
type CommonView struct {
	Digest string // of all
	// Local: it differs on purpose. Waits: a version waits to be confirmed.
	Local, Waits bool
	Files        []CommonFile // none where the view is brief
}

// CommonFile is one file of it, or with Context "" the common part of the system file.
type CommonFile struct {
	Context, Name string // "": its configuration
	Digest        string
	Text          string // without secrets; "": it is a secret itself
}

// Common describes what this unit has in common with the other one.
func (l *Lifecycle) Common(brief bool) (CommonView, error) {
	st := l.snapshot()
	digest, err := l.digests.of(st.running)
	out := CommonView{Digest: digest, Local: l.history.local(), Waits: st.pend.open()}
	if brief || err != nil {
		return out, err
	}
	c, err := commonOf(st.running)
	if err != nil {
		return CommonView{}, err
	}
	out.Files = append(out.Files, CommonFile{Name: "the system file", Digest: digestOf(canonical(c.System)),
		Text: string(configs.Redact(c.System, "system"))})
	for _, f := range c.Files {
		one := CommonFile{Context: f.Context, Name: f.Name, Digest: digestOf(f.Content)}
		if f.Config {
			one.Text = string(configs.Redact(f.Content, f.Name))
		}
		out.Files = append(out.Files, one)
	}
	return out, nil
}

// digest is equal for configurations that are equal on both units.
func (c *JointChange) digest() string {
	body, err := json.Marshal([]any{string(canonical(c.System)), c.Left, c.Files})
	if err != nil {
		panic("lifecycle: internal error: no JSON: " + err.Error())
	}
	return digestOf(body)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// canonical is what a text says, whatever its comments, its spaces and the order of blocks.
func canonical(text []byte) []byte {
	return []byte(strings.Join(configs.Statements(text), "\n"))
}

// Mend gives this unit's configuration to the other one, where they differ, that was not
// meant, and this one is the unit whose configuration wins. It returns whether it has. While
// it only compares, changes go on. Before all that this unit decides what the other one has
// left undecided (inherit).
func (l *Lifecycle) Mend(ctx context.Context) (bool, error) {
	if l.cfg.Other == nil {
		return false, nil
	}
	place := l.cfg.Other.Place()
	if err := l.inherit(ctx, place); err != nil {
		return false, err
	}
	if !place.Alive || !place.Wins {
		return false, nil
	}
	if differs, err := l.toMend(ctx); !differs || err != nil {
		return false, err
	}
	select {
	case <-l.turn:
	default:
		return false, nil // whoever changes it now does so on both
	}
	defer l.unlock()
	l.noteHolder("bringing the other unit along", warrend)
	if differs, err := l.toMend(ctx); !differs || err != nil { // it was a change that has ended since
		return false, err
	}
	change, err := mending(l.snapshot().running)
	if err != nil {
		return false, err
	}
	done, err := l.takeThere(ctx, change)
	if err != nil {
		return false, err
	}
	l.log.Info("configuration given to the peer, which had another one", "count", len(done.Files))
	return true, nil
}

// mending is the change that gives a configuration to the other unit.
func mending(l *loaded) (JointChange, error) {
	change, err := commonOf(l)
	change.Author, change.Origin, change.Write = warrend.Name, originMend, true
	return change, err
}

// toMend tells whether the other unit has another configuration, and that was not meant.
func (l *Lifecycle) toMend(ctx context.Context) (bool, error) {
	st := l.snapshot()
	if st.pend.open() || l.history.local() {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	theirs, err := l.cfg.Other.Common(ctx, true)
	if IsOlder(err) {
		return false, nil // each apply says so
	}
	if err != nil {
		return false, err
	}
	ours, err := l.digests.of(st.running)
	return err == nil && !theirs.Local && (theirs.Digest != ours || theirs.Waits), err
}

// digests keeps the digest of the configuration that was asked for last: it is asked for
// again and again, and a thousand contexts take a while. Its method may be called from
// several goroutines at once.
type digests struct {
	mu     sync.Mutex // protects what follows
	asked  *loaded    // is not changed once it runs
	digest string
}

func (d *digests) of(l *loaded) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked != l {
		c, err := commonOf(l)
		if err != nil {
			return "", err
		}
		d.asked, d.digest = l, c.digest()
	}
	return d.digest, nil
}

// DiffPeer compares what runs on the other unit with what runs here, of one context or with
// "" of all that they have in common. Secrets are stars.
func (l *Lifecycle) DiffPeer(ctx context.Context, name string) (Diff, error) {
	if l.cfg.Other == nil {
		return Diff{}, errors.New("system: there is no other unit")
	}
	ours, err := l.Common(false)
	if err != nil {
		return Diff{}, err
	}
	theirs, err := l.cfg.Other.Common(ctx, false)
	if err != nil {
		return Diff{}, err
	}
	var b strings.Builder
	seen, known := map[string]bool{}, name == ""
	for _, one := range append(append([]CommonFile{}, ours.Files...), theirs.Files...) {
		known = known || one.Context == name
		if seen[one.key()] || name != "" && one.Context != name {
			continue
		}
		seen[one.key()] = true
		text, err := diffFile(one, find(theirs.Files, one.key()), find(ours.Files, one.key()))
		if err != nil {
			return Diff{}, err
		}
		b.WriteString(text)
	}
	if !known {
		return Diff{}, fault.NoContext(name)
	}
	return Diff{Differs: b.Len() > 0, Text: b.String()}, nil
}

func (f *CommonFile) key() string { return f.Context + "\x00" + f.Name }

func find(list []CommonFile, key string) *CommonFile {
	for i := range list {
		if list[i].key() == key {
			return &list[i]
		}
	}
	return nil
}

// diffFile compares one file of both units; nil: that unit does not have it.
func diffFile(one CommonFile, theirs, ours *CommonFile) (string, error) {
	what := one.Name
	switch {
	case one.Context != "" && one.Name == "":
		what = fmt.Sprintf("context %q", one.Context)
	case one.Context != "":
		what = fmt.Sprintf("context %q: %s", one.Context, one.Name)
	}
	switch {
	case ours == nil:
		return fmt.Sprintf("# %s is on the other unit alone\n", what), nil
	case theirs == nil:
		return fmt.Sprintf("# %s is on this unit alone\n", what), nil
	case ours.Digest == theirs.Digest:
		return "", nil
	}
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: lines([]byte(theirs.Text)), B: lines([]byte(ours.Text)),
		FromFile: "other unit, " + what, ToFile: "this unit, " + what, Context: diffContext,
	})
	if err != nil {
		return "", fmt.Errorf("system: comparing %s: %w", what, err)
	}
	if text == "" {
		return fmt.Sprintf("# %s differs in secrets, which are not shown\n", what), nil
	}
	return text, nil
}
