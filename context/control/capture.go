package control

import "time"

// CaptureDecrypted is what a Capture calls the inside of the SAs.
const CaptureDecrypted = "decrypted"

// MaxCaptures bounds the captures of one context at the same time.
const MaxCaptures = 4

// Capture asks for packets in the form of pcapng. It ends when one of its bounds
// is reached, or when nobody reads it any more.
type Capture struct {
	// Interface is one of the tenant's, by its name in the configuration, or
	// CaptureDecrypted: inner packets as the SAs carry them.
	Interface string        `json:"interface"`
	Count     uint64        `json:"count,omitempty"`    // packets; 0: no bound
	Duration  time.Duration `json:"duration,omitempty"` // 0: no bound
}
