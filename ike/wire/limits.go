package wire

// The bounds of what is accepted. They are far above what any peer sends and
// keep the memory and time of a hostile message proportional to its length.
const (
	// MaxMessage is the largest message: more does not fit into a UDP datagram.
	MaxMessage = 65535
	// MaxPayloads bounds one chain; a legitimate one has about twenty, most of
	// them notifications, vendor IDs and certificates.
	MaxPayloads = 128
	// MaxProposals bounds an SA payload; Windows offers some twenty.
	MaxProposals = 64
	// MaxTransforms bounds one proposal. strongSwan's default has about forty.
	MaxTransforms = 128
	// MaxSelectors bounds a TS payload; the field itself allows 255.
	MaxSelectors = 255
	// MaxAttributes bounds a CP payload; a split network takes one each.
	MaxAttributes = 256
	// MaxDeletes bounds the SPIs of one D payload.
	MaxDeletes = 1024
	// MinNonce and MaxNonce are the bounds of RFC 7296 section 3.9.
	MinNonce = 16
	MaxNonce = 256
	// MaxFragments bounds the total of RFC 7383 section 2.5: the largest message in
	// fragments of 256 bytes. What they hold is bounded by who keeps them.
	MaxFragments = 256
)
