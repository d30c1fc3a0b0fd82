package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// Tripwire fails the test if, from now on, a packet passes the device in clear, in
// either direction, that comes from one of the inside networks or goes there: what
// a tunnel is for must not be read on the outside wire. The kernel compares; only
// such packets are kept.
func (ns *Namespace) Tripwire(device string, inside ...string) {
	ns.lab.tb.Helper()
	if ns.lab.bare {
		return
	}
	var list []netip.Prefix
	for _, text := range inside {
		list = append(list, netip.MustParsePrefix(text))
	}
	link := ns.link(device).Attrs()
	fd := -1
	err := ns.Do(func() (err error) {
		fd, err = openFiltered(link.Index, clearFilter(list))
		return err
	})
	if err != nil {
		ns.lab.tb.Fatalf("lab: tripwire on %s in %s: %v", device, ns.name, err)
	}
	first := gopacket.Decoder(layers.LayerTypeEthernet)
	if link.EncapType == "none" {
		first = gopacket.DecodeFunc(decodeIP)
	}
	ns.lab.tb.Cleanup(func() { // before Close, and before what the test has cleaned up before
		defer unix.Close(fd)
		if p, n := tripped(fd, first); n > 0 {
			ns.lab.tb.Errorf("lab: %d packets in clear on %s of %s; the first is %s from %s to %s", n, device, ns.name,
				p.Protocol, p.Src, p.Dst)
		}
	})
}

// tripped returns the first packet that the socket has kept, and how many there
// are.
func tripped(fd int, first gopacket.Decoder) (p Packet, n int) {
	b := make([]byte, captureSnap)
	for idle := 0; idle < 2; { // the device may have gone, which is told once
		size, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			idle++
		default:
			if n++; n == 1 {
				p = dissect(append([]byte(nil), b[:size]...), first)
				p.Time = time.Now()
			}
		}
	}
	return p, n
}

// openFiltered is openPacketSocket for what a filter lets through.
func openFiltered(index int, filter []unix.SockFilter) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: index}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	return fd, nil
}

// Instructions of the classic BPF, and where it finds what is not in the frame's
// own bytes (linux/filter.h).
const (
	bpfLoadHalf = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
	bpfLoadWord = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	bpfAnd      = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	bpfEqual    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	bpfReturn   = unix.BPF_RET | unix.BPF_K

	bpfProtocol = 0xfffff000 // the EtherType
	bpfNetwork  = 0xfff00000 // begins the network header
)

// clearFilter lets through what has its source or its destination in one of the
// networks.
func clearFilter(inside []netip.Prefix) (program []unix.SockFilter) {
	for _, p := range inside {
		protocol, source, destination := uint32(unix.ETH_P_IP), uint32(12), uint32(16)
		if p.Addr().Is6() {
			protocol, source, destination = unix.ETH_P_IPV6, 8, 24
		}
		for _, at := range []uint32{source, destination} {
			program = append(program, matchAt(protocol, at, p)...)
		}
	}
	return append(program, unix.SockFilter{Code: bpfReturn, K: 0})
}

// matchAt returns from the program if the address at an offset lies within p, and
// goes on behind itself otherwise.
func matchAt(protocol, at uint32, p netip.Prefix) []unix.SockFilter {
	code := []unix.SockFilter{
		{Code: bpfLoadHalf, K: bpfProtocol},
		{Code: bpfEqual, K: protocol},
	}
	address := p.Masked().Addr().AsSlice()
	for i := 0; i < len(address); i += 4 {
		bits := min(32, p.Bits()-8*i)
		if bits <= 0 {
			break
		}
		mask := ^uint32(0) << (32 - bits)
		word := uint32(address[i])<<24 | uint32(address[i+1])<<16 | uint32(address[i+2])<<8 | uint32(address[i+3])
		code = append(code,
			unix.SockFilter{Code: bpfLoadWord, K: bpfNetwork + at + uint32(i)},
			unix.SockFilter{Code: bpfAnd, K: mask},
			unix.SockFilter{Code: bpfEqual, K: word})
	}
	code = append(code, unix.SockFilter{Code: bpfReturn, K: captureSnap})
	for i := range code {
		if code[i].Code == bpfEqual {
			code[i].Jf = uint8(len(code) - 1 - i)
		}
	}
	return code
}
