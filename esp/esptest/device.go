package esptest

import (
	"os"
	"sync"
	"syscall"

	"github.com/warrenvpn/warren/esp/tun"
)

// Device is a TUN device in memory. Packets written to Inject are read from it;
// what is written to it goes to Written. It is safe for concurrent use.
type Device struct {
	Inject  chan []byte // each with its header in front, see Plain and Super
	Written chan []byte // each with its header in front, see Split
	// NoUDP says that there is no UDP offload; Refuse that super-packets are
	// refused, as some kernels do.
	NoUDP, Refuse bool

	done  chan struct{}
	close sync.Once
}

// NewDevice returns a device with room for n packets in each direction.
func NewDevice(n int) *Device {
	return &Device{Inject: make(chan []byte, n), Written: make(chan []byte, n), done: make(chan struct{})}
}

// Read implements tun.Device.
func (d *Device) Read(b []byte) (int, error) {
	select {
	case p := <-d.Inject:
		return copy(b, p), nil
	case <-d.done:
		return 0, os.ErrClosed
	}
}

// TryRead implements tun.Device.
func (d *Device) TryRead(b []byte) (int, error) {
	select {
	case p := <-d.Inject:
		return copy(b, p), nil
	default:
		return 0, tun.ErrAgain
	}
}

// Write implements tun.Device. Where nobody reads Written, packets are lost.
func (d *Device) Write(pieces [][]byte) error {
	if d.Refuse && pieces[0][1] != 0 {
		return syscall.EINVAL
	}
	var b []byte
	for _, p := range pieces {
		b = append(b, p...)
	}
	select {
	case d.Written <- b:
		return nil
	default:
		return syscall.ENOBUFS
	}
}

// TCPOffload implements tun.Device.
func (d *Device) TCPOffload() bool { return true }

// UDPOffload implements tun.Device.
func (d *Device) UDPOffload() bool { return !d.NoUDP }

// Close implements tun.Device.
func (d *Device) Close() error {
	d.close.Do(func() { close(d.done) })
	return nil
}
