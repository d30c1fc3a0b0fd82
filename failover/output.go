package failover

import "time"

// Output is what the driver must do, in this order: Remember, begin to carry out
// Changes, Announce, begin Quiesce, Send, log Events. It waits for no worker: once
// the workers of a group that is active no longer are silent it calls Node.Muted,
// and until then the peer hears that the group is active here.
type Output struct {
	Remember []Remember
	Changes  []RoleChange
	// Announce are the groups, active here, whose addresses are to be announced
	// once more (gratuitous ARP, unsolicited NA): the peer may have announced
	// them as well while it could not be heard. A change to active includes it.
	Announce []string
	Quiesce  []Quiesce
	Send     []Datagram
	Events   []Event
}

// Remember is an epoch that must be found in GroupConfig.Epoch by the next life
// of this node, also after a loss of power: an epoch that was used twice would
// mean sequence numbers used twice. With Now it must be on disk before Changes
// are carried out, and where it cannot be written they are not: Node.Unwritten
// says so; without, it is written ahead of a takeover, in the
// background, and then Remembered is called, so that the takeover does not wait
// for a disk.
type Remember struct {
	Group string
	Epoch uint64
	Now   bool
}

// RoleChange is one transition of one group. From active to active means a new
// epoch: the workers go on serving, with the numbers of the new activation and a
// new stream. From active to another role means that the workers fall silent; when
// they have, or cannot be heard any more, Node.Muted is called.
type RoleChange struct {
	At       time.Time
	Group    string
	From, To Role
	Epoch    uint64 // of the activation that counts from now on
	Reason   string // a sentence for the operator
}

// Quiesce asks the driver to finish what the group's workers have begun: no new
// exchange is taken up, all records are acknowledged. Then the driver calls
// Quiesced. Traffic goes on meanwhile. Cancel: go on as before.
type Quiesce struct {
	Group  string
	Cancel bool
}

// Path is how a heartbeat travels: over a failover link, or over a data
// interface while all links are silent.
type Path struct {
	Link      int    // index into Config.Links; DataPath for a data interface
	Interface string // of a data path: the interface of the system
}

// DataPath is the Link of a Path over a data interface.
const DataPath = -1

// Datagram is a heartbeat to send to the peer.
type Datagram struct {
	Path    Path
	Payload []byte
}

// EventKind says what happened; its String is the constant message of the log.
type EventKind uint8

// The events.
const (
	EventRole                 EventKind = iota + 1 // Group, From, To, Epoch, Text
	EventPeerUp                                    // Text: its instance
	EventPeerDown                                  // Text: for how long nothing was heard, and where
	EventPeerRefused                               // Text: why; Path
	EventLinkUp                                    // Path
	EventLinkDown                                  // Path, Text
	EventLinksFailed                               // all links silent, but the peer answers over data interfaces
	EventSplitBrain                                // Group, Epoch, Text: who stays
	EventConfiguration                             // Group, Text: the configurations are the same
	EventConfigurationDiffers                      // Group, Text: what follows from it
	EventInterface                                 // Path, Text
	EventHandover                                  // Group, Text: steps of a switch
	EventTakeoverDenied                            // Group, Text
	EventSkew                                      // Text: by how much the clocks differ
)

// String returns the message of the log.
func (k EventKind) String() string {
	switch k {
	case EventRole:
		return "failover role changed"
	case EventPeerUp:
		return "failover peer heard"
	case EventPeerDown:
		return "failover peer silent"
	case EventPeerRefused:
		return "failover peer refused"
	case EventLinkUp:
		return "failover link up"
	case EventLinkDown:
		return "failover link down"
	case EventLinksFailed:
		return "failover links failed, peer answers on data interfaces"
	case EventSplitBrain:
		return "failover split brain resolved"
	case EventConfiguration:
		return "failover configurations are the same"
	case EventConfigurationDiffers:
		return "failover configurations differ"
	case EventInterface:
		return "failover interface changed"
	case EventHandover:
		return "failover hand-over"
	case EventTakeoverDenied:
		return "failover takeover denied"
	case EventSkew:
		return "failover clocks compared"
	}
	return "failover event"
}

// Event is something for the log.
type Event struct {
	At       time.Time
	Kind     EventKind
	Group    string
	From, To Role
	Epoch    uint64
	Path     Path
	Text     string
}
