package netns

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// sniffBuffer is what a capture may be late by.
const sniffBuffer = 8 << 20

// Sniff opens a packet socket on one of the tenant's interfaces, by the
// tenant's name: it receives what passes in both directions, each frame behind
// a virtio_net_hdr. It never becomes a worker's, which could send with it.
func (g *Gateway) Sniff(iface string) (f *os.File, err error) {
	g.mu.Lock()
	l, ok := g.links[iface]
	g.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("netns: there is no interface %q", iface)
	}
	err = g.ns.within(func() error {
		f, err = openPacketSocket(l.index)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("netns: listening on %s: %w", iface, err)
	}
	return f, nil
}

func openPacketSocket(index int) (*os.File, error) {
	// protocol 0: nothing yet
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "packet socket")
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, sniffBuffer)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)
	if err == nil {
		all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
