package system

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
)

// loadFirst is load for the start, when nothing runs that could go on. What is
// wrong with one context stays with that context: instead of what cannot be used
// there is what was used last,
//
//  1. of a server, its last good copy,
//  2. of a context, its part of the newest version in the history, secrets
//     included,
//  3. the system file of that version, where that is wrong itself or names a
//     context that has never run.
//
// The problems of the loaded configuration say for which contexts 2 holds, and
// with "" whether 3 does. Without an earlier version a mistake is an error.
func loadFirst(ctx context.Context, path, stateDir string, log *slog.Logger) (*loaded, error) {
	src := fetchAll(ctx, path)
	l, err := src.load(path)
	if err != nil && src.fallBack() {
		if again, againErr := src.load(path); againErr == nil {
			return again, nil
		}
	}
	if err == nil {
		return l, nil
	}
	t := lastGood(path, stateDir, log)
	if t == nil {
		return l, err
	}
	old := newLastResort(src, t)
	if l, oldErr := old.load(path); oldErr == nil {
		l.warnings = append(slices.Clone(src.warnings), l.warnings...)
		return l, nil
	}
	return l, err
}

// lastGood returns what was running last, nil when nothing is known of it.
func lastGood(path, stateDir string, log *slog.Logger) *texts.Set {
	if _, err := os.Stat(filepath.Join(stateDir, historyDir)); err != nil {
		return nil // nothing has run yet
	}
	h, err := openHistory(stateDir, log.Error)
	if err != nil {
		log.Error("history not read", "reason", err.Error())
		return nil
	}
	p, err := h.pending()
	if err != nil {
		p = nil
	}
	for _, v := range slices.Backward(h.list) {
		if p != nil && v.Number == p.Version && (p.Rejected || !time.Now().Before(p.Deadline)) {
			continue // it was given up
		}
		if t, err := h.texts(v.Number); err == nil && t.Path == path {
			return t
		}
	}
	return nil
}

// lastResort is a configs.Loader of what there is, and of parts of an earlier
// version instead.
type lastResort struct {
	configs.Loader
	old      *texts.Set
	use      map[configs.Location]bool // what is taken from old
	contexts map[string]string         // that are taken from old, and why
	system   string                    // why the system file is; "": it is not
}

func newLastResort(from configs.Loader, old *texts.Set) *lastResort {
	return &lastResort{Loader: from, old: old, use: map[configs.Location]bool{}, contexts: map[string]string{}}
}

// ReadFile implements configs.Loader.
func (o *lastResort) ReadFile(at configs.Location) ([]byte, error) {
	if o.use[at] {
		return o.old.ReadFile(at)
	}
	return o.Loader.ReadFile(at)
}

// LookupEnv implements configs.Loader.
func (o *lastResort) LookupEnv(name string) (string, bool) {
	if o.use[configs.Location{Scheme: texts.SchemeEnv, Path: name}] {
		return o.old.LookupEnv(name)
	}
	return o.Loader.LookupEnv(name)
}

// load takes as little from the old version as makes the configuration valid.
func (o *lastResort) load(path string) (*loaded, error) {
	for {
		l, diags, err := read(o, path)
		if err == nil {
			l.problems = o.problems()
			return l, nil
		}
		if diags == nil || !o.more(diags) {
			return l, err
		}
	}
}

// more takes something from the old version, on account of errors. It returns
// false when there is nothing left that could help.
func (o *lastResort) more(diags *configs.Diagnostics) bool {
	took := false
	mistakes := diags.Mistakes()
	if len(mistakes) == 0 {
		return false
	}
	first := mistakes[0].Line
	for _, one := range mistakes {
		took = o.takeContexts(one.File, one.Line) || took
	}
	for _, one := range o.old.List {
		if o.use[one.At] || len(one.Contexts) == 0 {
			continue
		}
		if one.At.Scheme == texts.SchemeEnv {
			if _, ok := o.Loader.LookupEnv(one.At.Path); !ok {
				took = o.takeAll(one.Contexts, fmt.Sprintf("the variable %s is not set", one.At.Path)) || took
			}
		} else if _, err := o.Loader.ReadFile(one.At); err != nil {
			took = o.takeAll(one.Contexts, fmt.Sprintf("%s: %v", one.At, bare(err))) || took
		}
	}
	switch {
	case took:
		return true
	case o.system == "":
		o.system = first
		for _, one := range o.old.List {
			o.use[one.At] = o.use[one.At] || len(one.Contexts) == 0
		}
		return true
	}
	for _, one := range o.old.List { // what is left contradicts the old system file
		took = o.takeAll(one.Contexts, first) || took
	}
	return took
}

// takeContexts takes those whose configuration is in a file.
func (o *lastResort) takeContexts(file, why string) bool {
	for _, one := range o.old.List {
		if one.Config && len(one.Contexts) > 0 && one.At.String() == file {
			return o.takeAll(one.Contexts, why)
		}
	}
	return false
}

// takeAll takes everything that contexts were made from, except the system file.
func (o *lastResort) takeAll(contexts []string, why string) bool {
	took := false
	for _, name := range contexts {
		if _, done := o.contexts[name]; done {
			continue
		}
		o.contexts[name], took = why, true
		for _, one := range o.old.List {
			o.use[one.At] = o.use[one.At] || slices.Contains(one.Contexts, name)
		}
	}
	return took
}

// problems are what the operator has to see to.
func (o *lastResort) problems() []fault.ContextError {
	var list []fault.ContextError
	const hint = "mend that, then `warren apply`"
	if o.system != "" {
		list = append(list, fault.ContextError{Error: "the last good system file is used instead of the one there: " + o.system, Hint: hint})
	}
	for name, why := range o.contexts {
		list = append(list, fault.ContextError{Context: name, Error: "its last good configuration is used: " + why, Hint: hint})
	}
	sortErrors(list)
	return list
}
