package iketest

import (
	"github.com/warrenvpn/warren/ike/exchange"
)

// Established returns the established SAs of a node.
func (n *Node) Established() []exchange.Status {
	var out []exchange.Status
	for _, s := range n.Engine.Status() {
		if s.State == "ESTABLISHED" {
			out = append(out, s)
		}
	}
	return out
}

// Up reports whether both nodes have the same live child SA under the same
// established IKE SA.
func Up(a, b *Node) bool {
	for _, s := range a.Established() {
		for _, t := range b.Established() {
			if s.Peer.SPI != t.PeerSPI || s.PeerSPI != t.Peer.SPI {
				continue
			}
			for _, c := range s.Children {
				for _, d := range t.Children {
					if c.In.SPI == d.Out.SPI && c.Out.SPI == d.In.SPI &&
						c.In.EncryptionKey.Equal(d.Out.EncryptionKey) &&
						c.Out.EncryptionKey.Equal(d.In.EncryptionKey) {
						return true
					}
				}
			}
		}
	}
	return false
}

// Down reports whether neither node has an SA.
func Down(a, b *Node) bool { return len(a.Engine.Status()) == 0 && len(b.Engine.Status()) == 0 }
