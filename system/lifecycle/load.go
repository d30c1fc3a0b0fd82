package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
)

// loaded is a configuration with all that it was read from.
type loaded struct {
	conf     *configs.System // nil where there are errors
	texts    *texts.Set
	earlier  bool     // a version that ran before, as it was
	warnings []string // lines for the log
	// places are the files, by their names in diagnostics, of those of warnings that the
	// texts alone are the cause of; "": of no file.
	places map[string]string
	// stale are those of warnings that say that what a server has cannot be used,
	// and its last good copy is.
	stale []string
	// problems are the contexts for which something earlier is used, and "" for the
	// system file.
	problems []fault.ContextError
}

// reading is how the startup configuration is read.
type reading struct {
	// old is what runs: a context whose configuration has a mistake, or cannot be had,
	// goes on as it is there. Without it that is an error.
	old *texts.Set
	// allowStale takes the last good copy where what a server has cannot be used,
	// and counts that as no mistake.
	allowStale bool
}

// readingOf is how a change from is reads the startup configuration.
func readingOf(how Leniency, is *loaded) reading {
	r := reading{allowStale: how.AllowStale}
	if !how.Strict {
		r.old = is.texts
	}
	return r
}

// load reads the startup configuration, after it has asked the servers that have
// parts of it. A configuration that is not valid is a *fault.Error with the
// diagnostics; then the texts are what could be read. Mistakes in the system file
// are nobody else's: they always are an error.
func load(ctx context.Context, path string, check Checker, how reading) (*loaded, error) {
	return fetchAll(ctx, path, check).load(path, how)
}

// peek is load without side effects: no copy is kept of what servers sent.
func peek(ctx context.Context, path string, check Checker, how reading) (*loaded, error) {
	return fetchAll(ctx, path, check).peek(path, how)
}

// load is load with what was fetched.
func (src *source) load(path string, how reading) (*loaded, error) {
	l, err := src.peek(path, how)
	if err != nil {
		return l, err
	}
	l.warnings = append(l.warnings, src.keepCopies(l.problems)...)
	return l, nil
}

// peek is load without side effects: no copy is kept of what servers sent.
func (src *source) peek(path string, how reading) (*loaded, error) {
	l, diags, err := read(src, path)
	src.diags = diags
	var held map[string]bool
	if how.old != nil && (err != nil || len(src.stale) > 0 && !how.allowStale) {
		old := newFallback(src, how.old)
		if !how.allowStale {
			held = src.holdStale(old)
		}
		if part, partErr := old.load(path); partErr == nil {
			l, err = part, nil
		}
	}
	l.stale = src.copies(held)
	l.warnings = append(slices.Clone(l.stale), l.warnings...)
	return l, err
}

// read reads the configuration whose system file is at path.
func read(from configs.Loader, path string) (*loaded, *configs.Diagnostics, error) {
	rec := texts.NewRecorder(from)
	conf, diags := configs.Load(rec, path, host.Machine())
	l := &loaded{conf: conf, texts: rec.Texts(path, conf), places: make(map[string]string)}
	if diags.HasErrors() {
		var text strings.Builder
		if err := diags.Write(&text, 0, false); err != nil {
			return l, diags, err
		}
		return l, diags, &fault.Error{
			Code: fault.CodeRefused, Reason: "the configuration " + path + " is not valid",
			Hint: "`warren validate " + path + "` shows the same; nothing was changed", Detail: text.String(),
		}
	}
	for _, w := range diags.Warnings() {
		line, file := configs.Line(w), ""
		if w.Subject != nil {
			file = w.Subject.Filename
		}
		l.warnings, l.places[line] = append(l.warnings, line), file
	}
	return l, diags, nil
}

// news are the warnings that whoever has made is has not seen: all about a file that has
// changed since, and what was not among the warnings of is. `warren validate` shows all.
func (l *loaded) news(is *loaded) []string {
	changed := make(map[string]bool)
	for _, one := range l.texts.List {
		if was, ok := is.texts.Find(one.At); !ok || !bytes.Equal(was.Body, one.Body) {
			changed[one.At.String()] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(l.warnings), func(w string) bool {
		file, ok := l.places[w]
		return ok && !changed[file] && slices.Contains(is.warnings, w)
	})
}

// tellProblems writes to the log which contexts go on as they were, and why.
func tellProblems(log *slog.Logger, problems []fault.ContextError) {
	for _, p := range problems {
		to := log
		if p.Context != "" {
			to = log.With("tenant", p.Context)
		}
		to.Warn("configuration not taken", "reason", p.Error)
	}
}

// recall reads a version that was kept, but for the contexts that it left out.
func recall(t *texts.Set, check Checker) (*loaded, error) {
	l, _, err := read(checkedSet{t, check}, t.Path)
	l.earlier = true
	return l, err
}

// bare takes operation and path off an error: the diagnostic says them already.
func bare(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
