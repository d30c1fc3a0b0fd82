package lifecycle

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
)

// Startup is a configuration before it runs: what the files say, and after Decide what is
// to be run in their place.
type Startup struct {
	path  string // of the system file
	check Checker
	log   *slog.Logger
	files *loaded // what the files say

	// What follows is known after Decide.

	history *history
	planKey []byte
	ran     *configs.System // what ran last, where that is another version
	chosen  state
}

// PlacesOf returns what the system has for itself. Where the system file at path does
// not say, because it is no HCL, the version knows that ran last, in the default
// state_dir. From then on texts are checked as it says (require_sandbox).
func PlacesOf(path string, check Checker, log *slog.Logger) (configs.Places, error) {
	check = orUnchecked(check)
	places, caged, ok := configs.PlacesOf(host.Files{}, path)
	check.RequireSandbox(caged)
	if ok {
		return places, nil
	}
	_, _, err := read(checkedFiles{host.Files{}, check}, path)
	if t := lastGood(path, configs.DefaultStateDir, log); err != nil && t != nil {
		if places, caged, ok := configs.PlacesOf(t, path); ok {
			check.RequireSandbox(caged)
			return places, nil
		}
	}
	return places, err
}

// Read reads the startup configuration whose system file is at path. It finishes first
// what a crash has cut short of a `write memory`. Where one context has a mistake, an
// earlier version of that context is used. Read blocks until the servers that have parts
// of the configuration have answered, or their time is up.
func Read(ctx context.Context, path, stateDir string, check Checker, log *slog.Logger) (*Startup, error) {
	if err := finishWrite(path, log); err != nil {
		return nil, err
	}
	check = orUnchecked(check)
	files, err := loadFirst(ctx, path, stateDir, check, log)
	if err != nil {
		return nil, err
	}
	for _, w := range files.warnings {
		log.Warn("configuration warning", "text", w)
	}
	tellProblems(log, files.problems)
	return &Startup{path: path, check: check, log: log, files: files}, nil
}

// Files is the configuration that the files have.
func (s *Startup) Files() *configs.System { return s.files.conf }

// Running is the configuration that is to be run, known after Decide.
func (s *Startup) Running() *configs.System { return s.chosen.running.conf }

// Decide opens the history, and decides what is to be run: what the files say, or the
// version before it where that was to be confirmed and has not been. now is the time.
func (s *Startup) Decide(now time.Time) error {
	h, err := openHistory(s.files.conf.StateDir, s.log.Error)
	if err != nil {
		return err
	}
	s.history = h
	if s.planKey, err = h.planKey(); err != nil {
		return err
	}
	p, err := h.pending()
	if err != nil {
		return err
	}
	st := state{running: s.files, pend: p}
	note := version{Time: now, Author: warrend.Name, Origin: "start"}
	if len(s.files.problems) > 0 {
		note.Comment = "in part an earlier version: the files have errors"
	}
	if p != nil {
		if st.running, st.pend, err = s.noted(p, now); err == nil && st.pend == nil {
			err = h.setPending(nil)
		}
		if st.pend != nil && st.pend.Rejected {
			note.Comment = fmt.Sprintf("version %d was not confirmed", p.Version)
		}
	}
	if err != nil {
		return err
	}
	if n := len(h.list); n > 0 && h.list[n-1].Digest != st.running.texts.Digest() {
		s.ran = h.before(p, now, s.check)
	}
	st.number = h.record(note, st.running.texts, st.pend, s.log)
	if st.pend != nil && st.pend.Rejected {
		st.pend.Previous = st.number
		err = h.setPending(st.pend)
	}
	st.versions = h.all()
	s.chosen = st
	return err
}

// noted returns what is to be run where a version waits to be confirmed, or was not, and what
// of that is still so.
func (s *Startup) noted(p *pending, now time.Time) (*loaded, *pending, error) {
	late := p.gaveUp(p.Version, now)
	switch {
	case p.Rejection != nil && s.says(p.Rejection.Version):
		if !late {
			running, err := s.earlier(p.Version)
			return running, p, err
		}
		p = p.Rejection.withPrevious(p.Previous)
	case !s.says(p.Version):
		return s.files, nil, nil // the files were changed since then
	case !late:
		return s.files, p, nil
	}
	running, err := s.instead(p)
	return running, p, err
}

// says tells whether a version is what the files say.
func (s *Startup) says(number int) bool {
	v, ok := s.history.find(number)
	return ok && v.Digest == s.files.texts.Digest()
}

// earlier reads a version that can run in place of what the files say.
func (s *Startup) earlier(number int) (*loaded, error) {
	t, err := s.history.texts(number)
	if err != nil {
		return nil, err
	}
	l, err := recall(t, s.check)
	if err != nil {
		return nil, err
	}
	return l, fixed(s.files.conf, l.conf)
}

// instead reads the version that runs in place of one that was not confirmed.
func (s *Startup) instead(p *pending) (*loaded, error) {
	before, err := s.earlier(p.Previous)
	if err != nil {
		return nil, fmt.Errorf("system: version %d was not confirmed, and version %d cannot be run instead: %w",
			p.Version, p.Previous, err)
	}
	p.Rejected = true
	s.log.Warn("startup configuration not taken: it was not confirmed", "version", p.Version, "instead", p.Previous)
	return before, nil
}
