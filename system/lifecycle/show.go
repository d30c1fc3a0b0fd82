package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
)

// diffContext is how many equal lines stand around what differs.
const diffContext = 3

// RunningConfig returns the texts of what is running, of one context or with "" of the
// system and all contexts. Secrets are stars.
func (l *Lifecycle) RunningConfig(name string) (Texts, error) {
	st := l.snapshot()
	out, err := l.shown(st.running.texts, name)
	out.Version = st.number
	return out, err
}

// StartupConfig is RunningConfig for what the files say, also where that is not valid.
func (l *Lifecycle) StartupConfig(ctx context.Context, name string) (Texts, error) {
	t, err := l.startupTexts(ctx)
	if err != nil && (name != "" || len(t.List) == 0) {
		return Texts{}, err
	}
	return l.shown(t, name)
}

// shown are the files of a configuration without secrets.
func (l *Lifecycle) shown(t *texts.Set, name string) (Texts, error) {
	var out Texts
	for _, one := range t.List {
		if !one.Config || name != "" && !slices.Contains(one.Contexts, name) {
			continue
		}
		text := string(l.redacted(one))
		out.Files = append(out.Files, Text{Name: one.At.String(), Contexts: one.Contexts, Text: text})
	}
	if name != "" && out.Files == nil {
		return out, fault.NoContext(name)
	}
	return out, nil
}

// startupTexts reads the startup configuration as it is, also where it is not
// valid: then the error says why, and files that the running configuration has
// are read by themselves.
func (l *Lifecycle) startupTexts(ctx context.Context) (*texts.Set, error) {
	next, err := l.peek(ctx, reading{allowStale: true})
	if err == nil {
		return next.texts, nil
	}
	t := next.texts
	for _, one := range l.snapshot().running.texts.List {
		i := slices.IndexFunc(t.List, func(x texts.Text) bool { return x.At == one.At })
		if i >= 0 {
			t.List[i].Config, t.List[i].Contexts = one.Config, one.Contexts
			continue
		}
		if body, ok := l.readStored(t, one.At); ok {
			one.Body = body
			t.List = append(t.List, one)
		}
	}
	return t, err
}

// Diff compares the running with the startup configuration.
func (l *Lifecycle) Diff(ctx context.Context) (Diff, error) {
	var out Diff
	startup, err := l.startupTexts(ctx)
	if err != nil {
		out.Problem = err.Error()
		var e *fault.Error
		if errors.As(err, &e) && e.Hint != "" {
			out.Problem = e.Reason
		}
	}
	running := l.snapshot().running.texts
	var b strings.Builder
	for _, one := range union(startup, running) {
		was, existed := startup.Find(one.At)
		is, exists := running.Find(one.At)
		switch {
		case existed && exists && bytes.Equal(was.Body, is.Body):
		case one.Config:
			text, err := unified(one.At.String(), l.redacted(was), l.redacted(is))
			if err != nil {
				return out, err
			}
			b.WriteString(text)
		case !existed:
			fmt.Fprintf(&b, "# %s is part of the running configuration alone\n", one.Name())
		case !exists:
			fmt.Fprintf(&b, "# %s is part of the startup configuration alone\n", one.Name())
		default:
			fmt.Fprintf(&b, "# %s differs; secrets are not shown\n", one.Name())
		}
	}
	out.Text = b.String()
	out.Differs = out.Text != ""
	return out, nil
}

// union are the sources of two configurations, in the order of the second.
func union(a, b *texts.Set) []texts.Text {
	list := slices.Clone(b.List)
	for _, one := range a.List {
		if _, ok := b.Find(one.At); !ok {
			list = append(list, one)
		}
	}
	return list
}

// unified compares two versions of a file, which have no secrets in them, line by line.
func unified(name string, startup, running []byte) (string, error) {
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: lines(startup), B: lines(running),
		FromFile: "startup " + name, ToFile: "running " + name, Context: diffContext,
	})
	if err != nil {
		return "", fmt.Errorf("system: comparing %s: %w", name, err)
	}
	if text == "" {
		return fmt.Sprintf("# %s differs in secrets, which are not shown\n", name), nil
	}
	return text, nil
}

// lines splits a text; every line ends with a line end, and an empty text has
// none.
func lines(b []byte) []string {
	var list []string
	for line := range strings.Lines(string(b)) {
		list = append(list, strings.TrimSuffix(line, "\n")+"\n")
	}
	return list
}
