package ikev2

import "github.com/warrenvpn/warren/esp/sa"

// childList is the child SAs of one IKE SA, in the order in which they came.
type childList []*child

// byID returns the child called id; nil: there is none.
func (l childList) byID(id uint64) *child {
	for _, c := range l {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// bySPI returns the child that the peer receives with spi.
func (l childList) bySPI(spi sa.SPI) *child {
	for _, c := range l {
		if c.Out.SPI == spi {
			return c
		}
	}
	return nil
}

// current is how many are neither replaced nor about to end.
func (l childList) current() int {
	n := 0
	for _, c := range l {
		if c.isCurrent() {
			n++
		}
	}
	return n
}

// followed reports whether c was replaced because the peer has asked for it.
func (l childList) followed(c *child) bool {
	for _, o := range l {
		if o.replaces == c.ID {
			return o.follows
		}
	}
	return false
}

// carries reports whether a child SA carries some of w already, and is to go on with it.
func (l childList) carries(w *want) bool {
	for _, c := range l {
		if c.isCurrent() && !c.split && meet(w.local, c.Local) && meet(w.remote, c.Remote) {
			return true
		}
	}
	return false
}
