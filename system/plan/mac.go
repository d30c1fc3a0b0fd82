package plan

import (
	"crypto/sha256"
	"fmt"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spec"
)

// stableMAC returns the locally administered MAC of a shared interface of a tenant: the
// same at every start, and different for every system, tenant and interface.
func stableMAC(system, tenant, iface string) spec.MAC {
	return localMAC("warren mac\x00" + system + "\x00" + tenant + "\x00" + iface)
}

// pairMACs are the MACs that the active and the standby unit have on an
// interface of a context: those of its configuration, or else generated ones,
// the same on both nodes and at every start, and different for every context,
// interface and network. They need no secret: everybody on the wire sees them.
func pairMACs(c configs.Tenant, i spec.Interface) (active, standby spec.MAC) {
	choose := func(configured spec.MAC, role string) spec.MAC {
		if !configured.IsZero() {
			return configured
		}
		return localMAC(fmt.Sprintf("warren pair mac\x00%s\x00%s\x00%v\x00%v", c.Name, i.Name, i.Addresses, role))
	}
	return choose(i.MAC, "active"), choose(i.StandbyMAC, "standby")
}

// localMAC derives a unicast address that is locally administered (IEEE 802, U/L bit).
func localMAC(from string) spec.MAC {
	sum := sha256.Sum256([]byte(from))
	mac := spec.MAC(sum[:6])
	mac[0] = mac[0]&^0x01 | 0x02
	return mac
}
