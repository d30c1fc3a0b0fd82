package radius_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/aaa/radius"
	"github.com/warrenvpn/warren/context/aaa/radius/radiustest"
	"github.com/warrenvpn/warren/internal/secret"
)

const key = "a shared secret of 16 or more"

// network is a client and its servers in virtual time.
type network struct {
	t       testing.TB
	now     time.Time
	client  *radius.Client
	servers []behaviour
	flying  []datagram
	got     [][]radius.Datagram // by server
	done    map[radius.Ticket]radius.Done
	ends    map[radius.Ticket]time.Duration // since the beginning
	events  []radius.Event
	begin   time.Time
	next    radius.Ticket
}

// behaviour is a server: what it answers to a request, and after how long; nil: nothing.
type behaviour func(n *network, request []byte) (answer []byte, after time.Duration)

type datagram struct {
	at    time.Time
	place radius.Place
	data  []byte
}

// newNetwork returns a client of servers that behave so; change adapts its configuration.
func newNetwork(t testing.TB, change func(*radius.Config), servers ...behaviour) *network {
	n := &network{t: t, now: time.Unix(1000, 0), servers: servers, got: make([][]radius.Datagram, len(servers)),
		done: make(map[radius.Ticket]radius.Done), ends: make(map[radius.Ticket]time.Duration)}
	n.begin = n.now
	c := &radius.Config{Rand: rand.NewChaCha8([32]byte{1})}
	for i := range servers {
		c.Servers = append(c.Servers, radius.Server{Name: fmt.Sprintf("s%d", i), Key: secret.Copy([]byte(key))})
	}
	if change != nil {
		change(c)
	}
	n.client = radius.NewClient(c)
	return n
}

// take carries an Output out.
func (n *network) take(out *radius.Output) {
	n.t.Helper()
	for _, d := range out.Send {
		n.got[d.Server] = append(n.got[d.Server], d)
		answer, after := n.servers[d.Server](n, d.Data)
		if answer != nil {
			n.flying = append(n.flying, datagram{n.now.Add(after), d.Place, answer})
		}
	}
	for _, d := range out.Done {
		if _, twice := n.done[d.Ticket]; twice {
			n.t.Errorf("ticket %d ends twice", d.Ticket)
		}
		n.done[d.Ticket], n.ends[d.Ticket] = d, n.now.Sub(n.begin)
	}
	n.events = append(n.events, out.Events...)
}

// send asks, and returns the ticket.
func (n *network) send(at *radius.Place) radius.Ticket {
	n.t.Helper()
	n.next++
	var out radius.Output
	r := &radius.Request{EAP: []byte{2, 1, 0, 5, 1}}
	if err := r.Attributes.Add(radius.TypeUserName, fmt.Append(nil, n.next)); err != nil {
		n.t.Fatal(err)
	}
	n.client.Send(n.now, n.next, r, at, &out)
	n.take(&out)
	return n.next
}

