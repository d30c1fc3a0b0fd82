package api

import (
	"context"
	"fmt"
	"net/http"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/warrenvpn/warren/system/fault"
)

// Configurations is the part of a Backend that changes what is running. There
// is one change at a time: a second one is refused at once.
//
// The startup configuration is what the files say and the next start loads; the
// running one is what warrend runs, and is kept with those before it as numbered
// versions.
type Configurations interface {
	// Plan says what Apply would do now, and changes nothing.
	Plan(ctx context.Context, how Leniency) (Plan, error)

	// Apply makes the startup configuration the running one: all of it, or on any
	// error nothing. A context with a mistake in its own configuration goes on as it
	// runs, or is left out where it is new, and decides nothing for the others; a
	// mistake in the system file is everybody's.
	Apply(ctx context.Context, by Author, how Apply) (Applied, error)

	// Confirm keeps what an Apply or Rollback with Confirm has made.
	Confirm(ctx context.Context, by Author) (Version, error)

	// Rollback makes an earlier version the running one, as Apply does. The
	// startup configuration stays as it is.
	Rollback(ctx context.Context, by Author, how Rollback) (Applied, error)

	// WriteMemory makes the running configuration the startup configuration.
	WriteMemory(ctx context.Context, by Author) (Written, error)

	// RunningConfig and StartupConfig return the texts, of one context or of the
	// system and all contexts. Secrets are stars.
	RunningConfig(ctx context.Context, name string) (ConfigTexts, error)
	StartupConfig(ctx context.Context, name string) (ConfigTexts, error)

	// Diff compares the running with the startup configuration.
	Diff(ctx context.Context) (Diff, error)

	// History lists the versions that are kept, oldest first.
	History(ctx context.Context) (History, error)

	// Reload makes the startup configuration the running one as far as it can be,
	// and touches only what changed. A system file that is not valid changes nothing:
	// then the error is a *fault.Error with code CodeRefused, whose Detail is the
	// diagnostics' text. Contexts with a mistake in their own configuration, and
	// those that could not follow, are in Reload.Errors.
	Reload(ctx context.Context, by Author, how Leniency) (Reload, error)
}

// Leniency is what a change does about contexts whose configuration has a mistake or
// cannot be had from its server. By default they go on as they run, and are named.
type Leniency struct {
	// Strict refuses the change of all.
	Strict bool `json:"strict,omitempty" about:"a mistake in one context refuses the change of all"`
	// AllowStale takes the last good copy where what a server has cannot be used.
	AllowStale bool `json:"allow_stale,omitempty" about:"take the last good copy where what a server has cannot be used"`
	// Local changes this unit of a pair alone.
	Local bool `json:"local,omitempty" about:"change this unit of a pair alone"`
}

// Author is who changes a configuration.
type Author struct {
	UID  int
	Name string
}

// Action is what happens to a context.
type Action string

// The actions of a plan.
const (
	ActionCreate    Action = "create"
	ActionConfigure Action = "configure" // in place
	ActionRebuild   Action = "rebuild"   // with a new namespace
	ActionSuspend   Action = "suspend"
	ActionResume    Action = "resume"
	ActionRemove    Action = "remove"
)

// Effect is what a step does to the SAs of its context.
type Effect string

// The effects of steps.
const (
	EffectNone    Effect = "none"     // there are none
	EffectStay    Effect = "stay"     // all stay
	EffectSomeEnd Effect = "some_end" // those that the change concerns end, with a DELETE, or are rekeyed
	EffectEnd     Effect = "end"      // all end, with a DELETE
)

// Step is what a plan does to one context.
type Step struct {
	Context string         `json:"context"`
	Action  Action         `json:"action"`
	SAs     Effect         `json:"sas"`
	Why     string         `json:"why"`
	Changes []ConfigChange `json:"changes"`
}

// ConfigChange is one attribute or block that differs. Secrets are stars: two
// equal values are different secrets.
type ConfigChange struct {
	File string `json:"file"`
	// Block leads to it: `context "blue"`, `tunnel_group "staff" ikev2`; "" at
	// the top of the file.
	Block     string `json:"block"`
	Attribute string `json:"attribute,omitempty"` // "": the block as a whole
	Change    string `json:"change"`              // "added", "changed", "removed"
	Old       string `json:"old,omitempty"`
	New       string `json:"new,omitempty"`
}

// Plan is what would be done.
type Plan struct {
	Steps    []Step   `json:"steps"`
	Warnings []string `json:"warnings"`
	// Problems are what stands against it now. A context whose own configuration
	// cannot be used would go on as it runs; against all else Apply refuses.
	Problems []fault.ContextError `json:"problems"`
	// Basis is what it was made from, for an Apply that does just this; nil unless it
	// was asked for.
	Basis *Basis `json:"basis,omitempty"`
}

