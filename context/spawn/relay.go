package spawn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
)

const (
	// relayRoom is the largest frame, with its virtio_net_hdr and link header.
	relayRoom = 66 << 10
	// relayBuffer is what the worker may be late by; more is lost and counted.
	relayBuffer = 4 << 20
)

// relay passes frames of a packet socket, which it takes over, on to a worker,
// without looking into them: a worker with the socket could send anything, under
// anybody's address. It returns the worker's end, and goes on until that is
// closed, or stop is called.
func (w *Worker) relay(socket *os.File) (theirs *os.File, stop func(), err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		socket.Close()
		return nil, nil, fmt.Errorf("spawn: making a socket pair: %w", err)
	}
	if unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, relayBuffer) != nil {
		// less than that is a smaller buffer
		_ = unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, relayBuffer)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "frames"), os.NewFile(uintptr(fds[1]), "frames")
	stop = func() {
		ours.Close()
		socket.Close()
	}
	r := &relay{from: socket, to: ours, buffer: make([]byte, control.FrameLen+relayRoom)}
	w.relays.Go(func() {
		defer stop()
		_, _ = ours.Read(make([]byte, 1)) // it says nothing, and ends some time
	})
	w.relays.Go(func() {
		defer stop()
		_ = r.run() // the end of a capture, whatever it is
	})
	return theirs, stop, nil
}

// relay is one capture of an interface.
type relay struct {
	from, to *os.File
	buffer   []byte // a message: control.Frame, and the frame
	dropped  uint64 // in all
	told     uint64 // of these, what the worker knows
	name     unix.RawSockaddrLinklayer
	oob      [64]byte
	iov      unix.Iovec
	hdr      unix.Msghdr
}

// run passes frames on until either end is closed.
func (r *relay) run() error {
	from, err := r.from.SyscallConn()
	if err != nil {
		return err
	}
	to, err := r.to.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var n int
		var failed syscall.Errno
		err := from.Read(func(fd uintptr) bool {
			if n, failed = r.receive(fd); failed != syscall.EAGAIN {
				return true
			}
			r.count(int(fd)) // there is time for it now
			return r.dropped != r.told
		})
		if err != nil {
			return err
		}
		switch failed {
		case 0, syscall.EAGAIN: // the latter: a loss to tell of
		case syscall.EINVAL: // a super-packet that a virtio_net_hdr cannot describe
			r.dropped++
			continue
		case syscall.ENETDOWN: // told once; the device may come back
			continue
		default:
			return failed
		}
		if err := to.Control(func(fd uintptr) { failed = r.pass(fd, n) }); err != nil {
			return err
		}
		if failed != 0 {
			return failed
		}
	}
}

// receive takes one frame, behind the room for its control.Frame.
func (r *relay) receive(fd uintptr) (int, syscall.Errno) {
	for {
		r.iov.Base = &r.buffer[control.FrameLen]
		r.iov.SetLen(relayRoom)
		r.hdr = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&r.name)), Namelen: unix.SizeofSockaddrLinklayer, Iov: &r.iov,
			Control: &r.oob[0]}
		r.hdr.SetIovlen(1)
		r.hdr.SetControllen(len(r.oob))
		n, _, errno := syscall.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&r.hdr)), unix.MSG_DONTWAIT)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), 0
	}
}

// pass sends a frame of n bytes, or only what was lost where n is 0. A worker that
// is too slow loses it.
func (r *relay) pass(fd uintptr, n int) syscall.Errno {
	head := control.Frame{Outgoing: r.name.Pkttype == unix.PACKET_OUTGOING, Nanos: r.stamp(), Dropped: r.dropped}
	message := head.Append(r.buffer[:0])[:control.FrameLen+n]
	for {
		switch err := unix.Send(int(fd), message, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); {
		case err == nil:
			r.told = r.dropped
			return 0
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS):
			if n > 0 {
				r.dropped++
			}
			r.told = r.dropped // the next frame tells
			return 0
		default:
			return syscall.EPIPE
		}
	}
}

// count adds what the socket had no room for.
func (r *relay) count(fd int) {
	if st, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		r.dropped += uint64(st.Drops)
	}
}

// stamp returns when the frame passed.
func (r *relay) stamp() int64 {
	oob := r.oob[:min(int(r.hdr.Controllen), len(r.oob))]
	if len(oob) >= unix.CmsgLen(16) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && int(h.Len) == unix.CmsgLen(16) {
			data := oob[unix.CmsgLen(0):]
			return int64(binary.NativeEndian.Uint64(data))*int64(time.Second) +
				int64(binary.NativeEndian.Uint64(data[8:]))
		}
	}
	return time.Now().UnixNano()
}

// ethernet reports whether the frames of a packet socket have a link header.
func ethernet(socket *os.File) (yes bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) { // closed: then there are no frames
		at, err := unix.Getsockname(int(fd))
		l, ok := at.(*unix.SockaddrLinklayer)
		yes = err == nil && ok && l.Hatype == unix.ARPHRD_ETHER
	})
	return yes
}
