package spec

import (
	"encoding/json"
	"errors"

	"github.com/warrenvpn/warren/ike/identity"
)

// Credential is what one side of a tunnel group proves its identity with: PSK,
// Certificate, or PSKs or EAP of the remote side; nil: none, so that nobody can connect. To add a kind: a
// type here, a field in credentials, and a case where the worker translates it.
type Credential interface{ credential() }

// PSK is a pre-shared key that all identities of a side have.
type PSK struct{ Key SecretRef }

// PSKs are the pre-shared keys of single identities, of which each proves nothing but
// its own. An identity that is not among them has no key and cannot log in.
type PSKs []IdentityPSK

// IdentityPSK is the pre-shared key of one identity.
type IdentityPSK struct {
	Identity identity.Identity
	PSK      SecretRef
}

// Certificate is the chain and the key of a Trustpoint where it is ours, and one that the
// authorities of a Trustpoint vouch for where it is the peer's.
type Certificate struct{ Trustpoint string }

func (PSK) credential()         {}
func (PSKs) credential()        {}
func (Certificate) credential() {}

// Trustpoint is a chain and a key that prove this gateway, or authorities that vouch for
// peers, or both. All of it could be read when the configuration was.
type Trustpoint struct {
	Name string

	Chain [][]byte  // DER, the certificate of the key first; none: it proves nobody
	Key   SecretRef // in PKCS #8

	Authorities [][]byte // DER; none: it vouches for nobody
	CRLs        [][]byte // DER or PEM, as the files are
	Revocation  Revocation
	Policies    []string `json:",omitempty"` // OIDs of certificate policies, of which a peer's has one; none: any
}

// Revocation says what is done about revoked certificates.
type Revocation string

// The values of Revocation.
const (
	RevocationOff  Revocation = ""     // nothing
	RevocationSoft Revocation = "soft" // what a CRL revokes is refused
	RevocationHard Revocation = "hard" // and so is everybody else while there is no CRL that is up to date
)

// credentials are the credentials of a tunnel group in JSON, at most one for each
// side.
type credentials struct {
	LocalPSK   SecretRef
	RemotePSK  SecretRef
	RemotePSKs PSKs

	LocalTrustpoint  string `json:",omitempty"`
	RemoteTrustpoint string `json:",omitempty"`

	RemoteEAP *EAP `json:",omitempty"`
}

// count returns how many each side has.
func (c *credentials) count() (local, remote int) {
	for _, is := range []bool{c.LocalPSK != 0, c.LocalTrustpoint != ""} {
		if is {
			local++
		}
	}
	for _, is := range []bool{c.RemotePSK != 0, c.RemotePSKs != nil, c.RemoteTrustpoint != "", c.RemoteEAP != nil} {
		if is {
			remote++
		}
	}
	return local, remote
}

// bare is a TunnelGroup without its methods.
type bare TunnelGroup

// MarshalJSON implements json.Marshaler.
func (g TunnelGroup) MarshalJSON() ([]byte, error) {
	out := struct {
		bare
		credentials
	}{bare: bare(g)}
	switch c := g.Local.(type) {
	case nil:
	case PSK:
		out.LocalPSK = c.Key
	case Certificate:
		out.LocalTrustpoint = c.Trustpoint
	case PSKs:
		return nil, errors.New("spec: keys of single identities prove no gateway")
	case EAP:
		return nil, errors.New("spec: EAP proves no gateway")
	}
	switch c := g.Remote.(type) {
	case nil:
	case PSK:
		out.RemotePSK = c.Key
	case Certificate:
		out.RemoteTrustpoint = c.Trustpoint
	case PSKs:
		out.RemotePSKs = c
	case EAP:
		out.RemoteEAP = &c
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (g *TunnelGroup) UnmarshalJSON(b []byte) error {
	var in struct {
		bare
		credentials
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*g = TunnelGroup(in.bare)
	local, remote := in.count()
	if local > 1 || remote > 1 {
		return errors.New("spec: a tunnel group has two credentials of one side")
	}
	switch {
	case in.LocalPSK != 0:
		g.Local = PSK{in.LocalPSK}
	case in.LocalTrustpoint != "":
		g.Local = Certificate{in.LocalTrustpoint}
	}
	switch {
	case in.RemoteEAP != nil:
		g.Remote = *in.RemoteEAP
	case in.RemoteTrustpoint != "":
		g.Remote = Certificate{in.RemoteTrustpoint}
	case in.RemotePSK != 0:
		g.Remote = PSK{in.RemotePSK}
	case in.RemotePSKs != nil:
		g.Remote = in.RemotePSKs
	}
	return nil
}
