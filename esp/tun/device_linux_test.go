package tun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/roottest"
)

// TestDevices has real devices that refuse what others have: they do without,
// and packets pass in both directions.
func TestDevices(t *testing.T) {
	roottest.Need(t)
	refuse := func(int, uint, int) error { return unix.EINVAL }
	noUSO := func(fd int, req uint, value int) error {
		if value&udpOffloads != 0 {
			return unix.EINVAL
		}
		return unix.IoctlSetInt(fd, req, value)
	}
	const plain = unix.IFF_TUN | unix.IFF_NO_PI
	for _, tt := range []struct {
		name     string
		flags    uint16
		ioctl    func(fd int, req uint, value int) error
		tcp, udp bool
	}{
		{"all", plain | unix.IFF_VNET_HDR, unix.IoctlSetInt, true, true},
		{"no UDP segmentation", plain | unix.IFF_VNET_HDR, noUSO, true, false},
		{"no offload", plain | unix.IFF_VNET_HDR, refuse, false, false},
		{"no virtio_net_hdr", plain, unix.IoctlSetInt, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			done := make(chan error)
			go func() {
				runtime.LockOSThread() // the thread, and its namespace, end with the goroutine
				done <- exercise(t, tt.flags, tt.ioctl, tt.tcp, tt.udp)
			}()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// exercise makes a device in a namespace of its own, and moves packets.
func exercise(t *testing.T, flags uint16, ioctl func(int, uint, int) error, tcp, udp bool) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	fd, err := unix.Open(clonePath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), clonePath)
	if err := setFlags(fd, "tun0", flags); err != nil {
		return errors.Join(err, f.Close())
	}
	dev, err := newDevice(f, ioctl)
	if err != nil {
		return err
	}
	defer dev.Close()
	d := dev.(*native)
	if d.TCPOffload() != tcp || d.UDPOffload() != udp {
		t.Errorf("TCP %v, UDP %v; want %v, %v", d.TCPOffload(), d.UDPOffload(), tcp, udp)
	}
	for _, args := range [][]string{{"addr", "add", "10.9.0.1/24", "dev", "tun0"}, {"link", "set", "tun0", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return errors.Join(err, errors.New(string(out)))
		}
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: 7})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(10, 9, 0, 2), Port: 9}); err != nil {
		return err
	}
	packet, err := readIPv4(dev)
	if err != nil {
		return err
	}
	if Checksum(packet, 20, protoUDP) != 0 || !bytes.HasSuffix(packet, []byte("hello")) {
		t.Errorf("read %x", packet)
	}
	answer := bytes.Clone(packet)
	copy(answer[12:16], packet[16:20])
	copy(answer[16:20], packet[12:16])
	binary.BigEndian.PutUint16(answer[20:], 9)
	binary.BigEndian.PutUint16(answer[22:], 7)
	c := NewCoalescer(dev)
	for range 3 {
		c.Add(bytes.Clone(answer))
	}
	c.Flush()
	if c.Packets != 3 || c.Failed != 0 || c.Supers > 0 != udp {
		t.Errorf("%d packets written in %d super-packets, %d failed", c.Packets, c.Supers, c.Failed)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	for range 3 {
		b := make([]byte, 100)
		n, from, err := conn.ReadFrom(b)
		if err != nil || string(b[:n]) != "hello" || from.String() != "10.9.0.2:9" {
			t.Errorf("received %q from %v, %v", b[:n], from, err)
		}
	}
	d.SetOffload(false)
	if d.TCPOffload() || d.UDPOffload() {
		t.Error("offloads do not go off")
	}
	return nil
}

// readIPv4 reads until there is an IPv4 packet: IPv6 speaks by itself.
func readIPv4(dev Device) ([]byte, error) {
	var s Super
	b := make([]byte, HeaderLen+MaxPacket)
	for {
		n, err := dev.Read(b)
		if err == nil {
			err = ParseSuper(b[:n], &s)
		}
		if err != nil {
			return nil, err
		}
		if s.Bytes()[0] == 0x45 {
			packet := make([]byte, s.Len(0))
			return packet[:s.Put(packet, 0)], nil
		}
	}
}
