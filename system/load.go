package system

import (
	"context"
	"errors"
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
	warnings []string // lines for the log
	// stale are those of warnings that say that what a server has cannot be used,
	// and its last good copy is.
	stale []string
	// problems are the contexts for which something earlier is used, and "" for the
	// system file.
	problems []fault.ContextError
}

// load reads the startup configuration, after it has asked the servers that have
// parts of it. A configuration that is not valid is an *fault.Error with the
// diagnostics; then the texts are what could be read.
func load(ctx context.Context, path string) (*loaded, error) { return fetchAll(ctx, path).load(path) }

// look is load for those who only look: what servers have is not kept.
func look(ctx context.Context, path string) (*loaded, error) { return fetchAll(ctx, path).look(path) }

// load is load with what was fetched.
func (src *source) load(path string) (*loaded, error) {
	l, err := src.look(path)
	if err != nil {
		return l, err
	}
	before := len(src.warnings)
	src.keep()
	l.warnings = append(l.warnings, src.warnings[before:]...)
	return l, nil
}

// look is load without keeping what servers have.
func (src *source) look(path string) (*loaded, error) {
	l, diags, err := read(src, path)
	src.diags = diags
	l.warnings = append(slices.Clone(src.warnings), l.warnings...)
	l.stale = slices.Clone(src.stale)
	return l, err
}

// read reads the configuration whose system file is at path.
func read(from configs.Loader, path string) (*loaded, *configs.Diagnostics, error) {
	rec := texts.NewRecorder(from)
	conf, diags := configs.Load(rec, path, host.Machine())
	l := &loaded{conf: conf, texts: rec.Texts(path, conf)}
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
		l.warnings = append(l.warnings, configs.Line(w))
	}
	return l, diags, nil
}

// recall reads a version that was kept.
func recall(t *texts.Set) (*loaded, error) {
	l, _, err := read(t, t.Path)
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
