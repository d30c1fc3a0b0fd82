package exchange

import (
	"io"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/secret"
)

// Host is what an SA needs from the Engine that holds it.
type Host interface {
	Rand() io.Reader
	Epoch() uint64 // of the activation, below 1<<32; never goes back

	HalfOpenLife() time.Duration // of a handshake that begins now

	NewIKESPI() uint64               // ours, unused
	NewESPSPI() sa.SPI               // ours, unused
	NewChildID(now time.Time) uint64 // never used before
	Ask(s SA) QuestionID             // a new question that s waits for
	Withdraw(question QuestionID)
	BindChild(c *sa.Child, s SA) // Commands about child c go to s now
	UnbindChild(c *sa.Child)     // the pair is gone
	Prefixes() int               // sa.CountPrefixes of the remote selectors of all children together
	Bury(keys ...secret.Value)   // clear them when the Output has been consumed
	Touch(s SA)                  // s has changed, though the call was about another
	Deferred()                   // a request for a child SA came too early and was put off
	PeerChildren(s SA) int       // child SAs of all SAs with the peer and profile of s

	// Children yields the child SAs of all SAs, each with its SA, in no order, until
	// yield returns false.
	Children(yield func(*sa.Child, SA) bool)
	// OnlyContact reports whether no other SA with the peer of s is known, so
	// that s may say INITIAL_CONTACT.
	OnlyContact(s SA) bool
	// Renew connects the entry of s anew beside s, which cannot be rekeyed; s ends
	// when that has come up. It does nothing for an SA that the peer has dialled.
	Renew(now time.Time, s SA, out *Output)
	// Adopt takes a new IKE SA that a rekeying of old made; nil: of one that it does
	// not take the place of, or not yet.
	Adopt(old, s SA)
	// Others returns the other SAs that stand, or wait for an answer, of the peer
	// and profile of s, in the order in which they were made.
	Others(s SA) []SA
	// Replace ends o without a word to its peer, which has said INITIAL_CONTACT
	// and was let in.
	Replace(now time.Time, o SA, out *Output)
}
