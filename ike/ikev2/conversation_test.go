package ikev2

import (
	"testing"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/wire"
)

// asked is a side that is asked on and on, asking one that asks.
type (
	asked  struct{ auth.Reply }
	asking struct{ auth.Challenge }
)

func (asked) Next(wire.Payloads) ([]wire.Payload, bool, error) { return nil, false, nil }
func (asking) Next(wire.Payloads) ([]wire.Payload, error)      { return nil, nil }

// TestEachSideBoundsTheRounds: whatever the peer does, neither side goes on for ever.
func TestEachSideBoundsTheRounds(t *testing.T) {
	s := &SA{}
	i := authInitiator{initiating: &initiating{sa: s}, peer: &wire.IDr{}, reply: asked{}}
	r := authResponder{responding: &responding{sa: s}, challenge: asking{}}
	for name, step := range map[string]func(wire.Payloads) outcome{"initiator": i.step, "responder": r.next} {
		for n := range maxAuthRounds {
			if o := step(nil); o.reason != "" || o.proven {
				t.Fatalf("%s, round %d: %+v", name, n+1, o)
			}
		}
		if o := step(nil); o.notify.Type != wire.AuthenticationFailed || o.reason == "" {
			t.Errorf("%s: it goes on after %d rounds", name, maxAuthRounds)
		}
	}
}
