package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

// Capture records what passes a device, both ways, into a pcap file. It is a
// packet socket of this process, so nothing that arrived before Stop is lost,
// and it needs no program to be installed.
type Capture struct {
	lab  *Lab
	name string
	path string
	fd   int
	keep int // bytes of each frame
	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu      sync.Mutex // guards packets
	packets []Packet
}

// Packet is one captured frame, as far as a test wants to know it.
type Packet struct {
	Time     time.Time
	Src, Dst string // addresses
	Protocol string // "ike", "esp-in-udp", "esp", "keepalive", "icmp", "tcp", "udp", "arp", "ndp", or the number
	Exchange uint8  // of an IKE message: 34 IKE_SA_INIT, 35 IKE_AUTH, 36 CREATE_CHILD_SA, 37 INFORMATIONAL
	Response bool   // of an IKE message
	SPI      uint32 // of ESP
	Sequence uint32 // of ESP
	SPIi     uint64 // of an IKE message
	Incoming bool   // it arrived on the device; otherwise it left by it
	Data     []byte // the frame, as much of it as the capture keeps
}

// The exchange types that tests count.
const (
	ExchangeSAInit = 34
	ExchangeAuth   = 35
	ExchangeChild  = 36
	ExchangeInfo   = 37
)

// captureSnap is the longest frame kept; segmentation offload makes long ones.
// headersSnap is enough to tell what a frame is.
const (
	captureSnap = 1 << 16
	headersSnap = 128
)

// Capture begins to record a device.
func (ns *Namespace) Capture(device string) *Capture { return ns.capture(device, captureSnap) }

// CaptureHeaders is a Capture that keeps the beginning of each frame only.
func (ns *Namespace) CaptureHeaders(device string) *Capture { return ns.capture(device, headersSnap) }

func (ns *Namespace) capture(device string, keep int) *Capture {
	ns.lab.tb.Helper()
	c := &Capture{
		keep: keep,
		lab:  ns.lab, name: device + " in " + ns.name,
		path: ns.lab.Path("capture", fmt.Sprintf("%s-%s-%d.pcap", ns.name, device, count.Add(1))),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	attrs := ns.link(device).Attrs()
	index := attrs.Index
	link, first := layers.LinkTypeEthernet, gopacket.Decoder(layers.LayerTypeEthernet)
	if attrs.EncapType == "none" { // a TUN device: frames are IP packets
		link, first = layers.LinkTypeRaw, gopacket.DecodeFunc(decodeIP)
	}
	err := ns.Do(func() (err error) {
		c.fd, err = openPacketSocket(index)
		return err
	})
	if err != nil {
		ns.lab.tb.Fatalf("lab: capture on %s: %v", c.name, err)
	}
	f, err := os.Create(c.path)
	if err != nil {
		ns.lab.tb.Fatalf("lab: %v", err)
	}
	w := pcapgo.NewWriterNanos(f)
	if err := w.WriteFileHeader(captureSnap, link); err != nil {
		ns.lab.tb.Fatalf("lab: %v", err)
	}
	go c.run(f, w, first)
	ns.lab.onClose(c.Stop)
	return c
}

// everything is ETH_P_ALL in network order.
const everything = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8

// openPacketSocket opens a packet socket on the device. Reads wait 20 ms at
// most, so that the reader sees that it should stop.
func openPacketSocket(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	steps := []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20) },
		func() error {
			return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20000})
		},
		func() error { return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: index}) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// run reads frames until it is told to stop and nothing is left to read.
func (c *Capture) run(f *os.File, w *pcapgo.Writer, first gopacket.Decoder) {
	defer close(c.done)
	defer f.Close()
	defer unix.Close(c.fd)
	b := make([]byte, captureSnap)
	for {
		n, from, err := unix.Recvfrom(c.fd, b, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			select {
			case <-c.stop:
				return
			default:
				continue
			}
		}
		if err != nil && !errors.Is(err, unix.ENETDOWN) {
			c.lab.tb.Logf("lab: capture on %s ends: %v", c.name, err)
			return
		}
		if n <= 0 {
			continue
		}
		now := time.Now()
		info := gopacket.CaptureInfo{Timestamp: now, CaptureLength: min(n, c.keep), Length: n}
		n = info.CaptureLength
		if err := w.WritePacket(info, b[:n]); err != nil {
			c.lab.tb.Logf("lab: capture on %s: %v", c.name, err)
			return
		}
		p := dissect(append([]byte(nil), b[:n]...), first)
		p.Time = now
		if link, ok := from.(*unix.SockaddrLinklayer); ok {
			p.Incoming = link.Pkttype != unix.PACKET_OUTGOING
		}
		c.mu.Lock()
		c.packets = append(c.packets, p)
		c.mu.Unlock()
	}
}

