package api

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/warrenvpn/warren/system/fault"
)

// MaxNews bounds an answer about news, in bytes.
const MaxNews = 8 << 20

// Versions answers which state the disks are in: what the units of a pair ask each
// other now and then.
type Versions struct {
	Disks []DiskVersion `json:"disks"`
}

// DiskVersion is the state of disk0: of one context.
type DiskVersion struct {
	Context string `json:"context"`
	Version string `json:"version"` // another after every change; without meaning elsewhere
	Standby bool   `json:"standby,omitempty"`
	// Follows is the version of the active unit's disk that this one, of a standby
	// context, has all of; "" for none that is known. An older program says it.
	Follows string `json:"follows,omitempty"`
	// Session names the use of the disk's catalogue that positions are of, and Head is
	// the position of the last change; 0 from an older program.
	Session uint64 `json:"session,omitempty"`
	Head    uint64 `json:"head,omitempty"`
	// Taken is what the disk has of the other unit's.
	Taken DiskTaken `json:"taken,omitzero"`
	// Kept is how many files are kept beside others, because both units had changed them.
	Kept int `json:"kept,omitempty"`
	// Incarnation is which disk of its name it is; an older program does not say. Blank:
	// nothing is on it, and nothing was.
	Incarnation DiskIncarnation `json:"incarnation,omitzero"`
	Blank       bool            `json:"blank,omitempty"`
}

// DiskIncarnation is the identity of a disk: a context that is removed and made again has
// another one.
type DiskIncarnation struct {
	ID      uint64 `json:"id"`
	Settled bool   `json:"settled,omitempty"` // the disk keeps it also while it is empty
	Later   bool   `json:"later,omitempty"`   // made in the place of one that was removed
}

// DiskTaken says how far one disk has what the other unit's has: everything up to a
// position, but what it lacks.
type DiskTaken struct {
	Session  uint64   `json:"session"`
	Position uint64   `json:"position"`
	Lacks    []string `json:"lacks,omitempty"` // paths
}

// Manifest is everything on disk0: of a context, in the form of an older program.
type Manifest struct {
	Context string `json:"context"`
	Version string `json:"version"`
	Standby bool   `json:"standby,omitempty"`
	// Files have their paths as names, without context and volume, and
	// checksums, in order: a directory comes before what is in it.
	Files []FileInfo `json:"files"`
	// Gone is what was deleted or replaced here: nothing else is deleted by the other
	// unit.
	Gone []GoneFile `json:"gone"`
}

// GoneFile is one content that a name had and has no more.
type GoneFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"` // lower-case hexadecimal; "" for a directory
}

func (s *Server) versions(r *http.Request) (any, error) {
	v, err := s.cfg.Backend.DiskVersions(r.Context(), r.URL.Query().Get(wakeParam) == "true")
	v.Disks = orEmpty(v.Disks)
	return v, err
}

func (s *Server) manifest(r *http.Request) (any, error) {
	m, err := s.cfg.Backend.DiskManifest(r.Context(), r.URL.Query().Get(contextParam))
	m.Files, m.Gone = orEmpty(m.Files), orEmpty(m.Gone)
	return m, err
}

// news answers with the bytes that the two units agree on: the API knows no more of them.
func (s *Server) news(t *transfer, r *http.Request) error {
	q := r.URL.Query()
	session, err := number(q.Get(sessionParam))
	since, sinceErr := number(q.Get(sinceParam))
	if err != nil || sinceErr != nil {
		return &fault.Error{Code: fault.CodeInvalid, Reason: "session and since are numbers"}
	}
	b, err := s.cfg.Backend.DiskNews(r.Context(), q.Get(contextParam), session, since)
	if err != nil {
		return err
	}
	t.begin(contentType, int64(len(b)))
	if _, err := t.Write(b); err != nil {
		s.log.Debug("api answer is cut off", "reason", err)
	}
	return nil
}

// number reads a parameter; 0 where it is not given.
func number(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("api: reading a number: %w", err)
	}
	return n, nil
}