// Basis is what a plan was made from. Only the supervisor that made it can tell whether it
// still holds.
type Basis struct {
	Path          string       `json:"path"`    // of the system file
	Running       int          `json:"running"` // the version that ran
	RunningDigest string       `json:"running_digest"`
	Sources       []PlanSource `json:"sources"` // all that the configuration was read from
	Steps         []string     `json:"steps"`
	Held          []string     `json:"held"` // contexts that were to go on as they run
	Strict        bool         `json:"strict,omitempty"`
	AllowStale    bool         `json:"allow_stale,omitempty"`
}

// PlanSource is one thing that a configuration was read from.
type PlanSource struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // with a key that the supervisor has
}

// Apply is how a configuration is applied.
type Apply struct {
	// Confirm is how many seconds Confirm may take to come before everything is
	// rolled back, 0 to 86400; 0: it need not come.
	Confirm int    `json:"confirm,omitempty" about:"seconds that a confirmation may take, 1 to 86400; 0: none is needed"`
	Comment string `json:"comment,omitempty" about:"one line for the history"`
	Leniency
	Basis *Basis `json:"basis,omitempty" about:"of a plan: just that is done, or nothing where it does not hold any more"`
}

// Rollback is an Apply of an earlier version.
type Rollback struct {
	Version int    `json:"version" about:"one of the history"`
	Confirm int    `json:"confirm,omitempty" about:"seconds that a confirmation may take, 1 to 86400; 0: none is needed"`
	Comment string `json:"comment,omitempty" about:"one line for the history"`
	Local   bool   `json:"local,omitempty" about:"change this unit of a pair alone"`
}

// Applied is what was done.
type Applied struct {
	Steps    []Step   `json:"steps"`
	Warnings []string `json:"warnings"`
	// Problems are the contexts whose own configuration could not be used: each goes
	// on as it ran before, or is left out.
	Problems []fault.ContextError `json:"problems"`
	Version  int                  `json:"version"` // that runs now
	// ConfirmBefore is when all is rolled back unless it is confirmed; zero: it
	// need not be.
	ConfirmBefore time.Time `json:"confirm_before,omitzero"`
}

// Version is one running configuration, now or in the past.
type Version struct {
	Number  int       `json:"version"`
	Time    time.Time `json:"time"` // it began to run
	Author  string    `json:"author"`
	UID     int       `json:"uid"`
	Origin  string    `json:"origin"` // "start", "reload", "apply", "rollback"
	Comment string    `json:"comment,omitempty"`
	Running bool      `json:"running"`
	// ConfirmBefore is as in Applied.
	ConfirmBefore time.Time `json:"confirm_before,omitzero"`
}

// History answers `show history`.
type History struct {
	Versions []Version `json:"versions"`
}

// ConfigText is one file of a configuration.
type ConfigText struct {
	Name     string   `json:"name"`     // where it was read from
	Contexts []string `json:"contexts"` // whose it is; empty: the system's
	Text     string   `json:"text"`
}

// ConfigTexts answers `show running-config` and `show startup-config`.
type ConfigTexts struct {
	Version int          `json:"version,omitempty"` // of the running configuration
	Files   []ConfigText `json:"files"`
}

// Diff answers `diff`: from startup to running.
type Diff struct {
	Differs bool   `json:"differs"`
	Text    string `json:"text"` // unified; secrets are stars
	// Problem says why the startup configuration could not be taken as it is.
	Problem string `json:"problem,omitempty"`
}

// Written is what WriteMemory has written.
type Written struct {
	Version int      `json:"version"`
	Files   []string `json:"files"` // that were changed
	// Unwritable are the sources that differ and that cannot be written to.
	Unwritable []Unwritable `json:"unwritable"`
	// Pending are those of Files, on disks of contexts, that the standby unit is not known
	// to have yet: they are lost if this unit is.
	Pending []string `json:"pending,omitempty"`
}

// Unwritable is a source that nothing can be written to.
type Unwritable struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

const (
	// maxConfirm is the most seconds until a confirmation.
	maxConfirm = 86400
	// maxPlan is for an apply of a plan, which names every file: four for each of a
	// thousand contexts, with room for long names. In bytes.
	maxPlan = 4 << 20
	// maxComment is the longest comment in characters.
	maxComment = 256
)

// authorOf returns who makes a request.
func authorOf(r *http.Request) Author {
	who, _ := r.Context().Value(callerKey{}).(caller) // serve has refused others
	a := Author{UID: who.uid, Name: "uid " + strconv.Itoa(who.uid)}
	if u, err := user.LookupId(strconv.Itoa(who.uid)); err == nil {
		a.Name = u.Username
	}
	return a
}

