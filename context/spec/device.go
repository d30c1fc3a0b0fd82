package spec

// DeviceKind is how a tenant comes to one of the host's devices.
type DeviceKind string

// The kinds of devices. Their texts are in records of run_dir, which outlive warrend.
const (
	WholeDevice DeviceKind = "device"  // the host's device itself moves into the namespace
	Macvlan     DeviceKind = "macvlan" // shared with others: a macvlan on the host's device
	VLAN        DeviceKind = "vlan"    // an 802.1Q subinterface of the host's device
)

// Device is what stands behind one data interface of a tenant: a device of the host, and
// how the tenant comes to it.
type Device struct {
	Interface string // name in the tenant's configuration
	Kind      DeviceKind
	Host      string // the host's device
	// VLAN is the 802.1Q identifier; with Macvlan it is that of the subinterface
	// that is shared, or 0.
	VLAN int
	MTU  int // bytes; 0: as the device has it
	MAC  MAC // zero: the device's own; of a Macvlan, a stable one
	// ActiveMAC and StandbyMAC are used instead of MAC when the tenant belongs to a
	// failover pair, each with its role.
	ActiveMAC, StandbyMAC MAC
}
