package iketest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// Transcript prints what happens in a Lab as text that is the same in each run.
// Each call of an engine is a block: when, who, and why it was called; beneath,
// in the order of exchange.Output, what came of it:
//
//	record   a step that is durable before anything is sent
//	send     a message, in the notation of RFC 7296 section 1.2; SK {...} is protected
//	event    what the engine tells
//	state    an IKE SA that has another state now
//	forged   a message that no node has sent
//	error    why the call has changed nothing
//	lost     what the wire does to the message above
//
// A message whose bytes were sent before is "again". SPIs and cookies have names
// (see names); keys, nonces and hashes are never printed.
type Transcript struct {
	lab      *Lab
	text     strings.Builder
	heading  string // of the call; "" when it is printed
	names    names
	keys     keyring
	children map[childOf]string
	states   map[*Node]map[string]string
	sent     map[[sha256.Size]byte]bool
	least    nonce // the lowest one of CREATE_CHILD_SA; of exchanges that come to nothing none counts
}

// nonce is that of a message of a node.
type nonce struct {
	text string // Ni or Nr, and the node
	data []byte
}

// childOf names a child SA of a node.
type childOf struct {
	node *Node
	id   uint64
}

// Transcribe has everything that happens from now on printed.
func (l *Lab) Transcribe() *Transcript {
	l.transcript = &Transcript{
		lab: l, names: newNames(), keys: newKeyring(), children: map[childOf]string{},
		states: map[*Node]map[string]string{}, sent: map[[sha256.Size]byte]bool{},
	}
	return l.transcript
}

// Text returns what was printed since the last call.
func (t *Transcript) Text() string {
	text := t.text.String()
	t.text.Reset()
	return text
}

// call notes why n is called.
func (t *Transcript) call(n *Node, why string) {
	if t != nil {
		t.heading = fmt.Sprintf("%.3fs %s: %s\n", t.lab.Now.Sub(Start).Seconds(), n.Name, why)
	}
}

// command notes what n is told to do.
func (t *Transcript) command(n *Node, c exchange.Command) {
	if t != nil {
		t.call(n, t.commandText(n, c))
	}
}

// restart notes that n has another engine, which knows the journal. The first one
// of a node is printed only when it does something.
func (t *Transcript) restart(n *Node) {
	if t == nil {
		return
	}
	t.call(n, fmt.Sprintf("is activated with a journal of %d", len(n.Journal)))
	if t.states[n] != nil {
		t.text.WriteString(t.heading)
		t.heading = ""
	}
}

// arrive notes that a message has reached n. One that nobody has sent is printed.
func (t *Transcript) arrive(n *Node, d exchange.Datagram) {
	if t == nil {
		return
	}
	h, err := wire.ParseHeader(d.Payload)
	if err != nil {
		t.call(n, "receives what is no message")
		return
	}
	from := ""
	if a := d.Remote.Addr(); a != ClientAddr && a != GatewayAddr {
		from = " from " + d.Remote.String()
	}
	t.call(n, "receives "+title(h, d.Payload)+from)
	if !t.sent[sha256.Sum256(d.Payload)] {
		t.line("forged", t.spis(t.other(n), h))
		t.payloads(t.other(n), h, d.Payload)
	}
}

// title names a message by its exchange, direction and message ID, and a fragment by
// its number, too.
func title(h wire.Header, b []byte) string {
	kind, part := "request", ""
	if h.Response() {
		kind = "response"
	}
	if m, err := wire.ParseMessage(b); err == nil {
		if f, ok := wire.Find[wire.SKF](m.Payloads); ok {
			part = fmt.Sprintf(", fragment %d of %d", f.Number, f.Total)
		}
	}
	return fmt.Sprintf("%v %s %d%s", h.Exchange, kind, h.MessageID, part)
}

// line prints one effect of the call.
func (t *Transcript) line(kind, text string) {
	if t == nil {
		return
	}
	t.text.WriteString(t.heading)
	t.heading = ""
	fmt.Fprintf(&t.text, "    %-9s ", kind)
	t.text.WriteString(strings.TrimLeft(wrap(strings.SplitAfter(text, " ")), " "))
}

// The columns where the text of a line begins, and where it ends.
const textIndent, textWidth = 14, 118

// wrap returns the parts of a text in lines of their own indentation.
func wrap(parts []string) string {
	var out strings.Builder
	line := ""
	for _, p := range parts {
		if line != "" && len(line)+len(strings.TrimRight(p, " ")) > textWidth-textIndent {
			fmt.Fprintf(&out, "%*s%s\n", textIndent, "", strings.TrimRight(line, " "))
			line = ""
		}
		line += p
	}
	if line != "" {
		fmt.Fprintf(&out, "%*s%s\n", textIndent, "", strings.TrimRight(line, " "))
	}
	return out.String()
}