// checkChange tells what is wrong with an Apply or Rollback.
func checkChange(confirm int, comment string) error {
	if confirm < 0 || confirm > maxConfirm {
		return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("confirm is 0 to %d seconds, not %d",
			maxConfirm, confirm)}
	}
	if utf8.RuneCountInString(comment) > maxComment || !utf8.ValidString(comment) ||
		strings.ContainsFunc(comment, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return &fault.Error{Code: fault.CodeInvalid,
			Reason: fmt.Sprintf("a comment is one line of at most %d printing characters", maxComment)}
	}
	return nil
}

func normalSteps(steps []Step) []Step {
	for i := range steps {
		steps[i].Changes = orEmpty(steps[i].Changes)
	}
	return orEmpty(steps)
}

func (s *Server) plan(r *http.Request) (any, error) {
	p, err := s.cfg.Backend.Plan(r.Context(), leniencyOf(r))
	p.Steps, p.Warnings, p.Problems = normalSteps(p.Steps), orEmpty(p.Warnings), plainErrors(p.Problems)
	if r.URL.Query().Get(basisParam) != "true" {
		p.Basis = nil
	}
	return p, err
}

func (s *Server) apply(r *http.Request) (any, error) {
	var how Apply
	if err := decode(r, &how); err != nil {
		return nil, err
	}
	if err := checkChange(how.Confirm, how.Comment); err != nil {
		return nil, err
	}
	ctx, cancel := detached(r, reloadTimeout)
	defer cancel()
	done, err := s.cfg.Backend.Apply(ctx, authorOf(r), how)
	return normalApplied(done), err
}

func normalApplied(done Applied) Applied {
	done.Steps, done.Warnings, done.Problems = normalSteps(done.Steps), orEmpty(done.Warnings),
		plainErrors(done.Problems)
	return done
}

func (s *Server) confirm(r *http.Request) (any, error) {
	return s.cfg.Backend.Confirm(r.Context(), authorOf(r))
}

func (s *Server) rollback(r *http.Request) (any, error) {
	var how Rollback
	if err := decode(r, &how); err != nil {
		return nil, err
	}
	if err := checkChange(how.Confirm, how.Comment); err != nil {
		return nil, err
	}
	ctx, cancel := detached(r, reloadTimeout)
	defer cancel()
	done, err := s.cfg.Backend.Rollback(ctx, authorOf(r), how)
	return normalApplied(done), err
}

func (s *Server) writeMemory(r *http.Request) (any, error) {
	ctx, cancel := detached(r, quickTimeout)
	defer cancel()
	done, err := s.cfg.Backend.WriteMemory(ctx, authorOf(r))
	done.Files, done.Unwritable = orEmpty(done.Files), orEmpty(done.Unwritable)
	return done, err
}

func (s *Server) runningConfig(r *http.Request) (any, error) {
	t, err := s.cfg.Backend.RunningConfig(r.Context(), r.URL.Query().Get(contextParam))
	return normalTexts(t), err
}

func (s *Server) startupConfig(r *http.Request) (any, error) {
	t, err := s.cfg.Backend.StartupConfig(r.Context(), r.URL.Query().Get(contextParam))
	return normalTexts(t), err
}

func normalTexts(t ConfigTexts) ConfigTexts {
	t.Files = orEmpty(t.Files)
	for i := range t.Files {
		t.Files[i].Contexts = orEmpty(t.Files[i].Contexts)
	}
	return t
}

func (s *Server) diff(r *http.Request) (any, error) { return s.cfg.Backend.Diff(r.Context()) }

func (s *Server) history(r *http.Request) (any, error) {
	h, err := s.cfg.Backend.History(r.Context())
	h.Versions = orEmpty(h.Versions)
	return h, err
}

// The parameters of a Leniency, and of a plan.
const (
	strictParam = "strict"
	staleParam  = "allow_stale"
	localParam  = "local"
	basisParam  = "basis"
)

func leniencyOf(r *http.Request) Leniency {
	q := r.URL.Query()
	return Leniency{Strict: q.Get(strictParam) == "true", AllowStale: q.Get(staleParam) == "true",
		Local: q.Get(localParam) == "true"}
}

func (s *Server) reload(r *http.Request) (any, error) {
	ctx, cancel := detached(r, reloadTimeout)
	defer cancel()
	done, err := s.cfg.Backend.Reload(ctx, authorOf(r), leniencyOf(r))
	done.Steps, done.Warnings, done.Errors = orEmpty(done.Steps), orEmpty(done.Warnings), plainErrors(done.Errors)
	return done, err
}
