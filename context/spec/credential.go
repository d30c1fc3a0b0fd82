package spec

import (
	"encoding/json"
	"errors"

	"github.com/warrenvpn/warren/ike/identity"
)

// Credential is what one side of a tunnel group proves its identity with: PSK, or
// PSKs of the remote side; nil: none, so that nobody can connect. To add a kind: a
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

func (PSK) credential()  {}
func (PSKs) credential() {}

// credentials are the credentials of a tunnel group in JSON, at most one for each
// side.
type credentials struct {
	LocalPSK   SecretRef
	RemotePSK  SecretRef
	RemotePSKs PSKs
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
	case PSKs:
		return nil, errors.New("spec: keys of single identities prove no gateway")
	}
	switch c := g.Remote.(type) {
	case nil:
	case PSK:
		out.RemotePSK = c.Key
	case PSKs:
		out.RemotePSKs = c
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
	if in.LocalPSK != 0 {
		g.Local = PSK{in.LocalPSK}
	}
	switch {
	case in.RemotePSK != 0 && in.RemotePSKs != nil:
		return errors.New("spec: a tunnel group has two kinds of keys for its peers")
	case in.RemotePSK != 0:
		g.Remote = PSK{in.RemotePSK}
	case in.RemotePSKs != nil:
		g.Remote = in.RemotePSKs
	}
	return nil
}