// run lets time pass.
func (n *network) run(d time.Duration) {
	n.t.Helper()
	end := n.now.Add(d)
	for {
		slices.SortStableFunc(n.flying, func(a, b datagram) int { return a.at.Compare(b.at) })
		at, ok := n.client.Deadline()
		arrives := len(n.flying) > 0 && (!ok || !n.flying[0].at.After(at))
		if arrives {
			at = n.flying[0].at
		}
		if !ok && !arrives || at.After(end) {
			break
		}
		n.now = maxTime(n.now, at)
		var out radius.Output
		if arrives {
			n.client.Receive(n.now, n.flying[0].place, n.flying[0].data, &out)
			n.flying = n.flying[1:]
		} else {
			n.client.Expire(n.now, &out)
		}
		n.take(&out)
	}
	n.now = end
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// told says whether an event was told of a server.
func (n *network) told(server int, k radius.EventKind) bool {
	return slices.ContainsFunc(n.events, func(e radius.Event) bool {
		return e.Kind == k && e.Server == fmt.Sprintf("s%d", server)
	})
}

// accepts lets everybody in after a time.
func accepts(after time.Duration) behaviour {
	return answers(after, key, radiustest.Answer{Code: radius.AccessAccept})
}

func answers(after time.Duration, key string, a radiustest.Answer) behaviour {
	return func(n *network, request []byte) ([]byte, time.Duration) {
		return radiustest.Reply(request, key, a), after
	}
}

func silent(*network, []byte) ([]byte, time.Duration) { return nil, 0 }

// accepted fails the test unless the ticket was let in by the server.
func (n *network) accepted(ticket radius.Ticket, server int) {
	n.t.Helper()
	d, ok := n.done[ticket]
	if !ok || d.Err != nil || d.Packet.Code != radius.AccessAccept || d.Server != server {
		n.t.Errorf("ticket %d: %t %+v, want an Access-Accept of server %d", ticket, ok, d, server)
	}
}

func TestAnswer(t *testing.T) {
	n := newNetwork(t, nil, accepts(10*time.Millisecond), accepts(0))
	ticket := n.send(nil)
	n.run(time.Second)
	n.accepted(ticket, 0)
	if !radiustest.Signed(n.got[0][0].Data, key) {
		t.Error("the request is not signed before all others")
	}
	if len(n.got[0]) != 1 || len(n.got[1]) != 0 || len(n.events) != 0 {
		t.Errorf("%d and %d requests, events %v", len(n.got[0]), len(n.got[1]), n.events)
	}
	if _, ok := n.client.Deadline(); ok {
		t.Error("something is still to be done")
	}
}

// TestRetransmission: the same octets from the same port, each wait twice as long.
func TestRetransmission(t *testing.T) {
	n := newNetwork(t, nil, silent)
	ticket := n.send(nil)
	n.run(time.Minute)
	var no *radius.NoAnswerError
	if d := n.done[ticket]; !errors.As(d.Err, &no) || no.Why != radius.Silent || no.Server != "s0" {
		t.Errorf("ended with %v", d.Err)
	}
	if len(n.got[0]) != 1+radius.DefaultRetries {
		t.Errorf("sent %d times", len(n.got[0]))
	}
	for _, d := range n.got[0] {
		if !bytes.Equal(d.Data, n.got[0][0].Data) || d.Place != n.got[0][0].Place {
			t.Error("a repeated request is another one")
		}
	}
	if end := n.ends[ticket]; end < 12600*time.Millisecond || end > 15400*time.Millisecond { // 2 + 4 + 8 s, a tenth off
		t.Errorf("after %s", end)
	}
	if !n.told(0, radius.NoAnswer) {
		t.Errorf("events %v", n.events)
	}
}

func TestLostAnswer(t *testing.T) {
	lose := 1
	n := newNetwork(t, nil, func(n *network, request []byte) ([]byte, time.Duration) {
		if lose--; lose >= 0 {
			return nil, 0
		}
		return accepts(0)(n, request)
	})
	ticket := n.send(nil)
	n.run(3 * time.Second)
	n.accepted(ticket, 0)
}

// TestDeadServer: the second server takes over; from the third request on at once, until
// the dead time is over and one request asks the first.
func TestDeadServer(t *testing.T) {
	up := false
	n := newNetwork(t, nil, func(n *network, request []byte) ([]byte, time.Duration) {
		if !up {
			return nil, 0
		}
		return accepts(0)(n, request)
	}, accepts(0))
	for i := range radius.DefaultMaxFailed {
		ticket := n.send(nil)
		n.run(20 * time.Second)
		n.accepted(ticket, 1)
		if dead := n.client.Status()[0].Dead; dead != (i == radius.DefaultMaxFailed-1) {
			t.Errorf("dead after %d requests: %t", i+1, dead)
		}
	}
	if !n.told(0, radius.Died) {
		t.Errorf("events %v", n.events)
	}
	before := len(n.got[0])
	ticket := n.send(nil)
	n.run(0)
	n.accepted(ticket, 1)
	if len(n.got[0]) != before {
		t.Error("the dead server was asked")
	}

	n.run(radius.DefaultDeadTime) // one asks, nobody else waits for that
	probe, others := n.send(nil), n.send(nil)
	n.run(time.Second)
	n.accepted(others, 1)
	if len(n.got[0]) != before+1 || n.done[probe].Packet != nil {
		t.Errorf("%d requests to the dead server", len(n.got[0])-before)
	}
	n.run(3 * time.Second) // asked once, and not again
	n.accepted(probe, 1)
	if !n.client.Status()[0].Dead {
		t.Error("it lives without an answer")
	}

	up = true
	n.run(radius.DefaultDeadTime)
	ticket = n.send(nil)
	n.run(time.Second)
	n.accepted(ticket, 0)
	if n.client.Status()[0].Dead || !n.told(0, radius.Revived) {
		t.Error("it answers, and is dead")
	}
}

// TestDeadServerFreesOthers: who waits for a server that has died does not wait any longer.
func TestDeadServerFreesOthers(t *testing.T) {
	n := newNetwork(t, func(c *radius.Config) { c.MaxFailed = 1 }, silent, accepts(0))
	first := n.send(nil)
	n.run(10 * time.Second)
	second := n.send(nil)
	n.run(6 * time.Second)
	n.accepted(first, 1)
	n.accepted(second, 1)
}

// TestAllDead: dead servers are asked where there is no other.
func TestAllDead(t *testing.T) {
	up := false
	n := newNetwork(t, func(c *radius.Config) { c.MaxFailed = 1 }, silent,
		func(n *network, request []byte) ([]byte, time.Duration) {
			if !up {
				return nil, 0
			}
			return accepts(0)(n, request)
		})
	ticket := n.send(nil)
	n.run(time.Minute)
	if d := n.done[ticket]; d.Err == nil {
		t.Errorf("ended with %+v", d)
	}
	for _, s := range n.client.Status() {
		if !s.Dead {
			t.Errorf("%s lives", s.Name)
		}
	}
	up = true
	ticket = n.send(nil)
	n.run(time.Minute)
	n.accepted(ticket, 1)
}

// TestSilentToOne: a server that drops one request and answers others is not dead.
func TestSilentToOne(t *testing.T) {
	n := newNetwork(t, func(c *radius.Config) { c.MaxFailed = 1 },
		func(n *network, request []byte) ([]byte, time.Duration) {
			p, err := radius.ParsePacket(request)
			if err != nil {
				return nil, 0
			}
			if name, _ := p.Attributes.Find(radius.TypeUserName); string(name) == "1" {
				return nil, 0
			}
			return accepts(0)(n, request)
		}, accepts(0))
	dropped := n.send(nil)
	n.run(time.Second)
	other := n.send(nil)
	n.run(time.Minute)
	n.accepted(dropped, 1)
	n.accepted(other, 0)
	if n.client.Status()[0].Dead || !n.told(0, radius.LeftOne) || n.told(0, radius.Died) {
		t.Errorf("status %+v, events %v", n.client.Status()[0], n.events)
	}
}

// TestWrongKey: an answer that does not verify is no answer, and is told of.
func TestWrongKey(t *testing.T) {
	n := newNetwork(t, nil, answers(0, "another shared secret", radiustest.Answer{Code: radius.AccessAccept}))
	ticket := n.send(nil)
	n.run(time.Second)
	if d, ok := n.done[ticket]; ok {
		t.Errorf("a forged answer ends the request: %+v", d)
	}
	n.run(time.Minute)
	var no *radius.NoAnswerError
	if d := n.done[ticket]; !errors.As(d.Err, &no) || no.Why != radius.Forged {
		t.Errorf("ended with %v", d.Err)
	}
	if !n.told(0, radius.WrongKey) || n.client.Status()[0].Forged != 1+radius.DefaultRetries {
		t.Errorf("events %v, status %+v", n.events, n.client.Status()[0])
	}
}

// TestForgedThenRight: somebody who sends answers cannot keep the right one out.
func TestForgedThenRight(t *testing.T) {
	n := newNetwork(t, nil, accepts(time.Second))
	ticket := n.send(nil)
	forged := radiustest.Reply(n.got[0][0].Data, "guessed", radiustest.Answer{Code: radius.AccessReject})
	var out radius.Output
	n.client.Receive(n.now, n.got[0][0].Place, forged, &out)
	n.client.Receive(n.now, n.got[0][0].Place, forged[:7], &out)
	n.client.Receive(n.now, n.got[0][0].Place, nil, &out)
	n.take(&out)
	n.run(time.Second)
	n.accepted(ticket, 0)
}

func TestUnsigned(t *testing.T) {
	for _, tt := range []struct {
		name    string
		code    radius.Code
		lenient bool
		refused bool
	}{
		{"Access-Accept", radius.AccessAccept, false, true},
		{"Access-Accept to EAP, lenient", radius.AccessAccept, true, true},
		{"Access-Challenge", radius.AccessChallenge, false, true},
		{"Access-Reject", radius.AccessReject, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t, func(c *radius.Config) { c.Servers[0].Lenient = tt.lenient },
				answers(0, key, radiustest.Answer{Code: tt.code, Unsigned: true}))
			ticket := n.send(nil)
			n.run(time.Second)
			d, ok := n.done[ticket]
			if !ok || errors.Is(d.Err, radius.ErrUnsigned) != tt.refused || n.told(0, radius.Unsigned) != tt.refused {
				t.Errorf("%t %+v, events %v", ok, d, n.events)
			}
		})
	}
}

