package radius

import (
	"errors"
	"net/netip"
)

// NAS is what a request says about a client and about the gateway that asks.
type NAS struct {
	User       string     // User-Name: the EAP identity; at most 253 octets
	Address    netip.Addr // of the gateway
	Identifier string     // NAS-Identifier
	Port       string     // NAS-Port-Id, and the appliance's Tunnel-Group-Name: the tunnel group
	Called     string     // Called-Station-Id: where the client has come
	Calling    string     // Calling-Station-Id: from where
}

// applianceTunnelGroup tells a server the tunnel group, as the appliance does.
const applianceTunnelGroup uint8 = 146

// Describe returns the attributes of n.
func Describe(n *NAS) (Attributes, error) {
	var a Attributes
	own, addr := TypeNASIPAddress, n.Address
	if addr.Is6() {
		own = TypeNASIPv6Address
	}
	err := errors.Join(
		a.Add(TypeUserName, []byte(n.User)),
		a.Add(own, addr.AsSlice()),
		a.Add(TypeNASIdentifier, []byte(n.Identifier)),
		a.addUint32(TypeNASPortType, portTypeVirtual),
		a.addUint32(TypeServiceType, serviceFramed),
		a.Add(TypeNASPortID, []byte(n.Port)),
		a.Add(TypeCalledStationID, []byte(n.Called)),
		a.Add(TypeCallingStationID, []byte(n.Calling)),
		a.addVendor(vendorAppliance, applianceTunnelGroup, []byte(n.Port)),
	)
	return a, err
}
