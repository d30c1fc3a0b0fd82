package plane

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

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

// receiver is what Receive works with, kept because closures and headers made
// per call would be garbage.
type receiver struct {
	c     *socket
	fn    func(fd uintptr) bool
	hdrs  []mmsghdr
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet6 // large enough for both families
	oobs  [][oobLen]byte

	want, got int
	errno     syscall.Errno
	woken     bool
	yields    int
	try       bool
	measure   func(fd uintptr)
	memory    [memoryFacts]uint32
	memoryLen uint32
	failure   failure
}

func (r *receiver) init(c *socket, batch int) {
	r.c, r.fn, r.measure = c, r.call, r.askMemory
	r.hdrs = make([]mmsghdr, batch)
	r.iovs = make([]unix.Iovec, batch)
	r.names = make([]unix.RawSockaddrInet6, batch)
	r.oobs = make([][oobLen]byte, batch)
	for i := range r.hdrs {
		h := &r.hdrs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Control = &r.oobs[i][0]
	}
}

// Receive implements Conn.
func (c *socket) Receive(ms []Message) (int, error) {
	c.rx.try = false
	return c.receive(ms)
}

// TryReceive implements Conn.
func (c *socket) TryReceive(ms []Message) (int, error) {
	c.rx.try = true
	return c.receive(ms)
}

// Pressed implements Conn.
func (c *socket) Pressed() bool {
	r := &c.rx
	r.memory = [memoryFacts]uint32{}
	return c.raw.Control(r.measure) == nil && r.memory[memoryUsed] > r.memory[memoryRoom]/2
}

// askMemory asks for SO_MEMINFO.
func (r *receiver) askMemory(fd uintptr) {
	r.memoryLen = uint32(unsafe.Sizeof(r.memory))
	_, _, _ = syscall.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&r.memory)), uintptr(unsafe.Pointer(&r.memoryLen)), 0)
}

func (c *socket) receive(ms []Message) (int, error) {
	r := &c.rx
	r.want = min(len(ms), len(r.hdrs), int(c.batch.Load()))
	for i := range r.want {
		r.iovs[i].Base = &ms[i].Buf[0]
		r.iovs[i].SetLen(len(ms[i].Buf))
		h := &r.hdrs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(oobLen)
		h.Flags = 0
	}
	r.woken, r.yields = false, yields
	if err := c.raw.Read(r.fn); err != nil {
		return 0, err
	}
	if r.errno != 0 {
		// Something that was sent came to grief; the error queue knows what.
		// What is not about the path MTU is the engine's to find out, by its own
		// retransmissions: anyone can forge an ICMP message.
		m := &ms[0]
		m.Data, m.Segment, m.TooBig, m.TOS = m.Buf[:0], 0, 0, 0
		if r.failure.mtu > 0 {
			m.TooBig, m.Origin = r.failure.mtu, r.failure.origin
			m.Remote = r.failure.remote
			m.Data = m.Buf[:copy(m.Buf, r.failure.quoted[:r.failure.n])]
		}
		return 1, nil
	}
	n := 0
	for i := range r.got {
		if r.fill(&ms[n], &ms[i], i) {
			n++
		}
	}
	return n, nil
}

// call does the system call; it returns false to wait for the socket.
func (r *receiver) call(fd uintptr) bool {
	r.errno, r.failure.mtu = 0, 0
	for {
		n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.hdrs[0])), uintptr(r.want), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			r.got = int(n)
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			// Woken without a datagram: there is an error to collect.
			if r.woken && r.failure.collect(int(fd)) {
				r.errno = syscall.EMSGSIZE
				return true
			}
			if r.try {
				r.got = 0
				return true
			}
			if r.yields > 0 {
				r.yields--
				_, _, _ = syscall.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
				continue
			}
			r.woken = true
			return false
		}
		r.errno = errno
		r.failure.collect(int(fd))
		return true
	}
}

