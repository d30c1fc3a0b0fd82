package lifecycle

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
)

// fallback is a configs.Loader of what there is, in which contexts with a mistake
// are as they were in an earlier version. One that was not there then is left out.
type fallback struct {
	configs.Loader
	old      *texts.Set
	system   bool                      // the system file may be the earlier one, too
	use      map[configs.Location]bool // what is taken from old
	left     map[string]bool           // contexts that are left out
	contexts map[string]string         // that are taken from old or left out, and why
	because  string                    // why the system file is the earlier one; "": it is not
}

func newFallback(from configs.Loader, old *texts.Set) *fallback {
	return &fallback{Loader: from, old: old, use: map[configs.Location]bool{}, left: map[string]bool{},
		contexts: map[string]string{}}
}

// ReadFile implements configs.Loader.
func (f *fallback) ReadFile(at configs.Location) ([]byte, error) {
	if f.use[at] {
		return f.old.ReadFile(at)
	}
	return f.Loader.ReadFile(at)
}

// LookupEnv implements configs.Loader.
func (f *fallback) LookupEnv(name string) (string, bool) {
	if f.use[configs.Location{Scheme: texts.SchemeEnv, Path: name}] {
		return f.old.LookupEnv(name)
	}
	return f.Loader.LookupEnv(name)
}

// Check implements configs.Checker.
func (f *fallback) Check(text []byte) error {
	from, ok := f.Loader.(configs.Checker)
	if !ok {
		return nil
	}
	return from.Check(text)
}

// LeaveOut implements configs.Selective.
func (f *fallback) LeaveOut(context string) bool { return f.left[context] }

// Mode implements configs.ModeReader.
func (f *fallback) Mode(at configs.Location) (fs.FileMode, error) {
	from, ok := f.Loader.(configs.ModeReader)
	if !ok || f.use[at] {
		return 0, fs.ErrNotExist
	}
	return from.Mode(at)
}

// load takes as little from the old version as makes the configuration valid.
func (f *fallback) load(path string) (*loaded, error) {
	for {
		l, diags, err := read(f, path)
		if err == nil {
			l.problems = f.problems()
			return l, nil
		}
		if diags == nil || !f.replaceMore(diags) {
			return l, err
		}
	}
}

// replaceMore replaces something that has an error by the old version of it. It returns
// false when there is nothing left that could help.
func (f *fallback) replaceMore(diags *configs.Diagnostics) bool {
	mistakes := diags.Mistakes()
	if len(mistakes) == 0 {
		return false
	}
	took := false
	for context, why := range reasons(mistakes) {
		took = f.useOld(context, why) || took
	}
	for _, m := range mistakes { // others may have the same file, and it is told once
		if m.Context != "" {
			took = f.useOldFile(m.File, m.Line) || took
		}
	}
	first := mistakes[0].Line
	switch {
	case took || !f.system:
		return took
	case f.because == "":
		f.because = first
		for _, one := range f.old.List {
			f.use[one.At] = f.use[one.At] || len(one.Contexts) == 0
		}
		return true
	}
	for _, one := range f.old.List { // what is left contradicts the old system file
		for _, name := range one.Contexts {
			took = f.useOld(name, first) || took
		}
	}
	return took
}

// reasons are the mistakes of each context as one line.
func reasons(mistakes []configs.Mistake) map[string]string {
	list, count := map[string]string{}, map[string]int{}
	for _, m := range mistakes {
		if m.Context == "" {
			continue
		}
		if count[m.Context]++; count[m.Context] == 1 {
			list[m.Context] = m.Line
		}
	}
	for context, n := range count {
		if n > 1 {
			list[context] += fmt.Sprintf(" (and %d more)", n-1)
		}
	}
	return list
}

// useOldFile takes the contexts whose configuration is in a file.
func (f *fallback) useOldFile(file, why string) bool {
	took := false
	for _, one := range f.old.List {
		if !one.Config || one.At.String() != file {
			continue
		}
		for _, name := range one.Contexts {
			took = f.useOld(name, why) || took
		}
	}
	return took
}

// useOld replaces everything that a context was made from, except the system file, by the
// old version; a context that the old version does not have is left out. why is the mistake.
// It returns false for a context that it was called for before.
func (f *fallback) useOld(context, why string) bool {
	if _, done := f.contexts[context]; done {
		return false
	}
	f.contexts[context], f.left[context] = why, true
	for _, one := range f.old.List {
		if slices.Contains(one.Contexts, context) {
			f.use[one.At], f.left[context] = true, false
		}
	}
	return true
}

// problems are what the operator has to see to.
func (f *fallback) problems() []fault.ContextError {
	var list []fault.ContextError
	const hint = "mend that, then `warren apply`"
	if f.because != "" {
		list = append(list, fault.ContextError{Hint: hint,
			Error: "the last good system file is used instead of the one there: " + f.because})
	}
	for name, why := range f.contexts {
		text := "its last good configuration is used: "
		if f.left[name] {
			text = "it is new, and left out: "
		}
		list = append(list, fault.ContextError{Context: name, Error: text + why, Hint: hint})
	}
	sortErrors(list)
	return list
}
