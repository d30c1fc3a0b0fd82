package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/pcapng"
	"github.com/warrenvpn/warren/esp/tun"
)

const (
	ethernetLen = 14
	frameRoom   = tun.HeaderLen + 128 + tun.MaxPacket // 128: any link header
)

// sniffer reads a packet socket that the supervisor has opened on one device,
// with a virtio_net_hdr before every frame: what the kernel passes on as one
// super-packet is shown as the packets that it stands for.
type sniffer struct {
	file *os.File
	raw  syscall.RawConn
	link pcapng.LinkType

	frame, packet []byte
	ether         [ethernetLen]byte
	name          unix.RawSockaddrLinklayer
	oob           [64]byte
	iov           unix.Iovec
	hdr           unix.Msghdr
	n             int
	errno         syscall.Errno
}

// newSniffer takes a packet socket over. f stays the caller's.
func newSniffer(f *os.File) (*sniffer, error) {
	s := &sniffer{link: pcapng.LinkRaw, frame: make([]byte, frameRoom), packet: make([]byte, tun.MaxPacket)}
	fd := int(f.Fd())
	err := unix.SetNonblock(fd, true)
	if err == nil {
		var dup int
		if dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			s.file = os.NewFile(uintptr(dup), "packet socket")
			s.raw, err = s.file.SyscallConn()
		}
	}
	var at unix.Sockaddr
	if err == nil {
		at, err = unix.Getsockname(fd)
	}
	if err != nil {
		if s.file != nil {
			s.file.Close()
		}
		return nil, fmt.Errorf("worker: taking over a packet socket: %w", err)
	}
	if l, ok := at.(*unix.SockaddrLinklayer); ok && l.Hatype == unix.ARPHRD_ETHER {
		s.link = pcapng.LinkEthernet
	}
	return s, nil
}

// Close ends sniff.
func (s *sniffer) Close() error { return s.file.Close() }

// sniff adds packets to c until the socket is closed.
func (s *sniffer) sniff(c *capture) {
	for {
		if s.raw.Read(s.call) != nil {
			return
		}
		switch s.errno {
		case 0:
			s.add(c)
		case unix.EINVAL: // a super-packet that a virtio_net_hdr cannot describe
			c.drop(1)
		case unix.ENETDOWN: // told once; the device may come back
		default:
			return
		}
	}
}

// call receives one frame; it returns false to wait.
func (s *sniffer) call(fd uintptr) bool {
	for {
		s.iov.Base = &s.frame[0]
		s.iov.SetLen(len(s.frame))
		s.hdr = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&s.name)), Namelen: unix.SizeofSockaddrLinklayer, Iov: &s.iov, Control: &s.oob[0]}
		s.hdr.SetIovlen(1)
		s.hdr.SetControllen(len(s.oob))
		n, _, errno := syscall.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&s.hdr)), unix.MSG_DONTWAIT)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		}
		s.n, s.errno = int(n), errno
		return true
	}
}

// add takes apart what was received.
func (s *sniffer) add(c *capture) {
	link := 0
	if s.link == pcapng.LinkEthernet {
		link = ethernetLen
	}
	if s.n < tun.HeaderLen+link {
		return
	}
	d := pcapng.Inbound
	if s.name.Pkttype == unix.PACKET_OUTGOING {
		d = pcapng.Outbound
	}
	nanos := s.stamp()
	var super tun.Super
	if s.frame[0]|s.frame[1] == 0 || !s.parse(link, &super) {
		c.add(nanos, d, nil, nil, s.frame[tun.HeaderLen:s.n])
		return
	}
	for i := range super.Count() {
		c.add(nanos, d, nil, s.ether[:link], s.packet[:super.Put(s.packet, i)])
	}
}

// parse reads a packet whose checksum is missing, or a super-packet. It moves
// the virtio_net_hdr, whose offset counts from the beginning of the frame, over
// the link header, which it keeps.
func (s *sniffer) parse(link int, super *tun.Super) bool {
	copy(s.ether[:link], s.frame[tun.HeaderLen:])
	copy(s.frame[link:], s.frame[:tun.HeaderLen])
	b := s.frame[link:s.n]
	if start := binary.NativeEndian.Uint16(b[6:]); int(start) >= link {
		binary.NativeEndian.PutUint16(b[6:], start-uint16(link))
	}
	if tun.ParseSuper(b, super) == nil && super.Len(0) <= len(s.packet) {
		return true
	}
	copy(s.frame[tun.HeaderLen:], s.ether[:link])
	return false
}

// stamp returns when the frame passed.
func (s *sniffer) stamp() int64 {
	oob := s.oob[:min(int(s.hdr.Controllen), len(s.oob))]
	if len(oob) >= unix.CmsgLen(16) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && int(h.Len) == unix.CmsgLen(16) {
			data := oob[unix.CmsgLen(0):]
			return int64(binary.NativeEndian.Uint64(data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(data[8:]))
		}
	}
	return time.Now().UnixNano()
}

// drops returns how many frames the socket had no room for.
func (s *sniffer) drops() (n uint64) {
	err := s.raw.Control(func(fd uintptr) {
		if st, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			n = uint64(st.Drops)
		}
	})
	if errors.Is(err, os.ErrClosed) {
		return 0
	}
	return n
}
