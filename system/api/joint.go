package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/warrenvpn/warren/system/fault"
)

// Joint is the part of a Backend about what both units of a pair have in common. All but
// DiffPeer is for the other unit.
type Joint interface {
	// TakeChange makes a configuration of the other unit this one's: wholly or, on any
	// error, not at all.
	TakeChange(ctx context.Context, change JointChange) (Synced, error)

	// SettleChange says what becomes of a change that was taken.
	SettleChange(ctx context.Context, what Settlement) error

	// Common describes what this unit has in common with the other one; brief: a digest.
	Common(ctx context.Context, brief bool) (CommonView, error)

	// DiffPeer compares what runs on the other unit with what runs here, of one context
	// or with "" of all.
	DiffPeer(ctx context.Context, name string) (Diff, error)
}

// JointChange is a configuration from one unit of a pair to the other, secrets included. The
// other program may be a neighbouring version, as with ContextFiles.
type JointChange struct {
	Author  string        `json:"author"`
	Origin  string        `json:"origin"` // as in Version
	Comment string        `json:"comment"`
	System  []byte        `json:"system"`  // classes, contexts and groups of the system file
	Files   []ContextFile `json:"files"`   // of contexts
	Left    []string      `json:"left"`    // contexts that are left out
	Check   bool          `json:"check"`   // it changes nothing
	Write   bool          `json:"write"`   // files are to say the same
	Confirm int           `json:"confirm"` // seconds until it must be settled; 0: it is final
}

// Settlement says what becomes of one.
type Settlement struct {
	What    string `json:"what"`    // "confirm", "undo", "await" or "write"
	Confirm int    `json:"confirm"` // seconds, with "await"
}

// Settled answers a Settlement.
type Settled struct{}

// CommonView is what a unit has in common with the other one.
type CommonView struct {
	Digest string       `json:"digest"`
	Local  bool         `json:"local"` // it differs on purpose
	Waits  bool         `json:"waits"` // a version waits to be confirmed
	Files  []CommonFile `json:"files"`
}

// CommonFile is one file of it.
type CommonFile struct {
	Context string `json:"context"` // "": the system file
	Name    string `json:"name"`    // "": the configuration of the context
	Digest  string `json:"digest"`
	Text    string `json:"text"` // without secrets
}

// briefParam asks for a digest alone.
const briefParam = "brief"

// settlements are the kinds of Settlement.
var settlements = []string{"confirm", "undo", "await", "write"}

func (s *Server) takeChange(r *http.Request) (any, error) {
	var change JointChange
	if err := decode(r, &change); err != nil {
		return nil, err
	}
	if change.Confirm < 0 || change.Confirm > 2*maxConfirm {
		return nil, &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("confirm is 0 to %d seconds, not %d",
			2*maxConfirm, change.Confirm)}
	}
	if err := checkChange(0, change.Comment); err != nil {
		return nil, err
	}
	ctx, cancel := detached(r, reloadTimeout)
	defer cancel()
	done, err := s.cfg.Backend.TakeChange(ctx, change)
	return normalSynced(done), err
}

func (s *Server) settleChange(r *http.Request) (any, error) {
	var what Settlement
	if err := decode(r, &what); err != nil {
		return nil, err
	}
	if !slices.Contains(settlements, what.What) || what.Confirm < 0 || what.Confirm > maxConfirm {
		return nil, &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("a change cannot be settled by %q, %d",
			what.What, what.Confirm)}
	}
	ctx, cancel := detached(r, reloadTimeout)
	defer cancel()
	return Settled{}, s.cfg.Backend.SettleChange(ctx, what)
}

func (s *Server) common(r *http.Request) (any, error) {
	v, err := s.cfg.Backend.Common(r.Context(), r.URL.Query().Get(briefParam) == "true")
	v.Files = orEmpty(v.Files)
	return v, err
}

func (s *Server) diffPeer(r *http.Request) (any, error) {
	return s.cfg.Backend.DiffPeer(r.Context(), r.URL.Query().Get(contextParam))
}