// payloadParts says where a line of payloads may end: between two of them, or
// within one that is longer than a line.
func payloadParts(payloads []string) (parts []string) {
	for _, p := range payloads {
		if len(p) > textWidth-textIndent {
			parts = append(parts, strings.SplitAfter(p+" ", ", ")...)
		} else {
			parts = append(parts, p+" ")
		}
	}
	return parts
}

// record prints a step that was journalled.
func (t *Transcript) record(n *Node, r exchange.Record) {
	if t != nil {
		t.learnChild(n, r)
		t.line("record", t.recordText(n, r))
	}
}

// send prints a message of n.
func (t *Transcript) send(n *Node, d exchange.Datagram) {
	if t == nil {
		return
	}
	h, err := wire.ParseHeader(d.Payload)
	if err != nil {
		t.line("send", err.Error())
		return
	}
	sum := sha256.Sum256(d.Payload)
	if t.sent[sum] {
		t.line("send", title(h, d.Payload)+" again")
		return
	}
	t.sent[sum] = true
	port := ""
	if p := d.Local.Port(); p != 500 {
		port = fmt.Sprintf(", port %d", p)
	}
	t.line("send", title(h, d.Payload)+", "+t.spis(n, h)+port)
	t.payloads(n, h, d.Payload)
}

// spis prints those of a header that comes from a node: the initiator's, and the
// responder's.
func (t *Transcript) spis(from *Node, h wire.Header) string {
	i, r := from, t.other(from)
	if !h.Initiator() {
		i, r = r, i
	}
	return fmt.Sprintf("SPIs %s %s", t.names.ike(i, h.SPIi), t.names.ike(r, h.SPIr))
}

// payloads prints those of a message that comes from a node.
func (t *Transcript) payloads(from *Node, h wire.Header, b []byte) {
	ps, inside, err := t.keys.payloads(b)
	p := printer{&t.names, from, !h.Response()}
	texts := p.print(ps)
	if _, refused := ps.Notify(wire.InvalidKEPayload); refused {
		t.least = nonce{}
	}
	if n, ok := wire.Find[wire.Nonce](ps); ok && h.Exchange == wire.CreateChildSA &&
		(t.least.data == nil || bytes.Compare(n.Data, t.least.data) < 0) {
		t.least = nonce{"N" + p.side() + " of the " + from.Name, bytes.Clone(n.Data)}
	}
	if err != nil {
		texts = []string{"(" + err.Error() + ")"}
	}
	for i := range texts[:max(0, len(texts)-1)] {
		texts[i] += ","
	}
	switch {
	case inside && len(texts) == 0:
		texts = []string{"SK {}"}
	case inside:
		texts[0] = "SK {" + texts[0]
		texts[len(texts)-1] += "}"
	}
	t.text.WriteString(wrap(payloadParts(texts)))
}

// event prints what the engine of n has told.
func (t *Transcript) event(n *Node, e exchange.Event) {
	if t != nil {
		t.line("event", t.eventText(n, e))
	}
}

// returned notes that the engine of n is back from the call.
func (t *Transcript) returned(n *Node, err error) {
	if t == nil {
		return
	}
	t.keys.learn(n)
	if err != nil {
		t.line("error", err.Error())
	}
}

// compare prints the states that the call has changed.
func (t *Transcript) compare(n *Node) {
	if t == nil {
		return
	}
	was, now := t.states[n], map[string]string{}
	for _, s := range n.Engine.Status() {
		name := t.names.ike(n, s.Peer.SPI)
		now[name] = s.State
		switch old := was[name]; {
		case old == "":
			t.line("state", name+" "+s.State)
		case old != s.State:
			t.line("state", name+" "+old+" -> "+s.State)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if now[name] == "" {
			t.line("state", name+" "+was[name]+" -> gone")
		}
	}
	t.states[n] = now
	t.heading = ""
}

// other returns the peer of n: the node that has the other address.
func (t *Transcript) other(n *Node) *Node {
	for _, o := range t.lab.Nodes {
		if o.Addr != n.Addr {
			return o
		}
	}
	return n
}

// lowest prints which was the lowest nonce of CREATE_CHILD_SA.
func (t *Transcript) lowest() { fmt.Fprintf(&t.text, "the lowest nonce was %s\n", t.least.text) }

// show prints the SAs of n.
func (t *Transcript) show(n *Node) {
	all := n.Engine.Status()
	if len(all) == 0 {
		fmt.Fprintf(&t.text, "%s has no IKE SA\n", n.Name)
	}
	for _, s := range all {
		fmt.Fprintf(&t.text, "%s: %s %s with %s\n", n.Name, t.names.ike(n, s.Peer.SPI), s.State, s.Peer.RemoteID)
		for _, c := range s.Children {
			fmt.Fprintf(&t.text, "    child SA %s, %s to %s\n", t.child(n, c.ID), selectors(c.Local),
				selectors(c.Remote))
		}
	}
}
