package plane

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
		f.hdr = unix.Msghdr{
			Name: (*byte)(unsafe.Pointer(&f.name)), Namelen: unix.SizeofSockaddrInet6,
			Iov: &f.iov, Control: &f.oob[0],
		}
		f.hdr.SetIovlen(1)
		f.hdr.SetControllen(len(f.oob))
		n, _, errno := syscall.Syscall(unix.SYS_RECVMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&f.hdr)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if errno != 0 {
			break
		}
		oob := f.oob[:min(int(f.hdr.Controllen), len(f.oob))]
		for {
			c, rest, ok := nextControl(oob)
			if !ok {
				break
			}
			size := int(unsafe.Sizeof(extendedErr{}))
			if c.is(unix.IPPROTO_IP, unix.IP_RECVERR, size) || c.is(unix.IPPROTO_IPV6, unix.IPV6_RECVERR, size) {
				f.keep((*extendedErr)(unsafe.Pointer(&c.data[0])), int(n))
			}
			oob = rest
		}
	}
	return f.mtu > 0
}

// keep stores e where it is about the path MTU. It quotes n bytes of the
// packet.
func (f *failure) keep(e *extendedErr, n int) {
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
