package iketest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// check compares the engine with the data plane.
func (n *Node) check() {
	count := 0
	all := n.Engine.Status()
	if len(all) != len(n.spis) {
		n.lab.trouble("%s: %d IKE SAs, but %d SPIs are known", n.Name, len(all), len(n.spis))
	}
	for _, s := range all {
		if !n.spis[s.Peer.SPI] {
			n.lab.trouble("%s: SPI %016x is not known", n.Name, s.Peer.SPI)
		}
		for _, c := range s.Children {
			count++
			p, ok := n.Plane[c.ID]
			if !ok || p.Owner != c.Owner || p.RemoteAddr != c.RemoteAddr || p.In.SPI != c.In.SPI ||
				p.Out.SPI != c.Out.SPI {
				n.lab.trouble("%s: child %d differs between engine and data plane", n.Name, c.ID)
			}
		}
	}
	if count != len(n.Plane) {
		n.lab.trouble("%s: engine has %d children, data plane %d", n.Name, count, len(n.Plane))
	}
}

// CheckSnapshot compares the state with what its snapshot gives. The order of
// the records is not part of the state: only what a record refers to stands
// before it.
func (n *Node) CheckSnapshot() {
	e, err := ike.New(&n.Config)
	if err != nil {
		panic(err)
	}
	var a, b [][]byte
	n.Engine.Snapshot(func(r exchange.Record) bool { a = append(a, ike.AppendRecord(nil, r)); return true })
	for range 2 { // applying twice changes nothing
		for _, bytes := range a {
			r, err := ike.ParseRecord(bytes)
			if err == nil {
				err = e.Replay(n.lab.Now, r)
			}
			if err != nil {
				n.lab.trouble("%s: snapshot: %v", n.Name, err)
			}
		}
	}
	e.Snapshot(func(r exchange.Record) bool { b = append(b, ike.AppendRecord(nil, r)); return true })
	slices.SortFunc(a, bytes.Compare)
	slices.SortFunc(b, bytes.Compare)
	if !slices.EqualFunc(a, b, bytes.Equal) {
		n.lab.trouble("%s: snapshot of the snapshot differs", n.Name)
	}
}

// trouble notes what must not happen.
func (l *Lab) trouble(format string, args ...any) {
	l.Trouble = append(l.Trouble, l.Now.Sub(Start).String()+": "+fmt.Sprintf(format, args...))
}

// watch notes the nonce of every protected message: (key, IV) must be unique,
// but for repeats of the same bytes. All suites of the lab are AEADs.
func (l *Lab) watch(b []byte) {
	m, err := wire.ParseMessage(b)
	if err != nil {
		l.trouble("malformed message sent: %v", err)
		return
	}
	var body []byte
	if sk, ok := wire.Find[wire.SK](m.Payloads); ok {
		body = sk.Body
	} else if skf, ok := wire.Find[wire.SKF](m.Payloads); ok {
		body = skf.Body
	} else {
		return
	}
	nonce := fmt.Sprintf("%016x %016x %v %x", m.SPIi, m.SPIr, m.Initiator(), body[:8])
	sum := sha256.Sum256(b)
	if old, used := l.ivs[nonce]; used && old != sum {
		l.trouble("nonce used twice: %s", nonce)
	}
	l.ivs[nonce] = sum
}

// Nonces returns how many different nonces were used.
func (l *Lab) Nonces() int { return len(l.ivs) }