// TestSignedLast: FreeRADIUS 3.2.1 has the Message-Authenticator behind others.
func TestSignedLast(t *testing.T) {
	n := newNetwork(t, nil, answers(0, key, radiustest.Answer{Code: radius.AccessAccept, SignedLast: true,
		Attributes: radiustest.Attribute(radius.TypeClass, []byte("c"))}))
	ticket := n.send(nil)
	n.run(time.Second)
	n.accepted(ticket, 0)
}

// TestMSKOfAccept: keys of 16 octets each are padded to 64.
func TestMSKOfAccept(t *testing.T) {
	recv, send := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)
	n := newNetwork(t, nil, func(n *network, request []byte) ([]byte, time.Duration) {
		return radiustest.Reply(request, key, radiustest.Answer{Code: radius.AccessAccept,
			Attributes: radiustest.Keys(request, key, recv, send)}), 0
	})
	ticket := n.send(nil)
	n.run(time.Second)
	n.accepted(ticket, 0)
	want := append(append(bytes.Clone(recv), send...), make([]byte, 32)...)
	if got := n.done[ticket].MSK.Reveal(); !bytes.Equal(got, want) {
		t.Errorf("MSK %x", got)
	}
}

// TestConversation stays with its server and its port, whatever others do.
func TestConversation(t *testing.T) {
	n := newNetwork(t, func(c *radius.Config) { c.Servers[1].Sockets = 3 }, accepts(0), silent, accepts(0))
	at := radius.Place{Server: 1, Socket: 2}
	ticket := n.send(&at)
	n.run(time.Minute)
	if d := n.done[ticket]; d.Err == nil || len(n.got[0]) != 0 || len(n.got[2]) != 0 {
		t.Errorf("ended with %+v", d)
	}
	for _, d := range n.got[1] {
		if d.Place != at {
			t.Errorf("sent at %+v", d.Place)
		}
	}
}

