package iketest

import (
	"encoding/binary"
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
)

// names gives what is random a name that is the same in each run: "ike-c1" is
// the first SPI of an IKE SA that the client has chosen, "esp-g2" the second one
// of a child SA of the gateway, "cookie-1" the first value of a cookie. A name is
// given when its value is first seen, which is always with the one who chose it.
type names struct {
	known map[string]string
	count map[string]int
}

func newNames() names { return names{map[string]string{}, map[string]int{}} }

// of returns the name of a value of a kind, and gives it one where it is new.
func (n *names) of(kind string, value []byte) string {
	key := kind[:3] + string(value)
	if n.known[key] == "" {
		n.count[kind]++
		n.known[key] = fmt.Sprintf("%s%d", kind, n.count[kind])
	}
	return n.known[key]
}

// ike returns the name of an SPI of an IKE SA; it is owner's where it is new, and
// 0 stands for one that its owner has not told yet.
func (n *names) ike(owner *Node, spi uint64) string {
	if spi == 0 {
		return "0"
	}
	return n.of("ike-"+owner.Name[:1], binary.BigEndian.AppendUint64(nil, spi))
}

// esp returns the name of an SPI of a child SA; it is owner's where it is new.
func (n *names) esp(owner *Node, spi sa.SPI) string {
	return n.of("esp-"+owner.Name[:1], binary.BigEndian.AppendUint32(nil, uint32(spi)))
}

// spi returns the name of an SPI as a payload has it.
func (n *names) spi(owner *Node, b []byte) string {
	switch len(b) {
	case 0:
		return ""
	case 4:
		return n.esp(owner, sa.SPI(binary.BigEndian.Uint32(b)))
	case 8:
		return n.ike(owner, binary.BigEndian.Uint64(b))
	}
	return fmt.Sprintf("SPI of %d bytes", len(b))
}
