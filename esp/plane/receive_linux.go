package plane

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiver is the memory of Receive. It is kept because closures and headers
// made for each call would be garbage.
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
		// A packet that was sent was refused, and the error queue says why.
		// Only path MTUs are used: the engine finds out about everything else
		// by its retransmissions, because anyone can forge an ICMP message.
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
		n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, fd,
			uintptr(unsafe.Pointer(&r.hdrs[0])), uintptr(r.want), unix.MSG_DONTWAIT, 0, 0)
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
	for {
		c, rest, ok := nextControl(oob)
		if !ok {
			break
		}
		switch oob = rest; {
		case c.is(unix.IPPROTO_UDP, unix.UDP_GRO, 4):
			m.Segment = int(binary.NativeEndian.Uint32(c.data))
		case c.is(unix.IPPROTO_IP, unix.IP_TOS, 1):
			m.TOS = c.data[0]
		case c.is(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 4):
			m.TOS = uint8(binary.NativeEndian.Uint32(c.data))
		}
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
