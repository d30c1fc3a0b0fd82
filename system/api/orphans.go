package api

import (
	"context"
	"net/http"
	"time"
)

// Orphans is the part of a Backend that has the disks of contexts that were removed.
type Orphans interface {
	// ListOrphans lists them, those of this unit of a pair.
	ListOrphans(ctx context.Context) (OrphanList, error)

	// EraseOrphans erases some for good, on both units of a pair unless which says
	// otherwise. That the other unit cannot be asked is a warning.
	EraseOrphans(ctx context.Context, which EraseOrphans) (ErasedOrphans, error)
}

// Orphan is the disk of a context that was removed.
type Orphan struct {
	ID      string    `json:"id"`      // "blue~20261201T031500.000000000Z"
	Context string    `json:"context"` // whose it was
	Removed time.Time `json:"removed"`
	Files   int64     `json:"files"` // and directories
	Bytes   int64     `json:"bytes"`
}

// OrphanList answers `show orphans`.
type OrphanList struct {
	Orphans []Orphan `json:"orphans"`
}

// EraseOrphans says which orphans are to be erased.
type EraseOrphans struct {
	// Name is the ID of one, or the name of the context that has had them; "": all.
	Name string `json:"name,omitempty" about:"of the context that was removed, or the id of one of its disks; without: all"`
	// Local leaves out the other unit of the pair.
	Local bool `json:"local,omitempty" about:"only on this unit of a pair"`
}

// ErasedOrphans are the IDs of what was erased.
type ErasedOrphans struct {
	Erased   []string `json:"erased"`
	Peer     []string `json:"peer,omitempty"` // on the other unit of the pair
	Warnings []string `json:"warnings"`
}

func (s *Server) orphans(r *http.Request) (any, error) {
	list, err := s.cfg.Backend.ListOrphans(r.Context())
	list.Orphans = orEmpty(list.Orphans)
	return list, err
}

func (s *Server) eraseOrphans(r *http.Request) (any, error) {
	var which EraseOrphans
	if err := decode(r, &which); err != nil {
		return nil, err
	}
	done, err := s.cfg.Backend.EraseOrphans(r.Context(), which)
	done.Erased, done.Warnings = orEmpty(done.Erased), orEmpty(done.Warnings)
	return done, err
}
