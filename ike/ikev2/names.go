package ikev2

// names is how both ends call an IKE SA, and who has begun it.
type names struct {
	initiator    bool // we are the original initiator: in IKE's sense, of this SA
	dialled      bool // we connected to the peer: the first SA before all rekeyings
	spi, peerSPI uint64
}

// SPI implements exchange.SA.
func (n *names) SPI() uint64 { return n.spi }

// PeerSPI implements exchange.SA.
func (n *names) PeerSPI() uint64 { return n.peerSPI }

// InitiatorSPI implements exchange.SA.
func (n *names) InitiatorSPI() uint64 {
	i, _ := n.spis()
	return i
}

// Dialled implements exchange.SA.
func (n *names) Dialled() bool { return n.dialled }

// spis returns SPIi and SPIr.
func (n *names) spis() (i, r uint64) {
	if n.initiator {
		return n.spi, n.peerSPI
	}
	return n.peerSPI, n.spi
}
