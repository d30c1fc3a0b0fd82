package api

import (
	"context"
	"net/http"
	"time"
)

// Certificates is the part of a Backend that knows the certificates of contexts.
type Certificates interface {
	// ListCertificates lists those of all contexts that are configured. It waits for no
	// worker.
	ListCertificates(ctx context.Context) (CertificateList, error)
}

// The uses of a certificate.
const (
	UseGateway   = "gateway"   // proves the gateway
	UseChain     = "chain"     // vouches for that
	UseAuthority = "authority" // vouches for peers
)

// Certificate is one certificate of a trustpoint.
type Certificate struct {
	Context    string    `json:"context"`
	Trustpoint string    `json:"trustpoint"`
	Use        string    `json:"use"`
	Subject    string    `json:"subject"`
	Issuer     string    `json:"issuer"`
	Serial     string    `json:"serial"` // hexadecimal
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
}

// CertificateList answers `show crypto ca certificates`.
type CertificateList struct {
	Certificates []Certificate `json:"certificates"`
}

func (s *Server) certificates(r *http.Request) (any, error) {
	list, err := s.cfg.Backend.ListCertificates(r.Context())
	list.Certificates = orEmpty(list.Certificates)
	return list, err
}
