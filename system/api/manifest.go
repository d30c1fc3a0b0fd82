package api

import "net/http"

// Versions answers which state the disks are in, of the contexts that are active
// here: what a standby unit asks for now and then.
type Versions struct {
	Disks []DiskVersion `json:"disks"`
}

// DiskVersion is the state of disk0: of one context.
type DiskVersion struct {
	Context string `json:"context"`
	Version string `json:"version"` // another after every change; without meaning elsewhere
}

// Manifest is everything on disk0: of a context.
type Manifest struct {
	Context string `json:"context"`
	Version string `json:"version"`
	// Files have their paths as names, without context and volume, and
	// checksums, in order: a directory comes before what is in it.
	Files []FileInfo `json:"files"`
}

func (s *Server) versions(r *http.Request) (any, error) {
	v, err := s.cfg.Backend.DiskVersions(r.Context())
	v.Disks = orEmpty(v.Disks)
	return v, err
}

func (s *Server) manifest(r *http.Request) (any, error) {
	m, err := s.cfg.Backend.DiskManifest(r.Context(), r.URL.Query().Get(contextParam))
	m.Files = orEmpty(m.Files)
	return m, err
}
