package lab

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Traffic is what a client and the inside host send each other every 10 ms, in
// both directions, while something happens to the pair; and who watches.
type Traffic struct {
	site     *PairSite
	pings    [2]*Pinger  // from the client, to the client
	flows    [2]*FlowRun // the same
	wires    []*Capture  // the outside ports of both nodes
	swan     *StrongSwan
	replayed int // drops of the client before
}

// TrafficResult is what the outside world noticed.
type TrafficResult struct {
	Pings       [2]PingResult // from the client, to the client
	Flows       [2]FlowResult // the same, one way each
	Inits       int           // IKE_SA_INIT requests on the outside segment
	ReplayDrops int           // at the client; what its own log says where it has one
	Reused      string        // an ESP sequence number that left both nodes, or one twice; "": none
}

// String tells the figures of each direction.
func (r TrafficResult) String() string {
	return fmt.Sprintf("outage from client %v; to client %v; pings lost %d and %d; IKE_SA_INITs %d; replay drops %d",
		r.Flows[0], r.Flows[1], r.Pings[0].Lost(), r.Pings[1].Lost(), r.Inits, r.ReplayDrops)
}

// Err tells what must not be, whatever happened: a client that had to connect
// again, a packet that it took for a replay, a sequence number used twice, or
// silence for longer than the limit.
func (r TrafficResult) Err(limit time.Duration) error {
	var list []error
	if r.Inits > 0 {
		list = append(list, fmt.Errorf("the client had to connect again: %d IKE_SA_INITs", r.Inits))
	}
	if r.ReplayDrops > 0 {
		list = append(list, fmt.Errorf("the client dropped %d packets as replays", r.ReplayDrops))
	}
	if r.Reused != "" {
		list = append(list, errors.New("an ESP sequence number was used twice: "+r.Reused))
	}
	for i, way := range []string{"from the client", "to the client"} {
		if f := r.Flows[i]; f.Outage > limit {
			list = append(list, fmt.Errorf("silent for %v %s", f.Outage, way))
		}
		if p := r.Pings[i]; p.Outage > limit || p.Corrupt > 0 {
			list = append(list, fmt.Errorf("ping %s: %v", way, p))
		}
	}
	return errors.Join(list...)
}

// ErrAtHandOver is Err where both nodes served for a moment: a packet of the old one that
// comes behind the first of the new one lies before the client's window, so that it drops it.
// No number was used twice all the same.
func (r TrafficResult) ErrAtHandOver(limit time.Duration) error {
	r.ReplayDrops = 0
	return r.Err(limit)
}

// StartTraffic begins to send between a client, at the address that the pair
// gave it, and the inside host. swan is nil where the client is none.
func (s *PairSite) StartTraffic(client *Namespace, address string, swan *StrongSwan) *Traffic {
	lab := s.pair.lab
	lab.tb.Helper()
	t := &Traffic{site: s, swan: swan}
	if swan != nil {
		t.replayed = swan.ReplayDrops()
	}
	for _, n := range s.pair.Nodes {
		t.wires = append(t.wires, s.Outside.CaptureHeaders(n.Port))
	}
	ping := Ping{From: address, To: PairInsideHost, Interval: 10 * time.Millisecond}
	t.pings[0] = client.StartPing(ping)
	t.flows[0] = lab.StartFlow(Flow{From: client, Source: address, To: s.Host, Target: PairInsideHost})
	ping.From, ping.To = PairInsideHost, address
	t.pings[1] = s.Host.StartPing(ping)
	t.flows[1] = lab.StartFlow(Flow{From: s.Host, Source: PairInsideHost, To: client, Target: address})
	t.Go(20)
	return t
}

// Go waits until so many more pings and datagrams have come through, each way.
func (t *Traffic) Go(more int) {
	lab := t.site.pair.lab
	lab.tb.Helper()
	received := func() [4]int {
		return [4]int{t.pings[0].Received(), t.pings[1].Received(), t.flows[0].Received(), t.flows[1].Received()}
	}
	before := received()
	lab.Eventually("traffic to go on", Patience, func() error {
		now := received()
		for i := range now {
			if now[i] < before[i]+more {
				return fmt.Errorf("through since then: pings from and to the client, datagrams from and to it: %v, "+
					"before: %v", now, before)
			}
		}
		return nil
	})
}

// Stop ends the traffic and tells what was noticed.
func (t *Traffic) Stop() TrafficResult {
	var r TrafficResult
	var ends sync.WaitGroup // all at once: each waits for its last answers
	for i := range 2 {
		ends.Go(func() { r.Flows[i] = t.flows[i].Stop() })
		ends.Go(func() { r.Pings[i] = t.pings[i].Stop() })
	}
	ends.Wait()
	var esp []Packet
	inits := map[uint64]bool{}
	for _, w := range t.wires {
		w.Stop()
		for _, p := range w.Packets(nil) {
			switch {
			case p.Opens():
				inits[p.SPIi] = true
			case p.SPI != 0 && p.Incoming && p.Src == PairOutside:
				esp = append(esp, p)
			}
		}
	}
	slices.SortFunc(esp, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	r.Inits, r.Reused = len(inits), Reused(esp)
	if t.swan != nil {
		r.ReplayDrops = t.swan.ReplayDrops() - t.replayed
	} else {
		r.ReplayDrops = Late(esp)
	}
	return r
}

// Reused names an SPI and sequence number that two packets have; with an AEAD
// that would be a nonce used twice. "" is good.
func Reused(packets []Packet) string {
	seen := map[uint64]bool{}
	for _, p := range packets {
		key := uint64(p.SPI)<<32 | uint64(p.Sequence)
		if seen[key] {
			return fmt.Sprintf("SPI %08x, sequence number %d", p.SPI, p.Sequence)
		}
		seen[key] = true
	}
	return ""
}

// smallestWindow is the smallest anti-replay window of a client that matters,
// strongSwan's default.
const smallestWindow = 32

// Late is how many of the packets, in order of time, are behind a window of
// smallestWindow: their receiver would take them for replays. Extended sequence
// numbers show their lower half only, which wraps (RFC 4303 appendix A2).
func Late(packets []Packet) int {
	highest := map[uint32]uint32{}
	late := 0
	for _, p := range packets {
		top, known := highest[p.SPI]
		behind := int32(top - p.Sequence)
		if known && behind >= smallestWindow {
			late++
		}
		if !known || behind < 0 {
			highest[p.SPI] = p.Sequence
		}
	}
	return late
}

// replayMessage is what strongSwan's ESP in userspace logs of a packet that it
// takes for a replay.
const replayMessage = "ESP sequence number verification failed"

// ReplayDrops is how many packets the daemon has dropped as replays.
func (s *StrongSwan) ReplayDrops() int { return strings.Count(s.Log(), replayMessage) }
