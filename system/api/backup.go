package api

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/warrenvpn/warren/system/fault"
)

// Backups is the part of a Backend that takes backups and restores them.
type Backups interface {
	// Backup writes a backup to w. It calls begin before the first byte; an error before
	// that says why there is none.
	Backup(ctx context.Context, begin func(), w io.Writer) error

	// Restore restores a backup that it reads from r: all of it or, on any error, nothing.
	Restore(ctx context.Context, by Author, how Restore, r io.Reader) (Restored, error)
}

// Restore is how a backup is restored.
type Restore struct {
	// Plan only says what would be done.
	Plan bool
	// Running is the version that a plan was made for; without Plan, another one that
	// runs is a refusal.
	Running int
	Confirm int // seconds, as in Apply
	Comment string
	Local   bool // on this unit of a pair alone
}

// Restored is what was done, or with Restore.Plan would be.
type Restored struct {
	Made     time.Time            `json:"made"` // the backup
	System   string               `json:"system"`
	Steps    []Step               `json:"steps"`
	Files    []string             `json:"files"` // of volumes, that differ
	Warnings []string             `json:"warnings"`
	Problems []fault.ContextError `json:"problems"`
	Version  int                  `json:"version"` // that runs
	// ConfirmBefore is as in Applied.
	ConfirmBefore time.Time `json:"confirm_before,omitzero"`
}

// The parameters of a Restore.
const (
	planParam    = "plan"
	runningParam = "running"
	confirmParam = "confirm"
	commentParam = "comment"
)

func (s *Server) backup(t *transfer, r *http.Request) error {
	err := s.cfg.Backend.Backup(r.Context(), func() { t.begin(contentType, -1) }, t)
	if err != nil && t.begun {
		s.log.Warn("backup is cut off", "reason", err)
		// The end of the answer must not come: nobody is to take this for a whole backup.
		return t.control.SetWriteDeadline(time.Unix(1, 0))
	}
	return err
}

func (s *Server) restore(r *http.Request) (any, error) {
	q := r.URL.Query()
	how := Restore{Plan: q.Get(planParam) == "true", Local: q.Get(localParam) == "true", Comment: q.Get(commentParam)}
	for name, to := range map[string]*int{runningParam: &how.Running, confirmParam: &how.Confirm} {
		if text := q.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, &fault.Error{Code: fault.CodeInvalid, Reason: name + " is a number"}
			}
			*to = n
		}
	}
	if err := checkChange(how.Confirm, how.Comment); err != nil {
		return nil, err
	}
	done, err := s.cfg.Backend.Restore(r.Context(), authorOf(r), how, r.Body)
	done.Steps, done.Files = normalSteps(done.Steps), orEmpty(done.Files)
	done.Warnings, done.Problems = orEmpty(done.Warnings), plainErrors(done.Problems)
	return done, err
}
