package plane

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// putAddr writes a socket address and returns its length.
func putAddr(sa *unix.RawSockaddrInet6, a netip.AddrPort, v6 bool, k Kind) uint32 {
	port := swap16(a.Port())
	if k == KindESP {
		port = 0 // the kernel takes it for a protocol number
	}
	if !v6 {
		s4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		*s4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: a.Addr().Unmap().As4()}
		return unix.SizeofSockaddrInet4
	}
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: a.Addr().As16()}
	return unix.SizeofSockaddrInet6
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
