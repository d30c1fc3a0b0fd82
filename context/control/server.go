package control

import "time"

// AAAServer is one server that knows users, and what has happened with it since the worker
// began, or the server's entry was changed.
type AAAServer struct {
	Context     string `json:"context"`
	ServerGroup string `json:"server_group"`
	Server      string `json:"server"` // address and port
	// State is "up", "dead", or "unknown": it has not been asked yet, or has not answered.
	State       string    `json:"state"`
	RetryAt     time.Time `json:"retry_at,omitzero"` // where it is dead: when it is asked again
	Answered    time.Time `json:"answered,omitzero"` // the last time
	Outstanding int       `json:"outstanding"`       // requests without an answer yet
	Waiting     int       `json:"waiting"`           // requests that are not sent yet

	Requests        uint64 `json:"requests"` // each once, however often it was sent
	Retransmissions uint64 `json:"retransmissions"`
	Accepts         uint64 `json:"accepts"`
	Rejects         uint64 `json:"rejects"`
	Challenges      uint64 `json:"challenges"`
	Timeouts        uint64 `json:"timeouts"`  // requests that it has not answered in their time
	Forged          uint64 `json:"forged"`    // answers that were made with another key
	Unsigned        uint64 `json:"unsigned"`  // answers without a Message-Authenticator
	Malformed       uint64 `json:"malformed"` // what is no answer
	Late            uint64 `json:"late"`      // answers that nobody waits for
	Busy            uint64 `json:"busy"`      // requests that were refused since too many waited
}

// The states of an AAAServer.
const (
	ServerUp      = "up"
	ServerDead    = "dead"
	ServerUnknown = "unknown"
)

// MaxServers bounds the rows of the answer to KindServers: 8 groups of 16.
const MaxServers = 128

// ParseServers reads the answer to KindServers.
func ParseServers(b []byte) ([]AAAServer, error) { return parseList[AAAServer](b, MaxServers, 0) }
