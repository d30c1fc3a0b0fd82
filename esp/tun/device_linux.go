package tun

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	clonePath   = "/dev/net/tun"
	tcpOffloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	udpOffloads = unix.TUN_F_USO4 | unix.TUN_F_USO6 // Linux 6.2
	maxPieces   = maxParts + 2
)

// Open makes a TUN device in the network namespace of the calling thread, and
// returns one file for each queue. The device is gone when all are closed. It
// is down and has no address. The files are blocking, so that the runtime of a
// process that only holds them does not watch them; NewDevice changes that.
func Open(name string, mtu, queues int) ([]*os.File, error) {
	if queues < 1 {
		queues = 1
	}
	var files []*os.File
	for range queues {
		f, err := openQueue(name, queues > 1)
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("tun: opening %s: %w", name, err)
		}
		files = append(files, f)
	}
	if err := setMTU(name, mtu); err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("tun: MTU %d of %s: %w", mtu, name, err)
	}
	return files, nil
}

func openQueue(name string, multi bool) (*os.File, error) {
	fd, err := unix.Open(clonePath, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if multi {
		flags |= unix.IFF_MULTI_QUEUE
	}
	err = setFlags(fd, name, flags)
	if errors.Is(err, unix.EINVAL) { // a kernel without virtio_net_hdr
		err = setFlags(fd, name, flags&^unix.IFF_VNET_HDR)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), clonePath), nil
}

func setFlags(fd int, name string, flags uint16) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
}

func setMTU(name string, mtu int) error {
	if mtu <= 0 {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint32(uint32(mtu))
	return unix.IoctlIfreq(fd, unix.SIOCSIFMTU, r)
}

// native is a queue of a TUN device of the kernel.
type native struct {
	file *os.File
	raw  syscall.RawConn
	bare bool // packets have no virtio_net_hdr
	// tcp and udp: super-packets may be written.
	tcp, udp atomic.Bool
	ioctl    func(fd int, req uint, value int) error

	// The functions for raw and their arguments are kept, because a closure
	// made per call would be garbage.
	read struct {
		fn     func(fd uintptr) bool
		b      []byte
		n      int
		errno  syscall.Errno
		try    bool
		yields int
	}
	writers chan *writer // idle ones
}

// NewDevice takes over a queue that Open opened, here or in another process,
// and switches its offloads on, as far as the kernel has them.
func NewDevice(f *os.File) (Device, error) { return newDevice(f, unix.IoctlSetInt) }

// newDevice is NewDevice with another way to set what a device does.
func newDevice(f *os.File, ioctl func(fd int, req uint, value int) error) (Device, error) {
	d := &native{file: f, ioctl: ioctl, writers: make(chan *writer, 4)}
	if err := d.setUp(); err != nil {
		f.Close()
		return nil, fmt.Errorf("tun: taking over a device: %w", err)
	}
	return d, nil
}

func (d *native) setUp() error {
	fd := int(d.file.Fd()) // makes the file blocking
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	r, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, r); err != nil {
		return err
	}
	d.bare = r.Uint16()&unix.IFF_VNET_HDR == 0
	d.setOffload(fd, true)
	// A file that did not come from os.Open is only waited for when it was
	// non-blocking when it was made, so make it again.
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	d.file.Close()
	d.file = os.NewFile(uintptr(dup), clonePath)
	if d.raw, err = d.file.SyscallConn(); err != nil {
		return err
	}
	d.read.fn = d.readFd
	return nil
}

// SetOffload switches super-packets, in both directions; what the kernel
// refuses stays off.
func (d *native) SetOffload(on bool) {
	_ = d.raw.Control(func(fd uintptr) { d.setOffload(int(fd), on) })
}

func (d *native) setOffload(fd int, on bool) {
	d.tcp.Store(false)
	d.udp.Store(false)
	switch {
	case d.bare:
	case !on:
		_ = d.ioctl(fd, unix.TUNSETOFFLOAD, 0)
	case d.ioctl(fd, unix.TUNSETOFFLOAD, tcpOffloads|udpOffloads) == nil:
		d.tcp.Store(true)
		d.udp.Store(true)
	case d.ioctl(fd, unix.TUNSETOFFLOAD, tcpOffloads) == nil:
		d.tcp.Store(true)
	}
}

// yields is how often a read that finds nothing lets others run and looks again
// before it goes to sleep: on a machine that is busy, whoever makes the packets
// has made some by then, and they come without a wake-up. On an idle machine it
// costs a microsecond.
const yields = 3

// Read implements Device.
func (d *native) Read(b []byte) (int, error) {
	d.read.yields = yields
	return d.get(b, false)
}

// TryRead implements Device.
func (d *native) TryRead(b []byte) (int, error) { return d.get(b, true) }

func (d *native) get(b []byte, try bool) (int, error) {
	if d.bare {
		clear(b[:HeaderLen])
		b = b[HeaderLen:]
	}
	d.read.b, d.read.try = b, try
	err := d.raw.Read(d.read.fn)
	d.read.b = nil
	switch {
	case err != nil:
		return 0, err
	case d.read.errno == syscall.EAGAIN:
		return 0, ErrAgain
	case d.read.errno == unix.EBADFD: // the device was deleted
		return 0, os.ErrClosed
	case d.read.errno != 0:
		return 0, d.read.errno
	}
	if d.bare {
		return HeaderLen + d.read.n, nil
	}
	return d.read.n, nil
}

func (d *native) readFd(fd uintptr) bool {
	r := &d.read
	for {
		n, _, errno := syscall.Syscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&r.b[0])), uintptr(len(r.b)))
		if errno == syscall.EINTR {
			continue
		}
		r.n, r.errno = int(n), errno
		if errno == syscall.EAGAIN && r.yields > 0 {
			r.yields--
			_, _, _ = syscall.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			continue
		}
		return errno != syscall.EAGAIN || r.try
	}
}

// writer is what one Write works with; a device keeps a few, so that several
// goroutines may write at the same time.
type writer struct {
	fn    func(fd uintptr) bool
	iov   [maxPieces]unix.Iovec
	n     int
	errno syscall.Errno
}

func (d *native) writer() *writer {
	select {
	case w := <-d.writers:
		return w
	default:
	}
	w := &writer{}
	w.fn = w.call
	return w
}

// Write implements Device. Several goroutines may write to one queue at the same
// time.
func (d *native) Write(pieces [][]byte) error {
	w := d.writer()
	err := d.gather(w, pieces)
	clear(w.iov[:w.n])
	select {
	case d.writers <- w:
	default:
	}
	return err
}

func (d *native) gather(w *writer, pieces [][]byte) error {
	w.n = 0
	if d.bare {
		pieces = pieces[1:]
	}
	for _, p := range pieces {
		if len(p) == 0 {
			continue
		}
		if w.n == maxPieces {
			return ErrMalformed
		}
		w.iov[w.n].Base = &p[0]
		w.iov[w.n].SetLen(len(p))
		w.n++
	}
	if err := d.raw.Write(w.fn); err != nil {
		return err
	}
	if w.errno != 0 {
		return w.errno
	}
	return nil
}

func (w *writer) call(fd uintptr) bool {
	for {
		_, _, errno := syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.iov[0])), uintptr(w.n))
		if errno == syscall.EINTR {
			continue
		}
		w.errno = errno
		return errno != syscall.EAGAIN
	}
}

// TCPOffload implements Device.
func (d *native) TCPOffload() bool { return d.tcp.Load() }

// UDPOffload implements Device.
func (d *native) UDPOffload() bool { return d.udp.Load() }

// Close implements Device.
func (d *native) Close() error { return d.file.Close() }
