package plane

import (
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
)

// Options are the settings that may change while a plane runs. The zero value
// uses every offload that the kernel and the devices have; without those that
// they refuse, the plane works on.
type Options struct {
	DF sa.DF
	// NoGSO sends datagrams one by one, and NoGRO receives them so, where UDP
	// segmentation offload would move many at once.
	NoGSO, NoGRO bool
	// NoTUNOffload has the TUN device move packets one by one, and not
	// super-packets.
	NoTUNOffload bool
	// NoBatching has a system call of a socket move one message only.
	NoBatching bool
}

func (o *Options) validate() error {
	if o.DF != "" && o.DF != sa.DFCopy && o.DF != sa.DFSet && o.DF != sa.DFClear {
		return fmt.Errorf("plane: DF is %q, not copy, set or clear", o.DF)
	}
	return nil
}

// A Conn or Device whose offloads can be switched.
type (
	socketOffloader interface {
		SetOffload(o *Options)
		// Offloads reports which are in use.
		Offloads() (gso, gro bool)
	}
	deviceOffloader interface{ SetOffload(on bool) }
)

// Offloads returns the names of the offloads that are in use now: "gso" and "gro"
// where every UDP socket has it, "tun_tcp" and "tun_udp" for super-packets of the
// TUN device, and "crew" where others help the pipelines.
func (p *Plane) Offloads() []string {
	var names []string
	add := func(name string, on bool) {
		if on {
			names = append(names, name)
		}
	}
	gso, gro := p.esp.offloads()
	device := p.tun.queues[0].dev
	add("gso", gso)
	add("gro", gro)
	add("tun_tcp", device.TCPOffload())
	add("tun_udp", device.UDPOffload())
	add("crew", p.esp.crew.size > 0)
	return names
}

// SetOptions changes the options. Packets that are on their way may still be
// treated as before; those that wait joined in a socket whose GRO goes off are
// lost, because the kernel no longer says how they were joined.
func (p *Plane) SetOptions(o Options) error {
	if err := o.validate(); err != nil {
		return err
	}
	p.setting.Lock()
	defer p.setting.Unlock()
	p.tun.setOptions(&o)
	p.esp.setOptions(&o)
	p.options.Store(&o)
	return nil
}
