package ikev2

import (
	"time"

	"github.com/warrenvpn/warren/ike/wire"
)

// Lifetimes of proposals that name none.
const (
	DefaultIKELifetime   = 24 * time.Hour
	DefaultChildLifetime = 8 * time.Hour
)

// Limits that no configuration changes.
const (
	// maxChildren bounds the child SAs of one IKE SA: a peer needs one for
	// each pair of networks, and two of each while it rekeys.
	maxChildren = 64

	// maxClientChildren is that bound for a remote-access client, which has one
	// address and rarely more than a few pairs; maxPeerChildren bounds the child SAs
	// of one identity, so that one user does not take the counters of all.
	maxClientChildren = 16
	maxPeerChildren   = 256

	// rekeyIKECost is what rekeying the IKE SA costs of createsRate: a key exchange, and
	// an SA that lives on until its DELETE.
	rekeyIKECost = 8

	// largeMessage is the size beyond which a message counts for several: see costOf.
	largeMessage = 2 << 10

	// maxSelectors bounds the result of narrowing: the product of two lists
	// that a peer and an operator chose.
	maxSelectors = 64

	// maxAssigned bounds the addresses that a gateway gives us as its client.
	maxAssigned = 4

	// maxRestarts bounds how often an initiator begins IKE_SA_INIT anew because
	// of COOKIE or INVALID_KE_PAYLOAD, which nobody has authenticated.
	maxRestarts = 4

	// initPatience is after how many repeats of IKE_SA_INIT a refusal is believed,
	// which anybody may have sent.
	initPatience = 2

	// maxInitRepeats bounds how often one IKE_SA_INIT request is answered again: an
	// initiator that does not hear us repeats it some seven times, and whoever
	// forges its address gets no more out of us.
	maxInitRepeats = 16

	// maxAuthorities bounds those that CERTREQ names, 20 bytes each: a peer that has one
	// certificate sends it whatever is asked for.
	maxAuthorities = 32

	// maxAuthRounds bounds the requests of one IKE_AUTH after the first, on either
	// side: EAP methods take some ten.
	maxAuthRounds = 32

	// maxEAPTime bounds a conversation in EAP: people may have to look at a telephone.
	// maxEAPPacket bounds its packets to the peer, in bytes: methods fragment what is longer
	// than some 1,000.
	maxEAPTime   = 3 * time.Minute
	maxEAPPacket = 16 << 10

	// minNonce and maxNonce are the bounds of RFC 7296 section 3.9; nonceSize is
	// half of the longest PRF key that is offered (section 2.10).
	minNonce, maxNonce = 16, 256
	nonceSize          = 32

	// repeatPause is how often the last response is repeated to another address than
	// the peer's. Whoever has seen a request can send it again from any address; a
	// peer whose NAT has changed gets its answer nevertheless.
	repeatPause = time.Second

	// maxTasks bounds the exchanges that wait for their turn; each concerns a
	// different child, or the IKE SA itself.
	maxTasks = 2*maxChildren + 4

	// childlessTimeout ends a remote-access IKE SA that got no child: the
	// client was told why, and may try something else for so long.
	childlessTimeout = 30 * time.Second

	// rekeyRetry is the pause after a rekeying that the peer refused, jittered. It
	// doubles with every refusal, rekeyDoublings times; the number rekeyPatience of
	// TEMPORARY_FAILURE in a row is told.
	rekeyRetry     = 10 * time.Second
	rekeyDoublings = 5
	rekeyPatience  = 3

	// renewBefore is how long before the end of what a peer refuses to rekey another
	// IKE SA is connected in its place at the latest.
	renewBefore = 30 * time.Second

	// maxTurns is how often a peer may ask for another key exchange within one
	// attempt to rekey: after the first guess that there is none, and after a
	// wrong one.
	maxTurns = 2

	// maxEarlyDeletes bounds the SPIs that are remembered because their DELETE
	// came before the answer that would have named them.
	maxEarlyDeletes = 16

	// retireAfter is how long two SAs stand side by side of which one is too many.
	retireAfter = 2 * time.Second

	// replacedTimeout is how long a replaced SA waits for its DELETE.
	replacedTimeout = 30 * time.Second

	// contestTimeout is how long an SA of which it is not decided whether it is a
	// successor may stand: longer than any exchange.
	contestTimeout = 5 * time.Minute

	// maxSuites bounds the suites that SAs share: a context has few policies, and most
	// peers one each. What is beyond is not shared.
	maxSuites = 32

	// maxScratch bounds the memory for a message that is kept for the next one, in bytes.
	maxScratch = 4 << 10

	// maxPartials bounds what the messages of all SAs that are not complete take, in
	// bytes. The oldest gives way: fragments of an honest peer come in one burst.
	maxPartials = 4 << 20

	// ivSkip is how far the number of a restored outbound IV jumps ahead of the
	// last one on record; ivRekey is the number after which the SA is rekeyed,
	// and ivLast the last one after which an exchange begins. See window.go.
	ivSkip  = 1 << 16
	ivRekey = 1 << 31
	ivLast  = 1<<32 - 1 - 8*wire.MaxFragments

	// garbledLimit is how many messages of a peer fail the integrity check, none
	// having passed it, before that is told and the peer is asked whether it lives.
	// One may be a forgery, or late.
	garbledLimit = 3

	// activationSpread is the time over which the first liveness checks after
	// Activate are spread.
	activationSpread = 10 * time.Second
	// syncAfter is how long after a takeover message IDs are synchronised with a
	// peer that says nothing by itself: later than anybody's first repeat.
	syncAfter = 10 * time.Second
	// counterSkip is by how many sequence numbers a peer moves on after a
	// takeover, so that nothing which it had sent before is accepted again: more
	// than it sends within the time that a replicated window may be old. With
	// ESN a receiver follows up to 2^32 (RFC 4303 appendix A2.2).
	counterSkip    = 1 << 22
	maxCounterSkip = 1 << 31

	// maxReason bounds the text of a Reason that quotes what a peer sent.
	maxReason = 400
)

// What an authentic peer may have of us: see quota.
var (
	// createsRate is how many CREATE_CHILD_SA a peer may ask for: a burst is a site that
	// brings up all its networks at once. Whoever asks for more is told
	// TEMPORARY_FAILURE.
	createsRate = rate{1, maxChildren}

	// requestsRate is how many new requests of a peer are served, each fragment for itself:
	// a burst is the same site, which then deletes what it has replaced, and tells where
	// else it is.
	requestsRate = rate{20, 4 * maxChildren}

	// repeatsRate is how often an answer is sent again: a peer that has not got it asks
	// after some seconds, and again later and later.
	repeatsRate = rate{4, 16}
)

// The share of a lifetime after which its SA is rekeyed: the initiator of the
// IKE SA goes first, so that both ends seldom meet in the middle. jitter is
// subtracted at random, so that SAs of one moment do not come again in one.
const (
	softInitiator = 0.85
	softResponder = 0.95
	softJitter    = 0.05
)
