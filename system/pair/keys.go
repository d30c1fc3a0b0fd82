package pair

import (
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/system/fault"
)

// failoverKeys returns the keys that this node takes, the preferred one first.
func (p *Pair) failoverKeys() []secret.Value {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys
}

// keyIDs returns the IDs of keys, in their order.
func keyIDs(keys []secret.Value) (ids []failover.KeyID) {
	for _, key := range keys {
		ids = append(ids, failover.KeyIDOf(key))
	}
	return ids
}

// sessionKey returns the key for a connection to the peer: the first that it takes,
// as far as it is heard. It is for the goroutine of run.
func (p *Pair) sessionKey() secret.Value {
	keys := p.failoverKeys()
	i, _ := p.node.Key()
	return keys[min(i, len(keys)-1)] // there may be fewer since a moment ago
}

// Refuses says what stands against a configuration at the moment: keys of which the
// peer takes none. Both nodes would be active.
func (p *Pair) Refuses(next *configs.System) error {
	if p == nil {
		return nil
	}
	var peer []failover.KeyID
	p.do(func(time.Time, *failover.Output) {
		if p.node != nil {
			peer = p.node.PeerKeys()
		}
	})
	if len(peer) == 0 || slices.ContainsFunc(next.Failover.Keys(),
		func(k secret.Value) bool { return slices.Contains(peer, failover.KeyIDOf(k)) }) {
		return nil
	}
	return &fault.Error{
		Code: fault.CodeRefused,
		Reason: fmt.Sprintf("the other unit takes the failover key %v, and not %v: nothing was changed", peer[0],
			failover.KeyIDOf(next.Failover.Key)),
		Hint: "keep the present key as previous_key until the other unit has the new one",
	}
}

// keysInUse says which keys there are, and which is in use.
func (p *Pair) keysInUse() (k Keys) {
	k.Accepted = keyIDs(p.failoverKeys())
	_, k.Used = p.node.Key()
	k.Peer = p.node.PeerKeys()
	return k
}
