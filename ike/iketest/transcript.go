package iketest

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// Transcript is what happens in a Lab as text, one line for each thing, with the
// milliseconds since the Lab began:
//
//	 0 client    > IKE_SA_INIT 0 request: SA KE nonce N(NAT_DETECTION_SOURCE_IP)
//	10 gateway   + RecordHalfOpen
//	30 gateway   ! AskSession client@example
//	30 gateway   = AUTHORIZING
//
// + is a record that is made durable, > a message that leaves, ! an event that is
// published, = the states of the IKE SAs of a node when they have changed; in the
// order of exchange.Output. What is encrypted is shown as it is inside. A message
// that was sent before is a repeat.
type Transcript struct {
	lab    *Lab
	text   strings.Builder
	keys   map[string]ciphers
	states map[*Node]string
	sent   map[string]bool
}

// ciphers open the messages of the initiator and the responder of an IKE SA.
type ciphers struct{ initiator, responder *suite.Cipher }

// Transcribe has a Lab write a Transcript from now on.
func (l *Lab) Transcribe() *Transcript {
	t := &Transcript{lab: l, keys: map[string]ciphers{}, states: map[*Node]string{}, sent: map[string]bool{}}
	l.trace = t.output
	l.after = t.state
	return t
}

// Take returns the lines since the last call.
func (t *Transcript) Take() string {
	text := t.text.String()
	t.text.Reset()
	return text
}

func (t *Transcript) line(n *Node, sign, format string, args ...any) {
	at := t.lab.Now.Sub(Start) / time.Millisecond
	fmt.Fprintf(&t.text, "%6d %-8s %s %s\n", at, n.Name, sign, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// output writes what one call of an engine has led to.
func (t *Transcript) output(n *Node, out *exchange.Output) {
	t.learn()
	for _, r := range out.Changes {
		t.line(n, "+", "%s", recordText(&r))
	}
	for _, d := range out.Send {
		repeat := ""
		if t.sent[string(d.Payload)] {
			repeat = " (repeat)"
		}
		t.sent[string(d.Payload)] = true
		t.line(n, ">", "%s%s", t.message(d), repeat)
	}
	for _, e := range out.Events {
		t.line(n, "!", "%s", eventText(e))
	}
}

// state writes the states of the IKE SAs of n, if they have changed.
func (t *Transcript) state(n *Node) {
	var states []string
	for _, s := range n.Engine.Status() {
		text := s.State
		if many := len(s.Children); many > 0 {
			text += fmt.Sprintf(" (child SAs: %d)", many)
		}
		states = append(states, text)
	}
	text := strings.Join(states, ", ")
	if text == "" {
		text = "no IKE SA"
	}
	if old, ok := t.states[n]; text != old && (ok || len(states) > 0) {
		t.line(n, "=", "%s", text)
	}
	t.states[n] = text
}

// recordText names a record.
func recordText(r *exchange.Record) string {
	switch r.Kind {
	case exchange.RecordIKE:
		if r.Replaces != 0 {
			return "RecordIKE, with the child SAs of the old one"
		}
		return "RecordIKE"
	case exchange.RecordWindow:
		return "RecordWindow"
	case exchange.RecordIKEDown:
		return "RecordIKEDown"
	case exchange.RecordChild:
		return "RecordChild " + map[sa.Op]string{
			sa.OpAdd: "add", sa.OpRekey: "rekey", sa.OpFollow: "follow", sa.OpMove: "move", sa.OpDelete: "delete",
		}[r.Child.Op]
	case exchange.RecordHalfOpen:
		return "RecordHalfOpen"
	}
	return fmt.Sprintf("record %d", r.Kind)
}

// eventText names an event, and says what is worth reading of it.
func eventText(e exchange.Event) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", e), "exchange.")
	switch e := e.(type) {
	case exchange.AskSession:
		return name + " " + e.Peer.RemoteID
	case exchange.IKEUp:
		return name + " " + e.Suite.String()
	case exchange.IKEDown:
		return name + ": " + e.Reason
	case exchange.ChildUp:
		return fmt.Sprintf("%s %v === %v", name, e.Child.Local, e.Child.Remote)
	case exchange.ChildDown:
		return name + ": " + e.Reason
	case exchange.Refused:
		return strings.TrimSpace(name+" "+e.Notify) + ": " + e.Reason
	case exchange.AddressAssigned:
		return fmt.Sprintf("%s %v", name, e.Session.Addresses)
	case exchange.Moved:
		return fmt.Sprintf("%s from %v", name, e.From)
	}
	return name
}

// message shows one message.
func (t *Transcript) message(d exchange.Datagram) string {
	if d.Keepalive {
		return "NAT keepalive"
	}
	m, err := wire.ParseMessage(d.Payload)
	if err != nil {
		return err.Error()
	}
	kind := "request"
	if m.Response() {
		kind = "response"
	}
	return fmt.Sprintf("%v %d %s: %s", m.Exchange, m.MessageID, kind, payloadsText(t.open(&m, d.Payload)))
}

// open returns the payloads of a message, decrypted.
func (t *Transcript) open(m *wire.Message, b []byte) wire.Payloads {
	sk, ok := wire.Find[wire.SK](m.Payloads)
	c, known := t.keys[fmt.Sprintf("%016x,%016x", m.SPIi, m.SPIr)]
	if !ok || !known {
		return m.Payloads
	}
	by := c.responder
	if m.Initiator() {
		by = c.initiator
	}
	plain, err := by.Open(nil, b, sk.Offset)
	if err != nil {
		return m.Payloads
	}
	ps, _ := wire.ParsePayloads(sk.First, plain)
	return ps
}

// payloadsText shows payloads in the notation of RFC 7296.
func payloadsText(ps wire.Payloads) string {
	var out []string
	for _, p := range ps {
		switch p := p.(type) {
		case wire.Notify:
			out = append(out, fmt.Sprintf("N(%v)", p.Type))
		case wire.Delete:
			out = append(out, fmt.Sprintf("D(%v)", p.Protocol))
		default:
			out = append(out, p.PayloadType().String())
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, " ")
}

// learn notes the keys of all IKE SAs of the Lab.
func (t *Transcript) learn() {
	for _, n := range t.lab.Nodes {
		for _, s := range n.Engine.Status() {
			t.learnSA(n.Engine, &s)
		}
	}
}

// learnSA notes the keys of one, which the engine has exported.
func (t *Transcript) learnSA(e *ike.Engine, s *exchange.Status) {
	st, err := suite.New(s.Suite)
	if err != nil {
		return // it has none yet
	}
	lines, _ := e.ExportKeys()
	for _, line := range lines {
		f := strings.Split(line, ",") // SPIi, SPIr, Ei, Er, encryption, Ai, Ar, integrity
		spis := f[0] + "," + f[1]
		name := strconv.FormatUint(s.Peer.SPI, 16)
		if _, known := t.keys[spis]; known || !strings.Contains(spis, fmt.Sprintf("%016s", name)) {
			continue
		}
		key := func(i int) secret.Value {
			b, _ := hex.DecodeString(f[i])
			return secret.New(b)
		}
		i, err := st.NewCipher(key(2), key(5))
		if err != nil {
			continue
		}
		r, err := st.NewCipher(key(3), key(6))
		if err == nil {
			t.keys[spis] = ciphers{i, r}
		}
	}
}
