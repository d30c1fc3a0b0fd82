package iketest

import (
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// commit journals and installs.
func (n *Node) commit(changes []exchange.Record) {
	for _, r := range changes {
		n.lab.transcript.record(n, r)
		n.Journal = append(n.Journal, ike.AppendRecord(nil, r))
		if r.Kind == exchange.RecordIKEDown {
			for id, c := range n.Plane {
				if c.Owner == r.SPI {
					n.lab.trouble("%s: child %d was left to RecordIKEDown", n.Name, id)
				}
			}
		}
		if r.Kind == exchange.RecordIKE && r.Replaces != 0 {
			for id, c := range n.Plane {
				if c.Owner == r.Replaces {
					c.Owner = r.SPI
					n.Plane[id] = c
				}
			}
		}
		if r.Child == nil {
			continue
		}
		c := r.Child.Child
		_, known := n.Plane[c.ID]
		switch r.Child.Op {
		case sa.OpAdd, sa.OpRekey, sa.OpFollow:
			if known || c.Out.EncryptionKey.Len() == 0 {
				n.lab.trouble("%s: child %d installed twice, or without keys", n.Name, c.ID)
			}
			n.Plane[c.ID] = c
		case sa.OpMove:
			p := n.Plane[c.ID]
			p.LocalAddr, p.RemoteAddr, p.Encap = c.LocalAddr, c.RemoteAddr, c.Encap
			n.Plane[c.ID] = p
		case sa.OpDelete:
			if !known {
				n.lab.trouble("%s: child %d deleted, but not there", n.Name, c.ID)
			}
			delete(n.Plane, c.ID)
		}
	}
}

// Recorded returns how many records there are of what is more than a handshake
// and its end.
func (n *Node) Recorded() int {
	count := 0
	handshakes := map[uint64]bool{}
	for _, b := range n.Journal {
		r, err := ike.ParseRecord(b)
		switch {
		case err == nil && r.Kind == exchange.RecordHalfOpen:
			handshakes[r.SPI] = true
		case err == nil && r.Kind == exchange.RecordIKEDown && handshakes[r.SPI]:
			delete(handshakes, r.SPI)
		default:
			count++
		}
	}
	return count
}
