package iketest

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// options are what configure sets.
var options = map[string]func(c *exchange.Config, value string) error{
	"ike-lifetime": duration(func(c *exchange.Config) *time.Duration { return &c.Policies[0].Lifetime }),
	"child-lifetime": duration(func(c *exchange.Config) *time.Duration {
		return &c.Entries[0].Proposals[0].Lifetime
	}),
	"dpd":           duration(func(c *exchange.Config) *time.Duration { return &c.Profiles[0].DPD }),
	"half-open":     duration(func(c *exchange.Config) *time.Duration { return &c.HalfOpenTimeout }),
	"fragment-size": number(func(c *exchange.Config) *int { return &c.FragmentSize }),
	"fragmentation": func(c *exchange.Config, v string) error {
		c.NoFragmentation = v == "no"
		return nil
	},
	"retransmit-tries": number(func(c *exchange.Config) *int { return &c.RetransmitTries }),
	"cookies": func(c *exchange.Config, v string) error {
		c.AlwaysCookie = v == "always"
		return nil
	},
	"redial": func(c *exchange.Config, v string) error {
		c.Entries[0].Initiate = v == "yes"
		return nil
	},
	"ike-proposal": func(c *exchange.Config, v string) (err error) {
		c.Policies[0].Proposal, err = proposal(v)
		return err
	},
	"child-proposal": func(c *exchange.Config, v string) (err error) {
		c.Entries[0].Proposals[0].Proposal, err = proposal(v)
		return err
	},
	"networks": func(c *exchange.Config, v string) error {
		c.Entries[0].RemoteTS = nil
		for _, text := range strings.Fields(v) {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return err
			}
			c.Entries[0].RemoteTS = append(c.Entries[0].RemoteTS, sa.SelectorOf(p))
		}
		return nil
	},
	"psk": func(c *exchange.Config, v string) error {
		c.Profiles[0].Local = exchange.PSK{Key: secret.Copy([]byte(v))}
		return nil
	},
	"identity": func(c *exchange.Config, v string) (err error) {
		c.Profiles[0].LocalIdentity, err = identity.Parse(v)
		return err
	},
}

func duration(field func(*exchange.Config) *time.Duration) func(*exchange.Config, string) error {
	return func(c *exchange.Config, v string) (err error) {
		*field(c), err = time.ParseDuration(v)
		return err
	}
}

func number(field func(*exchange.Config) *int) func(*exchange.Config, string) error {
	return func(c *exchange.Config, v string) (err error) {
		*field(c), err = strconv.Atoi(v)
		return err
	}
}
