package pair

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/system/fault"
)

// keyring is the failover keys of this node. Its methods may be called from several
// goroutines at once.
type keyring struct {
	mu   sync.Mutex     // protects keys
	keys []secret.Value // configs.Failover.Keys
}

// all returns the keys that this node takes, the preferred one first.
func (r *keyring) all() []secret.Value {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys
}

// set replaces the keys.
func (r *keyring) set(keys []secret.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = keys
}

// forSession returns the key for a connection to the peer: the first that it takes, as far
// as it is heard. It is for the goroutine that owns node.
func (r *keyring) forSession(node *failover.Node) secret.Value {
	keys := r.all()
	i, _ := node.Key()
	return keys[min(i, len(keys)-1)] // there may be fewer since a moment ago
}

// status says which keys there are, and which is in use, as forSession.
func (r *keyring) status(node *failover.Node) (k Keys) {
	k.Accepted = keyIDs(r.all())
	_, k.Used = node.Key()
	k.Peer = node.PeerKeys()
	return k
}

// keyIDs returns the IDs of keys, in their order.
func keyIDs(keys []secret.Value) (ids []failover.KeyID) {
	for _, key := range keys {
		ids = append(ids, failover.KeyIDOf(key))
	}
	return ids
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
