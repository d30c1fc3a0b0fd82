package wire

// Cert is a certificate payload (RFC 7296 section 3.6).
type Cert struct {
	Encoding CertEncoding
	Data     []byte
}

// CertReq is a certificate request payload: with X.509 the SHA-1 hashes of the
// public keys of acceptable authorities, one after the other (section 3.7).
type CertReq struct {
	Encoding    CertEncoding
	Authorities []byte
}

// PayloadType implements Payload.
func (Cert) PayloadType() PayloadType { return TypeCert }

// PayloadType implements Payload.
func (CertReq) PayloadType() PayloadType { return TypeCertReq }

// ParseCert reads the body of a CERT payload.
func ParseCert(b []byte) (Cert, error) {
	if len(b) < 2 {
		return Cert{}, syntax(TypeCert, "no certificate")
	}
	return Cert{Encoding: CertEncoding(b[0]), Data: b[1:]}, nil
}

// ParseCertReq reads the body of a CERTREQ payload. No authorities means any.
func ParseCertReq(b []byte) (CertReq, error) {
	if len(b) < 1 {
		return CertReq{}, syntax(TypeCertReq, "truncated")
	}
	return CertReq{Encoding: CertEncoding(b[0]), Authorities: b[1:]}, nil
}

// AppendBody implements Payload.
func (p Cert) AppendBody(b []byte) []byte { return append(append(b, byte(p.Encoding)), p.Data...) }

// AppendBody implements Payload.
func (p CertReq) AppendBody(b []byte) []byte {
	return append(append(b, byte(p.Encoding)), p.Authorities...)
}