// fill makes message i of the batch into m, whose buffer it takes from src, and
// reports false where it is to be dropped.
func (r *receiver) fill(m, src *Message, i int) bool {
	h := &r.hdrs[i]
	if m != src {
		m.Buf, src.Buf = src.Buf, m.Buf
	}
	if h.hdr.Flags&unix.MSG_TRUNC != 0 {
		return false
	}
	m.Data, m.Segment, m.TooBig, m.TOS = m.Buf[:h.n], 0, 0, 0
	m.Remote = addrPort(&r.names[i])
	oob := r.oobs[i][:min(int(h.hdr.Controllen), oobLen)]
	for len(oob) >= unix.SizeofCmsghdr {
		c := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		if c.Len < unix.SizeofCmsghdr || int(c.Len) > len(oob) {
			break
		}
		data := oob[unix.CmsgLen(0):c.Len]
		switch {
		case c.Level == unix.IPPROTO_UDP && c.Type == unix.UDP_GRO && len(data) >= 4:
			m.Segment = int(binary.NativeEndian.Uint32(data))
		case c.Level == unix.IPPROTO_IP && c.Type == unix.IP_TOS && len(data) >= 1:
			m.TOS = data[0]
		case c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_TCLASS && len(data) >= 4:
			m.TOS = uint8(binary.NativeEndian.Uint32(data))
		}
		oob = oob[min(unix.CmsgSpace(int(c.Len)-unix.CmsgLen(0)), len(oob)):]
	}
	if r.c.kind == KindESP && !r.c.v6 { // a raw IPv4 socket keeps the header
		if len(m.Data) < 20 || int(m.Data[0]&0xf)*4 > len(m.Data) {
			return false
		}
		m.TOS = m.Data[1]
		m.Data = m.Data[int(m.Data[0]&0xf)*4:]
	}
	return true
}

// failure is one entry of a socket's error queue.
type failure struct {
	mtu    int
	origin Origin
	remote netip.AddrPort
	quoted [64]byte
	n      int

	name unix.RawSockaddrInet6
	oob  [256]byte
	iov  unix.Iovec
	hdr  unix.Msghdr
}

// extendedErr is struct sock_extended_err.
type extendedErr struct {
	errno             uint32
	origin, kind, cod uint8
	_                 uint8
	info, data        uint32
}

// collect empties the error queue and keeps the last report about the path
// MTU. It reports whether there was one.
func (f *failure) collect(fd int) bool {
	f.mtu = 0
	for range 64 { // an attacker may keep it full
		f.iov.Base = &f.quoted[0]
		f.iov.SetLen(len(f.quoted))
		f.hdr = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&f.name)), Namelen: unix.SizeofSockaddrInet6, Iov: &f.iov, Control: &f.oob[0]}
		f.hdr.SetIovlen(1)
		f.hdr.SetControllen(len(f.oob))
		n, _, errno := syscall.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&f.hdr)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if errno != 0 {
			break
		}
		oob := f.oob[:min(int(f.hdr.Controllen), len(f.oob))]
		for len(oob) >= unix.SizeofCmsghdr {
			c := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
			if c.Len < unix.SizeofCmsghdr || int(c.Len) > len(oob) {
				break
			}
			isErr := c.Level == unix.IPPROTO_IP && c.Type == unix.IP_RECVERR || c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_RECVERR
			if data := oob[unix.CmsgLen(0):c.Len]; isErr && len(data) >= int(unsafe.Sizeof(extendedErr{})) {
				f.note((*extendedErr)(unsafe.Pointer(&data[0])), int(n))
			}
			oob = oob[min(unix.CmsgSpace(int(c.Len)-unix.CmsgLen(0)), len(oob)):]
		}
	}
	return f.mtu > 0
}

// note keeps e, which quotes n bytes of what was sent, where it is about the path
// MTU.
func (f *failure) note(e *extendedErr, n int) {
	if e.errno != uint32(syscall.EMSGSIZE) || e.info == 0 || e.info > 65535 {
		return
	}
	switch e.origin {
	case unix.SO_EE_ORIGIN_LOCAL:
		f.origin = OriginKernel
	case unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6:
		f.origin = OriginNetwork
	default:
		return
	}
	f.mtu, f.n, f.remote = int(e.info), n, addrPort(&f.name)
}

// addrPort reads a socket address of either family.
func addrPort(sa *unix.RawSockaddrInet6) netip.AddrPort {
	if sa.Family == unix.AF_INET {
		s4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(s4.Addr), swap16(s4.Port))
	}
	// A zone would cost memory for its name, and tunnels do not run over
	// link-local addresses, so it is left out.
	return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), swap16(sa.Port))
}

// swap16 turns a port in network byte order around.
func swap16(v uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], v)
	return binary.BigEndian.Uint16(b[:])
}

// Close implements Conn.
func (c *socket) Close() error { return c.file.Close() }
