// Package tun is the inner side of the data plane: a TUN device whose packets
// carry a virtio_net_hdr, so that one read or write moves a TCP or UDP
// super-packet of up to 64 KiB. It opens devices, reads and writes them, cuts
// super-packets into packets and joins packets into super-packets.
//
// It does not use golang.zx2c4.com/wireguard/tun, whose ideas it shares: that
// one copies every inbound packet into its super-packet where a gathered write
// needs no copy, copies outbound packets into buffers that are copied again
// where we cut straight into the buffer that is sealed, has one queue, and
// links a netlink listener. Package comment last checked against its version of
// May 2026. The package does I/O, except for the cutting and joining.
package tun

import "errors"

// MaxPacket is the largest packet, or super-packet, that a device carries.
const MaxPacket = 65535

// ErrAgain is returned by Device.TryRead when nothing is waiting.
var ErrAgain = errors.New("tun: nothing to read")

// Device is one queue of a TUN device. Reads have one caller at a time; writes
// may have several.
type Device interface {
	// Read waits for a packet and reads it, with its header in front, into b,
	// which has room for HeaderLen+MaxPacket bytes.
	Read(b []byte) (int, error)
	// TryRead is Read without the wait: ErrAgain when there is nothing.
	TryRead(b []byte) (int, error)
	// Write sends one packet whose pieces, the first of which is the header,
	// are gathered.
	Write(pieces [][]byte) error
	// TCPOffload and UDPOffload report whether super-packets may be written.
	TCPOffload() bool
	UDPOffload() bool
	// Close ends a waiting Read with os.ErrClosed.
	Close() error
}
