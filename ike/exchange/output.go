package exchange

// Output is what the caller must do, in this order: make Changes durable
// (journalled, and acknowledged by the standby when there is one) and install
// the child SAs in them, then Send, then publish Events. The slices are
// appended to; the caller empties the Output between calls.
type Output struct {
	Changes []Record
	Send    []Datagram
	Events  []Event
}
