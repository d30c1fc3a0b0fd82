package ikev2

import (
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/wire"
)

// What IKE_SA_INIT says about proofs by certificate: which hashes a signature may have
// (RFC 7427 section 4), and, in the response, whose certificates are wanted (RFC 7296
// section 3.7). Nothing of it is said where no profile has a certificate, and nothing is
// kept but the messages themselves, which AUTH covers.

// signatureHashes is our SIGNATURE_HASH_ALGORITHMS.
func signatureHashes() wire.Notify {
	return wire.Notify{Type: wire.SignatureHashAlgorithms, Data: auth.AllHashes.AppendTo(nil)}
}

// certificateTerms is what the response to an IKE_SA_INIT request with these payloads says.
func (r *Rules) certificateTerms(request wire.Payloads) (out []wire.Payload) {
	if _, asked := request.Notify(wire.SignatureHashAlgorithms); asked && r.signs {
		out = append(out, signatureHashes())
	}
	if len(r.authorities) > 0 {
		out = append(out, wire.CertReq{Encoding: wire.CertX509, Authorities: r.authorities})
	}
	return out
}

// hashes returns what both ends have said in IKE_SA_INIT: the hashes that the peer
// understands. None are left where one of the two has said nothing.
func (t *transcript) hashes(theirs, ours []byte) auth.Hashes {
	said := func(message []byte) auth.Hashes {
		m, err := wire.ParseMessage(message)
		if err != nil {
			return 0
		}
		n, _ := m.Payloads.Notify(wire.SignatureHashAlgorithms)
		h, err := auth.ParseHashes(n.Data)
		if err != nil {
			return 0
		}
		return h
	}
	if said(ours) == 0 {
		return 0
	}
	return said(theirs)
}
