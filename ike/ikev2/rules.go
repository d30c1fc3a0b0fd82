package ikev2

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/ike/suite"
)

// Rules is a Config made ready: defaults filled in, names resolved. It is
// immutable; SAs look into the current one of their Version.
type Rules struct {
	exchange.Config
	policies []sa.Proposal
	groups   []sa.Transform // every key exchange of policies
	profiles []profile
	entries  map[string][]*entry // by name, one for each local address

	signs       bool   // some profile has certificates
	authorities []byte // of all certificates of peers, as CERTREQ names them
}

// profile is a Profile made ready.
type profile struct {
	exchange.Profile
	static bool // a static entry names it
	mapped bool // a certificate map names it
}

// entry is an Entry made ready.
type entry struct {
	exchange.Entry
	first []sa.Proposal // for IKE_AUTH: without key exchange
	later []sa.Proposal // for CREATE_CHILD_SA
}

// Compile checks cfg and makes Rules of it.
func Compile(cfg *exchange.Config) (*Rules, error) {
	r := &Rules{Config: cfg.WithDefaults(), entries: map[string][]*entry{}}
	for _, p := range r.Policies {
		for _, t := range p.Proposal.OfType(sa.KeyExchange) {
			if _, ok := suite.PublicLen(t.ID); !ok {
				return nil, fmt.Errorf("ikev2: policy %s: key exchange %v is not supported", p.Name, t)
			}
			r.groups = append(r.groups, t)
		}
		r.policies = append(r.policies, p.Proposal)
	}
	names := map[string]bool{}
	var examiners []*auth.Examiner
	for _, p := range r.Profiles {
		ready := profile{Profile: p}
		if err := ready.checkCredentials(); err != nil {
			return nil, fmt.Errorf("ikev2: profile %s: %w", p.Name, err)
		}
		r.profiles = append(r.profiles, ready)
		names[p.Name] = true
		r.signs = r.signs || ready.signs()
		examiners = append(examiners, ready.examiners()...)
	}
	r.authorities = auth.Authorities(examiners, maxAuthorities)
	for _, m := range r.CertificateMaps {
		p := r.profileByName(m.Profile)
		if p == nil {
			return nil, fmt.Errorf("ikev2: certificate map %s: there is no profile %s", m.Name, m.Profile)
		}
		p.mapped = true
	}
	for _, e := range r.Entries {
		switch {
		case r.duplicate(&e):
			return nil, fmt.Errorf("ikev2: two entries on one address are called %s", e.Name)
		case !e.Dynamic && !names[e.Profile]:
			return nil, fmt.Errorf("ikev2: entry %s: there is no profile %s", e.Name, e.Profile)
		case !e.Dynamic && !e.Peer.IsValid():
			return nil, fmt.Errorf("ikev2: entry %s has no peer", e.Name)
		case e.Initiate && (len(r.Policies) == 0 || len(e.Proposals) == 0):
			return nil, fmt.Errorf("ikev2: entry %s: there is nothing to propose", e.Name)
		}
		r.entries[e.Name] = append(r.entries[e.Name], compileEntry(e))
		if p := r.profileByName(e.Profile); p != nil && !e.Dynamic {
			p.static = true
		}
	}
	return r, nil
}

func compileEntry(e exchange.Entry) *entry {
	out := &entry{Entry: e}
	for _, p := range e.Proposals {
		t := p.Proposal
		if len(t.OfType(sa.Sequence)) == 0 {
			t = append(t[:len(t):len(t)], sa.Transform{Type: sa.Sequence, ID: sa.SeqShort})
		}
		out.first = append(out.first, suite.Without(t, sa.KeyExchange))
		out.later = append(out.later, t)
	}
	return out
}

// repeatAfter returns the pause before repeat number n, from 0.
func (r *Rules) repeatAfter(n int) time.Duration {
	d := float64(r.RetransmitBase) * math.Pow(r.RetransmitFactor, float64(n))
	return time.Duration(min(d, float64(5*time.Minute)))
}

// duplicate reports whether another entry has the name and the local address of e.
func (r *Rules) duplicate(e *exchange.Entry) bool {
	for _, o := range r.entries[e.Name] {
		if o.Local == e.Local {
			return true
		}
	}
	return false
}

// entry returns the entry called name that stands on the address local, or else
// on any; nil: none.
func (r *Rules) entry(name string, local netip.Addr) *entry {
	list := r.entries[name]
	for _, e := range list {
		if e.Local == local {
			return e
		}
	}
	if len(list) > 0 {
		return list[0]
	}
	return nil
}

// profileByName returns the profile called name, nil for none.
func (r *Rules) profileByName(name string) *profile {
	for i := range r.profiles {
		if r.profiles[i].Name == name {
			return &r.profiles[i]
		}
	}
	return nil
}

// identityOf returns who we are under p at the address local: what the profile says, or
// else the subject of our certificate, or the address.
func (p *profile) identityOf(local netip.Addr) identity.Identity {
	if !p.LocalIdentity.IsZero() {
		return p.LocalIdentity
	}
	if c, ok := p.Local.(exchange.Certificate); ok {
		return pki.Subject(c.Own.Chain[0])
	}
	return identity.FromAddr(local)
}
