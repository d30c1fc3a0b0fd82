package ikev2

import (
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/ike/wire"
)

// Certificate maps choose the profile of a peer by what its certificate says, before its
// identity does. The certificate is not verified then: that the profile does which was
// chosen, with the authorities that it trusts, so that a certificate of somebody else
// leads nowhere.

// mapOf returns the name of the first certificate map whose rules hold for the certificate
// of a message, and whose profile takes the peer; "": none.
func (r *Rules) mapOf(ps wire.Payloads, id, wanted identity.Identity) string {
	if len(r.CertificateMaps) == 0 {
		return ""
	}
	for _, p := range ps {
		cert, ok := p.(wire.Cert)
		if !ok || cert.Encoding != wire.CertX509 {
			continue
		}
		leaf, err := pki.ParseCertificate(cert.Data)
		if err != nil {
			return ""
		}
		for _, m := range r.CertificateMaps {
			holds := !slices.ContainsFunc(m.Rules, func(r pki.Rule) bool { return !r.Matches(leaf) })
			if p := r.profileByName(m.Profile); holds && p != nil && p.accepts(id, wanted) {
				return m.Name
			}
		}
		return "" // the first one is the peer's own
	}
	return ""
}

// mapped returns the profile of the certificate map called name that takes the peer; nil:
// there is no such map.
func (r *Rules) mapped(name string, id, wanted identity.Identity) *profile {
	for _, m := range r.CertificateMaps {
		if p := r.profileByName(m.Profile); m.Name == name && p != nil && p.accepts(id, wanted) {
			return p
		}
	}
	return nil
}

// mapsUpTo returns the certificate maps that an SA was chosen by: those before the one
// called name did not hold; where there is none, no map did.
func (r *Rules) mapsUpTo(name string) []exchange.CertificateMap {
	for i, m := range r.CertificateMaps {
		if m.Name == name {
			return r.CertificateMaps[:i+1]
		}
	}
	return r.CertificateMaps
}

// sameMaps reports whether a peer that the map called name has chosen, "": none, would be
// chosen by it under o, too. Its certificate is not known any more.
func (r *Rules) sameMaps(o *Rules, name string) bool {
	return slices.EqualFunc(r.mapsUpTo(name), o.mapsUpTo(name), exchange.CertificateMap.Equal)
}
