package netns

import "time"

// Fault is what is wrong with the link of an interface, for the operator.
type Fault string

// The faults.
const (
	DeviceGone Fault = "its device is gone"
	LinkDown   Fault = "its device is down"
	NoCarrier  Fault = "its device has no carrier"
)

// Faults returns what is wrong with the links of the tenant's interfaces, by
// interface, as the kernel has it now. An interface that is configured to be shut
// down has no fault, and neither has one whose port negotiates at the moment.
func (g *Gateway) Faults() map[string]Fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]Fault)
	if g.gone {
		return out
	}
	list, err := g.ns.links()
	if err != nil {
		return out // nothing is known
	}
	for name, l := range g.links {
		if i, _ := interfaceOf(g.tenant, name); i.Shutdown {
			continue
		}
		link, exists := linkOf(list, l.index)
		switch {
		case !exists:
			out[name] = DeviceGone
		case !link.up():
			out[name] = LinkDown
		case !link.running() && time.Since(g.lowered[name]) > carrierQuiet:
			out[name] = NoCarrier
		}
	}
	return out
}
