package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/failover"
)

// Heartbeats over a data interface are Ethernet frames of their own to a group
// address: whose the IP addresses are is just what the two nodes do not know
// when they need them, and an interface may have none at all.
//
//	"WRD\x01" id(4) index(1) count(1) length(2) part of a heartbeat
//
// A heartbeat that is larger than the MTU is sent in several frames.
const (
	etherType     = 0x88b5 // IEEE 802, local experimental
	etherMagic    = "WRD\x01"
	etherHead     = len(etherMagic) + 8
	maxParts      = failover.MaxDatagram/(minEtherMTU-etherHead) + 1
	minEtherMTU   = 576
	maxAssemblies = 4 // heartbeats whose parts are not all here, the oldest goes
)

// etherGroup is where heartbeats over data interfaces go: a group address of
// local administration, so that only a pair's interfaces listen.
var etherGroup = [6]byte{0x03, 'W', 'A', 'R', 'E', 'N'}

// Ethernet carries heartbeats over one data interface. Send and Receive may be
// called from one goroutine each, Close from any.
type Ethernet struct {
	file   *os.File
	raw    unixConn
	to     unix.SockaddrLinklayer
	mtu    int
	nextID uint32

	assemblies []assembly
}

// unixConn is what syscall.RawConn offers of a file.
type unixConn interface {
	Read(func(fd uintptr) bool) error
	Write(func(fd uintptr) bool) error
}

// assembly is a heartbeat of which not all parts are here.
type assembly struct {
	id    uint32
	parts [][]byte
	left  int
}

// OpenEthernet opens the socket of a data interface in the network namespace of
// the calling thread.
func OpenEthernet(device string) (*Ethernet, error) {
	fail := func(err error) (*Ethernet, error) {
		return nil, fmt.Errorf("link: heartbeat socket on %q: %w", device, err)
	}
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return fail(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fail(err)
	}
	at := unix.SockaddrLinklayer{Protocol: etherType>>8 | etherType&0xff<<8, Ifindex: dev.Index}
	group := &unix.PacketMreq{Ifindex: int32(dev.Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6}
	copy(group.Address[:], etherGroup[:])
	err = errors.Join(unix.Bind(fd, &at),
		unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, group))
	if err != nil {
		return fail(errors.Join(err, unix.Close(fd)))
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, 6)
	f := os.NewFile(uintptr(fd), "heartbeats on "+device)
	raw, err := f.SyscallConn()
	if err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	to := at
	to.Halen = 6
	copy(to.Addr[:], etherGroup[:])
	return &Ethernet{file: f, raw: raw, to: to, mtu: max(dev.MTU, minEtherMTU)}, nil
}

// Send sends one heartbeat. It does not block: what does not leave at once is
// lost.
func (e *Ethernet) Send(payload []byte) error {
	e.nextID++
	for _, frame := range split(payload, e.nextID, e.mtu) {
		err := error(nil)
		if rawErr := e.raw.Write(func(fd uintptr) bool {
			err = unix.Sendto(int(fd), frame, unix.MSG_DONTWAIT, &e.to)
			return true
		}); rawErr != nil || err != nil {
			return fmt.Errorf("link: sending heartbeat: %w", errors.Join(rawErr, err))
		}
	}
	return nil
}

// split cuts a heartbeat into frames.
func split(payload []byte, id uint32, mtu int) [][]byte {
	size := mtu - etherHead
	count := max(1, (len(payload)+size-1)/size)
	var frames [][]byte
	for i := range count {
		part := payload[i*size : min((i+1)*size, len(payload))]
		b := append([]byte(nil), etherMagic...)
		b = binary.BigEndian.AppendUint32(b, id)
		b = append(b, byte(i), byte(count))
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
		frames = append(frames, append(b, part...))
	}
	return frames
}

// Receive waits for the next heartbeat, which belongs to the caller. It is not
// authenticated yet. An error is for ever: after Close, or without the device.
func (e *Ethernet) Receive() ([]byte, error) {
	buf := make([]byte, failover.MaxDatagram+etherHead)
	for {
		var n int
		var err error
		if rawErr := e.raw.Read(func(fd uintptr) bool {
			n, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			return !errors.Is(err, unix.EAGAIN)
		}); rawErr != nil {
			return nil, fmt.Errorf("link: receiving heartbeat: %w", rawErr)
		}
		if err != nil { // the device is down; it may come back
			if errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.EINTR) {
				continue
			}
			return nil, fmt.Errorf("link: receiving heartbeat: %w", err)
		}
		if b := e.join(buf[:n]); b != nil {
			return b, nil
		}
	}
}

// join takes one frame and returns the heartbeat that it completes, or nil.
func (e *Ethernet) join(b []byte) []byte {
	if len(b) < etherHead || string(b[:len(etherMagic)]) != etherMagic {
		return nil
	}
	head := b[len(etherMagic):etherHead]
	id, index, count := binary.BigEndian.Uint32(head), int(head[4]), int(head[5])
	length := int(binary.BigEndian.Uint16(head[6:]))
	if b = b[etherHead:]; length > len(b) || index >= count || count > maxParts {
		return nil
	}
	part := slices.Clone(b[:length]) // what follows is padding
	if count == 1 {
		return part
	}
	a := e.assembly(id, count)
	if a.parts[index] == nil {
		a.parts[index] = part
		a.left--
	}
	if a.left > 0 {
		return nil
	}
	whole := slices.Concat(a.parts...)
	e.assemblies = slices.DeleteFunc(e.assemblies, func(a assembly) bool { return a.id == id })
	return whole
}

// assembly returns the one for a heartbeat, a new one if need be.
func (e *Ethernet) assembly(id uint32, count int) *assembly {
	for i := range e.assemblies {
		if a := &e.assemblies[i]; a.id == id && len(a.parts) == count {
			return a
		}
	}
	if len(e.assemblies) == maxAssemblies {
		e.assemblies = slices.Delete(e.assemblies, 0, 1)
	}
	e.assemblies = append(e.assemblies, assembly{id, make([][]byte, count), count})
	return &e.assemblies[len(e.assemblies)-1]
}

// Close ends Receive.
func (e *Ethernet) Close() error { return e.file.Close() }
