package worker

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/exchange"
)

// Reconfigure replaces the tenant's specification. Sockets and devices stay. An
// established SA stays unless the change concerns it: then it ends or is rekeyed
// (ike.Engine.Reconfigure, unfit).
func (w *Worker) Reconfigure(ctx context.Context, t *spec.Tenant) error {
	return w.do(ctx, func(now time.Time) error {
		serves := w.twin.speaks()
		var err error
		if serves {
			err = w.engine.Reconfigure(now, engineConfig(t), &w.out)
		} else {
			err = w.engine.Configure(engineConfig(t))
		}
		if err != nil {
			return fmt.Errorf("worker: configuring the engine: %w", err)
		}
		if err := w.configure(t); err != nil {
			return err
		}
		if err := w.plane.SetOptions(planeOptions(t)); err != nil {
			return err
		}
		w.recount(t)
		w.log.Info("configuration changed")
		w.tellStanding(now)
		if !serves {
			return nil
		}
		for _, s := range w.engine.Status() {
			if reason := w.unfit(s); reason != "" {
				w.command(now, exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: reason})
			}
		}
		w.carry(now)
		return nil
	})
}

// unfit returns why a session could not be as it is under the policies and pools
// of now, "" where it could.
func (w *Worker) unfit(s exchange.Status) string {
	attrs, ok := w.policies.Resolve(s.Peer.Profile)
	switch {
	case !ok:
		return "its tunnel group was removed from the configuration"
	case s.Dialled || s.Established.IsZero():
		return ""
	case !slices.Contains(attrs.TunnelProtocols, "ikev2"):
		return "its group policy does not allow ikev2 any more"
	case !attrs.RemoteAccess:
		return ""
	case slices.ContainsFunc(s.Session.Addresses, func(a netip.Addr) bool { return !w.pools.Has(attrs.AddressPools, a) }):
		return "its address is in none of its pools any more"
	case !reaches(attrs, s.Session.Split):
		return "its group policy gives it fewer networks now"
	}
	return ""
}

// reaches reports whether a session that is opened now reaches all of these
// networks; none stand for all there are.
func reaches(attrs policy.Attributes, networks []netip.Prefix) bool {
	if len(attrs.SplitTunnel) == 0 {
		return true
	}
	for _, n := range networks {
		if !slices.ContainsFunc(attrs.SplitTunnel, func(p netip.Prefix) bool { return p.Bits() <= n.Bits() && p.Contains(n.Addr()) }) {
			return false
		}
	}
	return len(networks) > 0
}
