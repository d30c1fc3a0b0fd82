package netns

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// announceAtOnce and announceLater are the waits before an announcement is
// repeated. The first is what moves traffic. Those at once are for a switch that
// was busy, or a host that lost one, while the traffic of a pair waits; those later
// for a port that passes nothing at first. announceShared is for a tenant alone
// whose devices are all shared: they have the same MACs at every start.
var (
	announceAtOnce = []time.Duration{5 * time.Millisecond, 5 * time.Millisecond}
	announceLater  = []time.Duration{time.Second, 2 * time.Second}
	announceShared = announceLater[1:]
)

const (
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

var (
	broadcastMAC = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodesMAC  = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
	allNodes     = netip.MustParseAddr("ff02::1")
)

// Announce tells the neighbours once more whose the addresses are.
func (g *Gateway) Announce() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.announcement++
	g.announceLocked(everybody)
}

// audience is who hears an announcement. Each tenant hears what all others on its Ethernet
// announce that share a device with it, which makes as many frames as the square of the
// tenants, each of which takes several microseconds.
type audience bool

const (
	everybody audience = true
	// theWire leaves out those who share a device with the tenant: nothing that is sent to
	// them gets lost, so they need to hear of it once, if at all.
	theWire audience = false
)

// announceLocked sends the first announcement of every address and leaves the
// others to a goroutine, which Remove waits for.
func (g *Gateway) announceLocked(first audience) {
	if g.packets < 0 {
		return
	}
	g.announceOnceLocked(first)
	turn := g.announcement
	waits := announceLater
	switch {
	case g.paired:
		waits = slices.Concat(announceAtOnce, announceLater)
	case !slices.ContainsFunc(g.devices, func(d spec.Device) bool { return d.Kind != spec.Macvlan }):
		waits = announceShared
	}
	g.owned.Go(func() {
		wait := time.NewTimer(0)
		defer wait.Stop()
		for _, after := range waits {
			wait.Reset(after)
			select {
			case <-wait.C:
			case <-g.removed:
				return
			}
			g.mu.Lock()
			superseded := g.announcement != turn // they may be somebody else's by now
			if !superseded {
				g.announceOnceLocked(theWire)
			}
			g.mu.Unlock()
			if superseded {
				return
			}
		}
	})
}

// announceOnceLocked sends a gratuitous ARP or an unsolicited NA for every
// address that is ours, link-local ones included where the interface has other IPv6
// addresses, or a twin. A packet that does not leave is like one that is lost.
func (g *Gateway) announceOnceLocked(to audience) {
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		mac := l.macOf(g.role)
		if !g.paired {
			mac = l.mac
		}
		if !ok || len(mac) != 6 {
			continue
		}
		send := func(protocol uint16, frame []byte) {
			if to == everybody || !g.host.sendFrame(l.lower, protocol, frame) {
				_ = transmit(g.packets, l.index, protocol, frame)
			}
		}
		source := linkLocal(mac).Addr()
		v6 := g.paired
		for _, p := range addressesOf(i, g.role) {
			if p.Addr().Is4() {
				send(etherARP, gratuitousARP(mac, p.Addr()))
			} else {
				v6 = true
				send(etherIPv6, unsolicitedNA(mac, source, p.Addr()))
			}
		}
		if v6 {
			send(etherIPv6, unsolicitedNA(mac, source, source))
		}
	}
}

// sendFrame sends a frame over the device that devices of tenants stand on, which none of
// them hears. It reports whether it has left.
func (h *Host) sendFrame(index int, protocol uint16, frame []byte) bool {
	if index == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.packets < 0 {
		err := h.ns.within(func() (err error) {
			h.packets, err = openPackets()
			return err
		})
		if err != nil {
			return false
		}
	}
	return transmit(h.packets, index, protocol, frame) == nil
}

// transmit sends a frame from a device.
func transmit(packets, index int, protocol uint16, frame []byte) error {
	to := &unix.SockaddrLinklayer{Ifindex: index, Protocol: htons(protocol), Halen: 6}
	copy(to.Addr[:], frame[:6])
	return unix.Sendto(packets, frame, unix.MSG_DONTWAIT, to)
}

// openPackets opens a socket that announcements leave through, in the namespace of the
// calling thread; it receives nothing.
func openPackets() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("netns: opening socket for announcements: %w", err)
	}
	return fd, nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// gratuitousARP is the announcement of RFC 5227 section 2.3: a request for our
// own address. Requests are what even hosts that distrust replies learn from.
func gratuitousARP(mac net.HardwareAddr, a netip.Addr) []byte {
	b := ethernet(broadcastMAC, mac, etherARP)
	b = append(b, 0, 1, 0x08, 0x00, 6, 4, 0, 1) // Ethernet, IPv4, request
	b = append(b, mac...)
	b = append(b, a.AsSlice()...)
	b = append(b, make([]byte, 6)...)
	return append(b, a.AsSlice()...)
}

// unsolicitedNA is the neighbour advertisement of RFC 4861 section 7.2.6, with
// the flags router and override, to all nodes.
func unsolicitedNA(mac net.HardwareAddr, source, target netip.Addr) []byte {
	icmp := []byte{136, 0, 0, 0, 0xa0, 0, 0, 0}
	icmp = append(icmp, target.AsSlice()...)
	icmp = append(icmp, 2, 1) // option: target link-layer address
	icmp = append(icmp, mac...)
	binary.BigEndian.PutUint16(icmp[2:], icmpChecksum(source, allNodes, icmp))

	b := ethernet(allNodesMAC, mac, etherIPv6)
	b = append(b, 0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 255)
	b = append(b, source.AsSlice()...)
	b = append(b, allNodes.AsSlice()...)
	return append(b, icmp...)
}

func ethernet(to, from net.HardwareAddr, protocol uint16) []byte {
	b := make([]byte, 0, 96)
	b = append(b, to...)
	b = append(b, from...)
	return binary.BigEndian.AppendUint16(b, protocol)
}

// icmpChecksum is that of RFC 4443 section 2.3, over the pseudo-header too.
func icmpChecksum(source, destination netip.Addr, message []byte) uint16 {
	b := append(source.AsSlice(), destination.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	b = append(b, 0, 0, 0, unix.IPPROTO_ICMPV6)
	b = append(b, message...)
	var sum uint32
	for i := 0; i < len(b); i += 2 { // every part is even
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
