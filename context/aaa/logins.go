package aaa

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/eap"
)

// Client is who sends a message. Nothing of it is proven.
type Client struct {
	ID uint64 // names the conversation: our SPI of the IKE SA

	Group         string // tunnel group
	Servers       string // its spec.TunnelGroup.AuthenticationServers
	EAP           spec.EAP
	IKEIdentity   string
	Local, Remote netip.AddrPort
}

// Logins are the conversations with clients that want to come in. It asks them what they are
// called, and takes the rest to the authority of their tunnel group. How many there are,
// whoever carries the messages bounds.
//
// Its methods but Run are for one goroutine.
type Logins struct {
	authorities map[string]Authority
	open        map[uint64]*login
	changed     chan map[string]Authority // for Run
}

// login is one conversation.
type login struct {
	authority    string
	conversation Conversation // nil: the client is asked what it is called
}

// NewLogins returns what has no authority yet.
func NewLogins() *Logins {
	return &Logins{open: map[uint64]*login{}, changed: make(chan map[string]Authority, 1)}
}

// Configure takes the authorities that there are from now on, by the names that tunnel groups
// have for them. Conversations with those that are gone, or that others have taken the place
// of, end with the next message of their client.
func (l *Logins) Configure(authorities map[string]Authority) {
	for id, x := range l.open {
		if x.conversation != nil && authorities[x.authority] != l.authorities[x.authority] {
			l.Forget(id)
		}
	}
	l.authorities = authorities
	select {
	case <-l.changed: // which nobody has seen
	default:
	}
	l.changed <- maps.Clone(authorities)
}

// Run runs the authorities, until ctx ends.
func (l *Logins) Run(ctx context.Context) error {
	var owned sync.WaitGroup
	running := map[Authority]context.CancelFunc{}
	defer owned.Wait()
	defer func() {
		for _, cancel := range running {
			cancel()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case wanted := <-l.changed:
			stays := map[Authority]bool{}
			for _, a := range wanted {
				stays[a] = true
				if running[a] != nil {
					continue
				}
				each, cancel := context.WithCancel(ctx)
				running[a] = cancel
				owned.Go(func() { _ = a.Run(each) })
			}
			for a, cancel := range running {
				if !stays[a] {
					cancel()
					delete(running, a)
				}
			}
		}
	}
}

// queryIdentifier is the EAP identifier of the question what a client is called.
const queryIdentifier = 1

// Next has a message of a client answered, nil where its conversation begins. Either the
// answer is known at once, or done gets it later, from another goroutine; not at all where the
// conversation is forgotten before.
func (l *Logins) Next(now time.Time, c *Client, message []byte, done func(Answer)) (answer Answer, known bool) {
	x := l.open[c.ID]
	switch {
	case message == nil:
		l.Forget(c.ID)
		x = &login{authority: c.Servers}
		l.open[c.ID] = x
		if c.EAP.QueryIdentity {
			return Answer{Message: eap.IdentityRequest(queryIdentifier)}, true
		}
		message = eap.IdentityResponse(queryIdentifier-1, c.IKEIdentity)
	case x == nil:
		return rejected(message, "its conversation with the authority is over: the configuration has changed"), true
	}
	if x.conversation == nil {
		if err := l.begin(x, c, message); err != nil {
			delete(l.open, c.ID)
			return rejected(message, err.Error()), true
		}
	}
	x.conversation.Next(now, message, done)
	return Answer{}, false
}

// begin takes a client that has said what it is called to its authority.
func (l *Logins) begin(x *login, c *Client, message []byte) error {
	p, err := eap.ParsePacket(message)
	if err != nil {
		return errors.New("it sends no EAP packet")
	}
	name, err := eap.ParseIdentity(p)
	if err != nil || c.EAP.QueryIdentity && p.Identifier != queryIdentifier {
		return errors.New("it does not say what it is called")
	}
	a := l.authorities[x.authority]
	if a == nil {
		return fmt.Errorf("there is no authentication_server_group %s", x.authority)
	}
	x.conversation = a.Begin(&Request{
		Group: c.Group, EAP: c.EAP, Identity: name, Message: message, IKEIdentity: c.IKEIdentity,
		Local: c.Local, Remote: c.Remote,
	})
	return nil
}

// Forget ends the conversation of a client that is gone, or has been answered for the last
// time. It does nothing where there is none.
func (l *Logins) Forget(id uint64) {
	x := l.open[id]
	if x == nil {
		return
	}
	delete(l.open, id)
	if x.conversation != nil {
		x.conversation.Abandon()
	}
}

// Len returns how many conversations there are.
func (l *Logins) Len() int { return len(l.open) }

// rejected is the end of a conversation after a message of the client.
func rejected(message []byte, reason string) Answer {
	return Answer{Outcome: Rejected, Message: eap.FailureAfter(message), Reason: reason}
}
