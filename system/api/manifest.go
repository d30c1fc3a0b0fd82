package api

import "net/http"

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
	// context, has all of; "" for none that is known.
	Follows string `json:"follows,omitempty"`
}

// Manifest is everything on disk0: of a context.
type Manifest struct {
	Context string `json:"context"`
	Version string `json:"version"`
	Standby bool   `json:"standby,omitempty"`
	// Files have their paths as names, without context and volume, and
	// checksums, in order: a directory comes before what is in it.
	Files []FileInfo `json:"files"`
	// Gone is what was deleted or replaced here: nobody else deletes anything
	// because it is missing.
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
