package capture

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

// Frames reads frames of one device that the supervisor passes on, with a
// virtio_net_hdr before each: what the kernel passes on as one super-packet is
// shown as the packets that it stands for. The packet socket itself, with which
// anything could be sent, is never a worker's.
type Frames struct {
	conn net.Conn
	link pcapng.LinkType

	message, packet []byte
	frame           []byte // of message
	ether           [ethernetLen]byte
	head            control.Frame
}

// NewFrames takes over where frames come from. f stays the caller's.
func NewFrames(f *os.File, ethernet bool) (*Frames, error) {
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("capture: taking over where frames come from: %w", err)
	}
	s := &Frames{conn: conn, link: pcapng.LinkRaw, message: make([]byte, control.FrameLen+frameRoom),
		packet: make([]byte, tun.MaxPacket)}
	if ethernet {
		s.link = pcapng.LinkEthernet
	}
	return s, nil
}

// Close closes the connection, which ends the capture that reads it.
func (f *Frames) Close() error { return f.conn.Close() }

// copyTo adds packets to c until there are no more frames.
func (f *Frames) copyTo(c *capture) {
	var dropped uint64
	for {
		n, err := f.conn.Read(f.message) // one whole message
		if err != nil || n == 0 {
			return
		}
		head, frame, err := control.ParseFrame(f.message[:n])
		if err != nil {
			return
		}
		if head.Dropped > dropped {
			c.drop(head.Dropped - dropped)
			dropped = head.Dropped
		}
		f.head, f.frame = head, frame
		f.add(c)
	}
}

// add takes apart what was received.
func (f *Frames) add(c *capture) {
	link := 0
	if f.link == pcapng.LinkEthernet {
		link = ethernetLen
	}
	if len(f.frame) < tun.HeaderLen+link {
		return
	}
	d := pcapng.Inbound
	if f.head.Outgoing {
		d = pcapng.Outbound
	}
	nanos := f.head.Nanos
	var super tun.Super
	if f.frame[0]|f.frame[1] == 0 || !f.parse(link, &super) {
		c.add(nanos, d, nil, nil, f.frame[tun.HeaderLen:])
		return
	}
	for i := range super.Count() {
		c.add(nanos, d, nil, f.ether[:link], f.packet[:super.Put(f.packet, i)])
	}
}

// parse reads a packet whose checksum is missing, or a super-packet. It moves
// the virtio_net_hdr, whose offset counts from the beginning of the frame, over
// the link header, which it keeps.
func (f *Frames) parse(link int, super *tun.Super) bool {
	copy(f.ether[:link], f.frame[tun.HeaderLen:])
	copy(f.frame[link:], f.frame[:tun.HeaderLen])
	b := f.frame[link:]
	if start := binary.NativeEndian.Uint16(b[6:]); int(start) >= link {
		binary.NativeEndian.PutUint16(b[6:], start-uint16(link))
	}
	if tun.ParseSuper(b, super) == nil && super.Len(0) <= len(f.packet) {
		return true
	}
	copy(f.frame[tun.HeaderLen:], f.ether[:link])
	return false
}
