package plane

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender is the memory of one Send. A socket keeps a few, so that goroutines
// that send at the same time do not wait for each other.
type sender struct {
	c       *socket
	fn      func(fd uintptr) bool
	ctl     func(fd uintptr)
	hdrs    [sendBatch]mmsghdr
	whole   [sendBatch]bool // the header is for more than one datagram
	iovs    [sendBatch]unix.Iovec
	names   [sendBatch]unix.RawSockaddrInet6
	oobs    [sendBatch][oobLen]byte
	after   [sendBatch]cursor // what follows the header
	next, n int
	again   bool
	errno   syscall.Errno
}

func (c *socket) sender() *sender {
	select {
	case s := <-c.spare:
		return s
	default:
	}
	s := &sender{c: c}
	s.fn, s.ctl = s.call, s.control
	for i := range s.hdrs {
		h := &s.hdrs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
	}
	return s
}

func (c *socket) release(s *sender) {
	for i := range s.iovs {
		s.iovs[i].Base = nil
	}
	select {
	case c.spare <- s:
	default:
	}
}

// cursor is a place in a list of messages: a message and an offset into it.
type cursor struct{ m, off int }

// Send implements Conn.
func (c *socket) Send(ms []Message) (loss Loss, err error) {
	s := c.sender()
	defer c.release(s)
	var at cursor
	single := -1     // this message goes in single datagrams, for it was refused as a whole
	suspect := false // and segmentation is to blame if they pass
	for at.m < len(ms) {
		if single >= 0 && at.m > single {
			if suspect {
				c.gso.Store(false)
			}
			single = -1
		}
		s.fill(ms, at, single)
		if err := s.send(ms[at.m].DF); err != nil {
			return loss, err
		}
		if s.next > 0 {
			at = s.after[s.next-1]
		}
		switch {
		case s.next == s.n:
		case s.whole[s.next]:
			single, suspect = at.m, s.errno == syscall.EINVAL
			if s.errno == syscall.EIO { // no checksum offload below us
				c.gso.Store(false)
			}
		default:
			at = s.after[s.next]
			loss.Packets++
			loss.Bytes += int(s.iovs[s.next].Len)
			suspect = false
		}
	}
	if single >= 0 && suspect {
		c.gso.Store(false)
	}
	return loss, nil
}

// TrySend implements Conn.
func (c *socket) TrySend(m *Message) error {
	s := c.sender()
	defer c.release(s)
	s.fill([]Message{*m}, cursor{}, 0)
	if c.df.Load() != m.DF {
		c.setDF(m.DF)
	}
	if err := c.raw.Control(s.ctl); err != nil {
		return err
	}
	if s.again {
		return ErrFull
	}
	if s.errno != 0 {
		return s.errno
	}
	return nil
}

// fill prepares headers for what fits, from at up to a change of DF. Message
// single goes in single datagrams.
func (s *sender) fill(ms []Message, at cursor, single int) {
	s.n, s.next = 0, 0
	gso, most := s.c.gso.Load(), int(s.c.batch.Load())
	df := ms[at.m].DF
	for at.m < len(ms) && s.n < most && ms[at.m].DF == df {
		m := &ms[at.m]
		n := len(m.Data) - at.off
		if m.Segment > 0 && (!gso || at.m == single) {
			n = min(n, m.Segment)
		}
		data := m.Data[at.off : at.off+n]
		if at.off += n; at.off >= len(m.Data) {
			at = cursor{at.m + 1, 0}
		}
		if len(data) > 0 {
			s.put(m, data)
			s.after[s.n-1] = at
		}
	}
}

// put prepares one header.
func (s *sender) put(m *Message, data []byte) {
	i := s.n
	s.n++
	s.iovs[i].Base = &data[0]
	s.iovs[i].SetLen(len(data))
	h := &s.hdrs[i].hdr
	h.Namelen = putAddr(&s.names[i], m.Remote, s.c.v6, s.c.kind)
	n := 0
	oob := &s.oobs[i]
	s.whole[i] = m.Segment > 0 && len(data) > m.Segment
	if s.whole[i] {
		c := putControl(oob[n:], unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(c, uint16(m.Segment))
		n += unix.CmsgSpace(2)
	}
	if m.TOS != 0 {
		var c []byte
		if s.c.v6 {
			c = putControl(oob[n:], unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 4)
		} else {
			c = putControl(oob[n:], unix.IPPROTO_IP, unix.IP_TOS, 4)
		}
		binary.NativeEndian.PutUint32(c, uint32(m.TOS))
		n += unix.CmsgSpace(4)
	}
	h.Control = nil
	if n > 0 {
		h.Control = &oob[0]
	}
	h.SetControllen(n)
}

// send hands the prepared headers over, and waits while the socket is full.
// Afterwards next is n, or errno says why the header at next was refused.
func (s *sender) send(df bool) error {
	if s.c.df.Load() != df {
		s.c.setDF(df)
	}
	// Control takes no lock; only a full socket is worth the one of Write.
	if err := s.c.raw.Control(s.ctl); err != nil {
		return err
	}
	if s.again {
		return s.c.raw.Write(s.fn)
	}
	return nil
}

func (s *sender) control(fd uintptr) { s.call(fd) }

// call does the system calls; it returns false to wait for the socket.
func (s *sender) call(fd uintptr) bool {
	s.errno, s.again = 0, false
	retried := false
	for s.next < s.n {
		n, errno := s.c.sendmmsg(fd, s.hdrs[s.next:s.n])
		switch errno {
		case 0:
			s.next += n
			retried = false
		case syscall.EINTR:
		case syscall.EAGAIN:
			s.again = true
			return false
		default:
			// It may be an old error that waited for the next call, about
			// another packet.
			if !retried {
				retried = true
				continue
			}
			s.errno = errno
			return true
		}
	}
	return true
}

// sendmmsg is the system call.
func sendmmsg(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, fd,
		uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// setDF switches the Don't Fragment bit of the socket. A goroutine that sends
// beside this one may have its packets sent with the other setting.
func (c *socket) setDF(on bool) {
	_ = c.raw.Control(func(fd uintptr) {
		if setDF(int(fd), c.v6, on) == nil {
			c.df.Store(on)
		}
	})
}
