package lifecycle

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/warrenvpn/warren/system/texts"
)

// loadFirst is load for the start, when nothing runs that could go on. What is
// wrong with one context stays with that context: instead of what cannot be used
// there is what was used last,
//
//  1. of a server, its last good copy,
//  2. of a context, its part of the newest version in the history, secrets
//     included; a context that has never run is left out,
//  3. the system file of that version, where that is wrong itself.
//
// The problems of the loaded configuration say for which contexts 2 holds, and
// with "" whether 3 does. Without an earlier version a mistake is an error.
func loadFirst(ctx context.Context, path, stateDir string, check Checker, log *slog.Logger) (*loaded, error) {
	src := fetchAll(ctx, path, check)
	l, err := src.load(path, reading{allowStale: true})
	if err != nil && src.fallBack() {
		if again, againErr := src.load(path, reading{allowStale: true}); againErr == nil {
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
	old := newFallback(src, t)
	old.system = true
	if l, oldErr := old.load(path); oldErr == nil {
		l.warnings = append(src.copies(nil), l.warnings...)
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
		log.Error("history not read", "reason", err)
		return nil
	}
	p, err := h.pending()
	if err != nil {
		p = nil
	}
	for _, v := range slices.Backward(h.list) {
		if p.gaveUp(v.Number, time.Now()) {
			continue
		}
		if t, err := h.texts(v.Number); err == nil && t.Path == path {
			return t
		}
	}
	return nil
}
