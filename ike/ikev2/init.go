package ikev2

import (
	"bytes"
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// transcript is what is kept of IKE_SA_INIT until the SA is established: both
// messages as they were sent, and the nonces.
type transcript struct {
	request, response []byte
	ni, nr            []byte
}

// initiatorOctets returns what an initiator called id signs with the keys of s (RFC
// 7296 section 2.15).
func (t *transcript) initiatorOctets(prf suite.PRF, keys *suite.Keys, id wire.IDi) []byte {
	return auth.InitiatorSignedOctets(prf, t.request, t.nr, keys.Pi, id)
}

// responderOctets returns what a responder called id signs.
func (t *transcript) responderOctets(prf suite.PRF, keys *suite.Keys, id wire.IDr) []byte {
	return auth.ResponderSignedOctets(prf, t.response, t.ni, keys.Pr, id)
}

// keying is what the keys of the first child SA are made of.
func (t *transcript) keying() childKeying { return childKeying{ni: t.ni, nr: t.nr} }

// deriveKeys makes the keys of the SA from the secret of the key exchange (RFC 7296
// section 2.14), and clears it.
func (s *SA) deriveKeys(shared secret.Value, t *transcript) error {
	defer shared.Clear()
	spiI, spiR := s.spis()
	keys := s.suite.DeriveKeys(&suite.Exchange{Shared: shared, Ni: t.ni, Nr: t.nr, SPIi: spiI, SPIr: spiR})
	return s.install(s.suite, keys)
}

// initError is an IKE_SA_INIT request that is refused: with what, and why.
type initError struct {
	notify wire.Notify
	reason string
}

// Error implements error.
func (e *initError) Error() string { return "ikev2: " + e.reason }

// initPayloads are what both IKE_SA_INIT messages hold, and those that rekey an IKE
// SA.
type initPayloads struct {
	sa    wire.SA
	ke    wire.KE
	nonce wire.Nonce
}

// findInit finds them in a message of form f.
func findInit(f *form, ps wire.Payloads) (p initPayloads, err error) {
	if err := f.check(ps); err != nil {
		return p, err
	}
	p.sa, _ = wire.Find[wire.SA](ps)
	p.ke, _ = wire.Find[wire.KE](ps)
	p.nonce, _ = wire.Find[wire.Nonce](ps)
	return p, nil
}

// chooseIKE selects the IKE proposal, with an error that names both sides.
func chooseIKE(rules *Rules, spiLen int, offered wire.SA) (suite.Choice, error) {
	choice, ok := suite.Choose(rules.policies, wire.ProtocolIKE, spiLen, offered.Proposals)
	if !ok {
		return choice, &initError{wire.Notify{Type: wire.NoProposalChosen}, fmt.Sprintf(
			"no common IKE proposal: peer offers %s, we accept %s",
			clip(suite.Describe(offered.Proposals)), clip(describe(rules.policies)))}
	}
	return choice, nil
}

// describe returns policies for the operator.
func describe(policies []sa.Proposal) string {
	var b bytes.Buffer
	for i, p := range policies {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// clip shortens text that a peer may have made long.
func clip(text string) string {
	if len(text) > maxReason {
		return text[:maxReason] + "..."
	}
	return text
}
