package plane

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	receiveBatch = 32
	sendBatch    = 64
	// socketBuffer is asked for; the kernel may grant less. It is what a
	// receiver may be late by: 5 ms at 6 Gbit/s.
	socketBuffer = 4 << 20
	oobLen       = 80
	// yields is how often a receiver that finds nothing lets others run and looks
	// again before it goes to sleep; see the one of package tun.
	yields = 3
	// What SO_MEMINFO tells, of which there may be more (linux/sock_diag.h).
	memoryUsed, memoryRoom, memoryFacts = 0, 1, 16
	// maxSegments is how many datagrams one send may hold: UDP_MAX_SEGMENTS of
	// kernels before 6.9.
	maxSegments = 64
	// maxSend is the largest payload of a send with segmentation offload.
	maxSend = 65000
)

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// socket is a Conn of the kernel.
type socket struct {
	file     *os.File
	raw      syscall.RawConn
	kind     Kind
	v6       bool
	gso, gro atomic.Bool  // in use
	batch    atomic.Int32 // messages of one system call
	canGSO   bool         // the kernel knows of it
	df       atomic.Bool  // what the socket is set to
	rx       receiver
	spare    chan *sender
	// sendmmsg is the system call, and in tests a kernel that refuses.
	sendmmsg func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno)
}

// newSocket takes over a bound socket.
func newSocket(s *Socket, o *Options) (*socket, error) {
	c := &socket{kind: s.Kind, spare: make(chan *sender, 4), sendmmsg: sendmmsg}
	if err := c.setUp(s.File, o); err != nil {
		s.File.Close()
		return nil, fmt.Errorf("plane: taking over the %v socket of %v: %w", s.Kind, s.Local, err)
	}
	batch := receiveBatch
	if s.Kind == KindIKE {
		batch = 4
	}
	c.rx.init(c, batch)
	return c, nil
}

func (c *socket) setUp(f *os.File, o *Options) error {
	fd := int(f.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return err
	}
	c.v6 = domain == unix.AF_INET6
	// A worker has no privileges; who made the socket may have set more.
	for _, o := range [][2]int{{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE}, {unix.SO_SNDBUF, unix.SO_SNDBUFFORCE}} {
		if have, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, o[0]); err == nil && have < socketBuffer {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], socketBuffer) != nil {
				_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], socketBuffer)
			}
		}
	}
	if c.kind == KindNATT {
		_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		c.canGSO = err == nil
	}
	c.setOffload(fd, o)
	if c.v6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	} else {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
	}
	// IKE messages may be fragmented on their way; ESP starts like that too.
	if err := setDF(fd, c.v6, c.kind != KindIKE); err != nil {
		return err
	}
	c.df.Store(c.kind != KindIKE)
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f.Close()
	c.file = os.NewFile(uintptr(dup), "socket")
	c.raw, err = c.file.SyscallConn()
	return err
}

// SetOffload switches offloads, while the socket is in use, too.
func (c *socket) SetOffload(o *Options) {
	_ = c.raw.Control(func(fd uintptr) { c.setOffload(int(fd), o) })
}

// Offloads tells which are in use.
func (c *socket) Offloads() (gso, gro bool) { return c.gso.Load(), c.gro.Load() }

func (c *socket) setOffload(fd int, o *Options) {
	c.gso.Store(c.canGSO && !o.NoGSO)
	if c.kind == KindNATT {
		gro := 1
		if o.NoGRO {
			gro = 0
		}
		// A kernel without it receives one by one.
		err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, gro)
		c.gro.Store(err == nil && gro == 1)
	}
	c.batch.Store(sendBatch)
	if o.NoBatching {
		c.batch.Store(1)
	}
}

// setDF sets the Don't Fragment bit for what is sent from now on. Neither
// setting obeys the kernel's idea of the path MTU: the plane has its own.
func setDF(fd int, v6, on bool) error {
	if v6 {
		v := unix.IPV6_PMTUDISC_OMIT
		if on {
			v = unix.IPV6_PMTUDISC_PROBE
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, v)
	}
	v := unix.IP_PMTUDISC_OMIT
	if on {
		v = unix.IP_PMTUDISC_PROBE
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, v)
}

// Close implements Conn.
func (c *socket) Close() error { return c.file.Close() }
