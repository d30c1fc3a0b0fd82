package failover

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

// MaxKeys is how many failover keys a node accepts: the one that counts, and, while
// it is being changed, another one that the peer may have.
const MaxKeys = 2

// KeyID names a failover key without telling it: the same on both nodes. It follows
// from the key by HKDF, so that guesses against text are no easier than against a
// heartbeat. Zero: none.
type KeyID uint32

// String returns the ID as `show failover` prints it.
func (id KeyID) String() string { return fmt.Sprintf("%08x", uint32(id)) }

// KeyIDOf returns the ID of a key.
func KeyIDOf(key secret.Value) KeyID {
	id, err := hkdf.Key(sha256.New, key.Reveal(), nil, "warren failover key id 1", 4)
	if err != nil {
		panic("failover: internal error: " + err.Error())
	}
	return KeyID(max(binary.BigEndian.Uint32(id), 1))
}

// ring is the keys of a node, the one that it prefers first. While a key is changed
// on one node after the other there are two: heartbeats with either are taken, and
// each heartbeat says which keys its sender takes. So a node signs with the first of
// its keys that its peer takes, and nobody has to change at a certain moment.
type ring []ringKey

type ringKey struct {
	id  KeyID
	key secret.Value // of the heartbeats: deriveKey
}

func newRing(keys []secret.Value) (r ring) {
	for _, k := range keys {
		r = append(r, ringKey{KeyIDOf(k), deriveKey(k)})
	}
	return r
}

// parse authenticates and parses a heartbeat, and returns the ID of its key.
func (r ring) parse(b []byte) (h *Heartbeat, id KeyID, err error) {
	for _, k := range r {
		if h, err = ParseHeartbeat(b, k.key); err != ErrForged {
			return h, k.id, err
		}
	}
	return nil, 0, err
}

// hint authenticates a heartbeat of any form.
func (r ring) hint(b []byte) (h hint, err error) {
	for _, k := range r {
		if h, err = parseHint(b, k.key); err != ErrForged {
			return h, err
		}
	}
	return hint{}, err
}

// ids returns the IDs of the keys.
func (r ring) ids() (ids [MaxKeys]KeyID) {
	for i, k := range r {
		ids[i] = k.id
	}
	return ids
}

// first returns the first key that the owner of accepted takes; false: none.
func (r ring) first(accepted [MaxKeys]KeyID) (ringKey, bool) {
	for _, k := range r {
		if slices.Contains(accepted[:], k.id) {
			return k, true
		}
	}
	return ringKey{}, false
}

// SetKeys replaces the keys; see Config.Keys. The roles stay as they are. A peer that
// takes none of the new keys falls silent: the caller sees to it that it takes one
// (PeerKeys).
func (n *Node) SetKeys(now time.Time, keys []secret.Value, out *Output) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	n.keys = newRing(keys)
	n.dirty = true
	n.finish(now, out, nil)
	return nil
}

// PeerKeys returns the IDs of the keys that the peer takes, the one that it prefers
// first; none while it is not heard.
func (n *Node) PeerKeys() (ids []KeyID) {
	for _, id := range n.peer.keys {
		if n.peer.alive && id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Key returns the place in Config.Keys, and the ID, of the key that this node uses
// with its peer at the moment. While that is not heard it is the first.
func (n *Node) Key() (int, KeyID) {
	used, ok := n.keys.first(n.peer.keys)
	if !ok {
		used = n.keys[0]
	}
	return slices.IndexFunc(n.keys, func(k ringKey) bool { return k.id == used.id }), used.id
}

// signs returns the key of the next heartbeats. To a peer of whom it is not known
// which keys it takes, or that may have begun another life, they go with every key.
func (n *Node) signs(now time.Time) ring {
	used, ok := n.keys.first(n.peer.keys)
	if !ok || !n.peer.alive || now.Sub(n.answered) < n.cfg.Hold {
		return n.keys
	}
	return ring{used}
}

func checkKeys(keys []secret.Value) error {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return fmt.Errorf("failover: %d keys: there are 1 to %d", len(keys), MaxKeys)
	}
	for _, k := range keys {
		if k.Len() == 0 {
			return fmt.Errorf("failover: key is empty")
		}
	}
	return nil
}
