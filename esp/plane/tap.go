package plane

import "github.com/warrenvpn/warren/esp/sa"

// Tap sees inner packets as carriers carry them: after they are opened, before
// they are sealed. A packet that its SA must not carry is not seen.
type Tap interface {
	// Packet is called by the pipelines, several at a time. It must not block,
	// and must neither keep nor change b. The SPI is that of the ESP packet; 0:
	// another carrier carries it.
	Packet(inbound bool, spi sa.SPI, b []byte)
}

// SetTaps replaces the taps; none is the state at the start, and then they cost
// one atomic load for a batch of packets. A tap that was taken away may still
// be called for a moment.
func (p *Plane) SetTaps(taps ...Tap) {
	if len(taps) == 0 {
		p.tun.taps.Store(nil)
		return
	}
	p.tun.taps.Store(&taps)
}

// callTaps shows a packet to taps.
func callTaps(taps *[]Tap, inbound bool, spi sa.SPI, b []byte) {
	for _, t := range *taps {
		t.Packet(inbound, spi, b)
	}
}