// TestClosedPort: the next server is asked when the first wait is over.
func TestClosedPort(t *testing.T) {
	n := newNetwork(t, nil, silent, accepts(0))
	ticket := n.send(nil)
	n.client.Refused(n.got[0][0].Place, radius.Closed)
	n.run(3 * time.Second)
	n.accepted(ticket, 1)
	if !n.told(0, radius.PortClosed) {
		t.Errorf("events %v", n.events)
	}
}

// TestIdentifiers: each socket has 256 requests outstanding at most, which differ; more
// wait, and more than may wait are refused.
func TestIdentifiers(t *testing.T) {
	const sockets = 2
	n := newNetwork(t, func(c *radius.Config) { c.Servers[0].Sockets = sockets }, accepts(time.Second))
	for range sockets*256 + radius.MaxWaiting + 1 {
		n.send(nil)
	}
	type slot struct {
		place radius.Place
		id    byte
	}
	used := make(map[slot]bool)
	for _, d := range n.got[0] {
		used[slot{d.Place, d.Data[1]}] = true
	}
	if len(n.got[0]) != sockets*256 || len(used) != sockets*256 {
		t.Errorf("%d sent, %d of them differ", len(n.got[0]), len(used))
	}
	if len(n.done) != 1 || !errors.Is(n.done[n.next].Err, radius.ErrBusy) || !n.told(0, radius.Busy) {
		t.Errorf("%d are done, the newest with %v", len(n.done), n.done[n.next].Err)
	}
	n.run(5 * time.Second)
	for ticket := radius.Ticket(1); ticket < n.next; ticket++ {
		n.accepted(ticket, 0)
	}
	if s := n.client.Status()[0]; s.Outstanding != 0 || s.Waiting != 0 || s.Busy != 1 {
		t.Errorf("left: %+v", s)
	}
}