// Stop ends the capture; everything that had passed is in the file then.
func (c *Capture) Stop() {
	c.once.Do(func() { close(c.stop) })
	<-c.done
}

// Path is the pcap file.
func (c *Capture) Path() string { return c.path }

// Packets are those captured so far for which match is true; nil matches all. Where the
// capture goes on, what passes may be in it a moment later.
func (c *Capture) Packets(match func(Packet) bool) []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Packet
	for _, p := range c.packets {
		if match == nil || match(p) {
			found = append(found, p)
		}
	}
	return found
}

// Inits ends the capture and returns how many IKE_SA_INIT requests have passed since a
// moment.
func (c *Capture) Inits(since time.Time) int {
	c.Stop()
	return len(c.Packets(func(p Packet) bool {
		return p.Opens() && p.Time.After(since)
	}))
}

// Opens tells whether the packet is an IKE_SA_INIT request.
func (p Packet) Opens() bool { return p.Exchange == ExchangeSAInit && !p.Response }

// decodeIP begins with the IP header.
func decodeIP(data []byte, p gopacket.PacketBuilder) error {
	if len(data) > 0 && data[0]>>4 == 6 {
		return layers.LayerTypeIPv6.Decode(data, p)
	}
	return layers.LayerTypeIPv4.Decode(data, p)
}

// dissect finds out what a frame is whose first layer is given.
func dissect(frame []byte, first gopacket.Decoder) Packet {
	p := Packet{Data: frame, Protocol: "other"}
	packet := gopacket.NewPacket(frame, first, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	if packet.Layer(layers.LayerTypeARP) != nil {
		p.Protocol = "arp"
		return p
	}
	network := packet.NetworkLayer()
	if network == nil {
		return p
	}
	p.Src, p.Dst = network.NetworkFlow().Src().String(), network.NetworkFlow().Dst().String()
	var protocol layers.IPProtocol
	switch ip := network.(type) {
	case *layers.IPv4:
		protocol = ip.Protocol
	case *layers.IPv6:
		protocol = ip.NextHeader
	}
	p.Protocol = fmt.Sprint(uint8(protocol))
	if icmp, ok := packet.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
		protocol = layers.IPProtocolICMPv6 // behind a hop-by-hop header, too
		if isNeighbourDiscovery(icmp.TypeCode.Type()) {
			p.Protocol = "ndp"
			return p
		}
	}
	switch protocol {
	case layers.IPProtocolICMPv4, layers.IPProtocolICMPv6:
		p.Protocol = "icmp"
	case layers.IPProtocolTCP:
		p.Protocol = "tcp"
	case layers.IPProtocolESP:
		p.esp("esp", network.LayerPayload())
	case layers.IPProtocolUDP:
		p.Protocol = "udp"
		if udp, ok := packet.Layer(layers.LayerTypeUDP).(*layers.UDP); ok {
			p.udp(udp)
		}
	}
	return p
}

// isNeighbourDiscovery tells messages by which a kernel learns its neighbours,
// and multicast routers their listeners, from those that somebody sent.
func isNeighbourDiscovery(icmpType uint8) bool {
	switch {
	case icmpType >= layers.ICMPv6TypeMLDv1MulticastListenerQueryMessage &&
		icmpType <= layers.ICMPv6TypeMLDv1MulticastListenerDoneMessage,
		icmpType >= layers.ICMPv6TypeRouterSolicitation && icmpType <= layers.ICMPv6TypeRedirect,
		icmpType == layers.ICMPv6TypeMLDv2MulticastListenerReportMessageV2:
		return true
	}
	return false
}

// udp tells IKE and ESP from each other (RFC 3948 section 2).
func (p *Packet) udp(udp *layers.UDP) {
	b := udp.Payload
	switch {
	case udp.SrcPort == 500 || udp.DstPort == 500:
		p.ike(b)
	case udp.SrcPort != 4500 && udp.DstPort != 4500:
	case len(b) == 1 && b[0] == 0xff:
		p.Protocol = "keepalive"
	case len(b) > 4 && binary.BigEndian.Uint32(b) == 0:
		p.ike(b[4:])
	default:
		p.esp("esp-in-udp", b)
	}
}

func (p *Packet) esp(protocol string, b []byte) {
	p.Protocol = protocol
	if len(b) >= 8 {
		p.SPI, p.Sequence = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	}
}

func (p *Packet) ike(b []byte) {
	p.Protocol = "ike"
	if len(b) >= 28 {
		p.SPIi = binary.BigEndian.Uint64(b)
		p.Exchange = b[18]
		p.Response = b[19]&0x20 != 0
	}
}
