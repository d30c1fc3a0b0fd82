package plane

import (
	"encoding/binary"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/tun"
)

const (
	tcpLen    = 20
	tcpSYN    = 0x02
	optionEnd = 0
	optionNop = 1
	optionMSS = 2
)

// isSYN reports whether the packet b, whose headers are p, is a whole header of a
// TCP SYN.
func isSYN(b []byte, p *esp.Inner) bool {
	return p.Protocol == esp.ProtoTCP && p.HasPorts && len(b) >= p.Transport+tcpLen && b[p.Transport+13]&tcpSYN != 0
}

// clampMSS lowers the maximum segment size that a TCP SYN announces to what fits
// into packets of mtu bytes. Where fix is set the packet has a checksum, which is
// kept right.
func clampMSS(b []byte, p *esp.Inner, mtu int, fix bool) {
	t := p.Transport
	limit := mtu - ipv4Len - tcpLen
	if p.V6 {
		limit = mtu - ipv6Len - tcpLen
	}
	end := min(t+int(b[t+12]>>4)*4, len(b))
	for i := t + tcpLen; i < end; {
		switch b[i] {
		case optionEnd:
			return
		case optionNop:
			i++
			continue
		}
		if i+2 > end || b[i+1] < 2 || i+int(b[i+1]) > end {
			return
		}
		if b[i] == optionMSS && b[i+1] == 4 && int(binary.BigEndian.Uint16(b[i+2:])) > limit {
			binary.BigEndian.PutUint16(b[i+2:], uint16(limit))
			if fix {
				b[t+16], b[t+17] = 0, 0
				binary.BigEndian.PutUint16(b[t+16:], tun.Checksum(b, t, esp.ProtoTCP))
			}
		}
		i += int(b[i+1])
	}
}