func TestCancel(t *testing.T) {
	n := newNetwork(t, func(c *radius.Config) { c.MaxFailed = 1 }, silent)
	ticket := n.send(nil)
	var out radius.Output
	n.client.Cancel(n.now, ticket, &out)
	n.client.Cancel(n.now, ticket, &out)
	if n.client.Status()[0].Dead {
		t.Error("dead because a client has gone")
	}
	ticket = n.send(nil)
	n.run(5 * time.Second)
	n.client.Cancel(n.now, ticket, &out)
	n.run(time.Minute)
	if len(n.done) != 0 || len(out.Done) != 0 || n.client.Status()[0].Outstanding != 0 {
		t.Errorf("done: %v", n.done)
	}
	if !n.client.Status()[0].Dead {
		t.Error("it was silent until the client went, and is not dead")
	}
}

// TestExpireEarly: what is not due is not done.
func TestExpireEarly(t *testing.T) {
	n := newNetwork(t, nil, silent)
	n.send(nil)
	var out radius.Output
	n.client.Expire(n.now, &out)
	n.client.Expire(n.now.Add(time.Second), &out)
	if len(out.Send)+len(out.Done) != 0 {
		t.Errorf("%+v", out)
	}
}

// TestHostileNetwork: whatever servers and the network do, every request ends once and in
// time, and nothing stays behind.
func TestHostileNetwork(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			chaos := func(n *network, request []byte) ([]byte, time.Duration) {
				after := time.Duration(rng.IntN(20_000)) * time.Millisecond
				switch rng.IntN(8) {
				case 0:
					return nil, 0
				case 1:
					return radiustest.Reply(request, "wrong", radiustest.Answer{Code: radius.AccessAccept}), after
				case 2:
					return radiustest.Reply(request, key, radiustest.Answer{Code: radius.AccessAccept,
						Unsigned: true}), after
				case 3:
					b := radiustest.Reply(request, key, radiustest.Answer{Code: radius.AccessReject})
					b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
					return b[:rng.IntN(len(b)+1)], after
				default:
					return accepts(after/16)(n, request)
				}
			}
			n := newNetwork(t, func(c *radius.Config) {
				c.MaxFailed, c.DeadTime = 1+rng.IntN(3), time.Duration(rng.IntN(60))*time.Second
			}, chaos, chaos, chaos)
			cancelled := 0
			for range 1500 {
				ticket := n.send(nil)
				if rng.IntN(10) == 0 {
					n.run(time.Duration(rng.IntN(5000)) * time.Millisecond)
				}
				if _, ended := n.done[ticket]; !ended && rng.IntN(20) == 0 {
					var out radius.Output
					n.client.Cancel(n.now, ticket, &out)
					n.take(&out)
					cancelled++
				}
			}
			n.run(3 * 40 * time.Second) // three servers, waiting and asking
			if len(n.done)+cancelled != int(n.next) {
				t.Errorf("%d of %d ended, %d were cancelled", len(n.done), n.next, cancelled)
			}
			if _, ok := n.client.Deadline(); ok {
				t.Error("a timer is left")
			}
			for _, s := range n.client.Status() {
				if cmp.Or(s.Outstanding, s.Waiting) != 0 {
					t.Errorf("left: %+v", s)
				}
			}
		})
	}
}
