package worker

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pcapng"
	"github.com/warrenvpn/warren/esp/tun"
)

const (
	ethernetLen = 14
	frameRoom   = tun.HeaderLen + 128 + tun.MaxPacket // 128: any link header
)

// sniffer reads frames of one device that the supervisor passes on, with a
// virtio_net_hdr before each: what the kernel passes on as one super-packet is
// shown as the packets that it stands for. The packet socket itself, with which
// anything could be sent, is never a worker's.
type sniffer struct {
	conn net.Conn
	link pcapng.LinkType

	message, packet []byte
	frame           []byte // of message
	ether           [ethernetLen]byte
	head            control.Frame
}

// newSniffer takes over where frames come from. f stays the caller's.
func newSniffer(f *os.File, ethernet bool) (*sniffer, error) {
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("worker: taking over where frames come from: %w", err)
	}
	s := &sniffer{conn: conn, link: pcapng.LinkRaw, message: make([]byte, control.FrameLen+frameRoom), packet: make([]byte, tun.MaxPacket)}
	if ethernet {
		s.link = pcapng.LinkEthernet
	}
	return s, nil
}

// Close ends sniff.
func (s *sniffer) Close() error { return s.conn.Close() }

// sniff adds packets to c until there are no more frames.
func (s *sniffer) sniff(c *capture) {
	var dropped uint64
	for {
		n, err := s.conn.Read(s.message) // one whole message
		if err != nil || n == 0 {
			return
		}
		head, frame, err := control.ParseFrame(s.message[:n])
		if err != nil {
			return
		}
		if head.Dropped > dropped {
			c.drop(head.Dropped - dropped)
			dropped = head.Dropped
		}
		s.head, s.frame = head, frame
		s.add(c)
	}
}

// add takes apart what was received.
func (s *sniffer) add(c *capture) {
	link := 0
	if s.link == pcapng.LinkEthernet {
		link = ethernetLen
	}
	if len(s.frame) < tun.HeaderLen+link {
		return
	}
	d := pcapng.Inbound
	if s.head.Outgoing {
		d = pcapng.Outbound
	}
	nanos := s.head.Nanos
	var super tun.Super
	if s.frame[0]|s.frame[1] == 0 || !s.parse(link, &super) {
		c.add(nanos, d, nil, nil, s.frame[tun.HeaderLen:])
		return
	}
	for i := range super.Count() {
		c.add(nanos, d, nil, s.ether[:link], s.packet[:super.Put(s.packet, i)])
	}
}

// parse reads a packet whose checksum is missing, or a super-packet. It moves
// the virtio_net_hdr, whose offset counts from the beginning of the frame, over
// the link header, which it keeps.
func (s *sniffer) parse(link int, super *tun.Super) bool {
	copy(s.ether[:link], s.frame[tun.HeaderLen:])
	copy(s.frame[link:], s.frame[:tun.HeaderLen])
	b := s.frame[link:]
	if start := binary.NativeEndian.Uint16(b[6:]); int(start) >= link {
		binary.NativeEndian.PutUint16(b[6:], start-uint16(link))
	}
	if tun.ParseSuper(b, super) == nil && super.Len(0) <= len(s.packet) {
		return true
	}
	copy(s.frame[tun.HeaderLen:], s.ether[:link])
	return false
}
