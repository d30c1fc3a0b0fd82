package worker

import (
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// planeOptions is what the data plane may be told anew.
func planeOptions(t *spec.Tenant) plane.Options {
	d := &t.DataPlane
	return plane.Options{DF: d.DF, NoGSO: d.NoGSO, NoGRO: d.NoGRO, NoTUNOffload: d.NoTUNOffload,
		NoBatching: d.NoBatching}
}

// engineConfig says in the engine's words what the tenant's specification says. An error
// is one of the program: the supervisor has read the same certificates.
func engineConfig(t *spec.Tenant) (*exchange.Config, error) {
	trusted, err := trustpointsOf(t)
	if err != nil {
		return nil, err
	}
	cfg := &exchange.Config{
		CookieThreshold:  t.IKE.CookieThreshold,
		AlwaysCookie:     t.IKE.CookieThreshold == 0,
		MaxHalfOpen:      t.IKE.MaxHalfOpen,
		SetupRate:        float64(t.Limits.Setups),
		HalfOpenTimeout:  t.IKE.HalfOpenTimeout,
		RetransmitBase:   t.IKE.RetransmitBase,
		RetransmitFactor: t.IKE.RetransmitFactor,
		RetransmitTries:  t.IKE.RetransmitTries,
		NATKeepalive:     t.IKE.NATKeepalive,
		NoFragmentation:  t.IKE.NoFragmentation,
		FragmentSize:     t.IKE.FragmentSize,
		NoMOBIKE:         t.IKE.NoMOBIKE,

		ReturnRoutability: t.IKE.ReturnRoutability,
		ReplayWindow:      t.DataPlane.ReplayWindow,
		ForceUDP:          t.DataPlane.ForceUDP,
	}
	if limit := t.Limits.InNegotiate; limit > 0 {
		cfg.MaxHalfOpen = min(cfg.MaxHalfOpen, limit)
		// Half of what there is, one who forges addresses cannot use up.
		cfg.CookieThreshold = min(cfg.CookieThreshold, max(1, limit/2))
	}
	for _, p := range t.IKEPolicies {
		cfg.Policies = append(cfg.Policies, exchange.Policy{Name: p.Name, Proposal: p.Proposal, Lifetime: p.Lifetime})
	}
	for _, g := range t.TunnelGroups {
		cfg.Profiles = append(cfg.Profiles, exchange.Profile{
			Name:             g.Name,
			RemoteAccess:     g.Type == spec.RemoteAccess,
			LocalIdentity:    g.LocalIdentity,
			RemoteIdentities: g.RemoteIdentities,
			Fallback:         g.Name == spec.DefaultRAGroup || g.Name == spec.DefaultL2LGroup,
			Local:            localCredential(t, &g, trusted),
			Remote:           remoteCredential(t, &g, trusted),
			Remotes:          identityCredentials(t, g.Remote),
			RemoteNetworks:   selectors(g.RemoteNetworks),
			DPD:              g.DPD,
			IgnoreContact:    g.Unique == spec.UniqueNever,
		})
	}
	if cfg.CertificateMaps, err = certificateMaps(t); err != nil {
		return nil, err
	}
	cfg.Own = insideNetworks(t)
	for _, p := range t.Pools {
		cfg.Pools = append(cfg.Pools, sa.Selector{Start: p.Start, End: p.End, EndPort: 0xffff})
	}
	for _, m := range t.CryptoMaps {
		for _, local := range addressesOf(t, m.Interface) {
			for _, e := range m.Entries {
				roams := e.Initiate && !t.IKE.NoMOBIKE // to a peer that has told another address
				if e.Dynamic || e.AnyAddress || roams || e.Peer.BitLen() == local.BitLen() {
					cfg.Entries = append(cfg.Entries, engineEntry(e, local))
				}
			}
		}
	}
	return cfg, nil
}

// insideNetworks returns those of the interfaces without a crypto map.
func insideNetworks(t *spec.Tenant) []netip.Prefix {
	var out []netip.Prefix
	for _, i := range t.Interfaces {
		if slices.ContainsFunc(t.CryptoMaps, func(m spec.CryptoMap) bool { return m.Interface == i.Name }) {
			continue
		}
		for _, p := range i.Addresses {
			out = append(out, p.Masked())
		}
	}
	return out
}

// localCredential returns what proves us; nil: there is no such thing.
func localCredential(t *spec.Tenant, g *spec.TunnelGroup, trusted map[string]trustpoint) exchange.Credential {
	switch c := g.Local.(type) {
	case spec.PSK:
		return exchange.PSK{Key: t.Secret(c.Key)}
	case spec.Certificate:
		if own := trusted[c.Trustpoint].own; own != nil {
			return exchange.Certificate{Own: own, SHA1: g.RSASHA1}
		}
	}
	return nil
}

// remoteCredential returns what proves all peers of a group; nil: there is no such thing.
func remoteCredential(t *spec.Tenant, g *spec.TunnelGroup, trusted map[string]trustpoint) exchange.Credential {
	switch c := g.Remote.(type) {
	case spec.PSK:
		return exchange.PSK{Key: t.Secret(c.Key)}
	case spec.Certificate:
		if trust := trusted[c.Trustpoint].trust; trust != nil {
			return exchange.Authorities{Trust: trust, SHA1: g.RSASHA1}
		}
	case spec.EAP:
		return exchange.EAP{Only: c.Only}
	}
	return nil
}

// identityCredentials returns what proves single identities.
func identityCredentials(t *spec.Tenant, c spec.Credential) []exchange.IdentityCredential {
	keys, _ := c.(spec.PSKs)
	var out []exchange.IdentityCredential
	for _, k := range keys {
		out = append(out, exchange.IdentityCredential{Identity: k.Identity,
			Credential: exchange.PSK{Key: t.Secret(k.PSK)}})
	}
	return out
}

// engineEntry is entry e of a crypto map as it stands on the address local.
func engineEntry(e spec.CryptoEntry, local netip.Addr) exchange.Entry {
	out := exchange.Entry{
		Name:           e.Name,
		Local:          local,
		Dynamic:        e.Dynamic,
		Peer:           e.Peer,
		AnyAddress:     e.AnyAddress,
		Profile:        e.TunnelGroup,
		Initiate:       e.Initiate && e.Peer.BitLen() == local.BitLen(),
		RequestAddress: e.RequestAddress,
		LocalTS:        selectors(e.Local),
		RemoteTS:       selectors(e.Remote),
	}
	for _, p := range e.Proposals {
		out.Proposals = append(out.Proposals, exchange.ChildProposal{
			Name: p.Name, Proposal: p.Proposal, Lifetime: p.Lifetime, LifetimeBytes: p.LifetimeBytes,
		})
	}
	return out
}

// addressesOf returns the addresses of the interface called name.
func addressesOf(t *spec.Tenant, name string) []netip.Addr {
	var out []netip.Addr
	for _, i := range t.Interfaces {
		if i.Name == name {
			for _, p := range i.Addresses {
				out = append(out, p.Addr())
			}
		}
	}
	return out
}

// selectors returns one selector for each prefix.
func selectors(prefixes []netip.Prefix) []sa.Selector {
	var out []sa.Selector
	for _, p := range prefixes {
		out = append(out, sa.SelectorOf(p))
	}
	return out
}
