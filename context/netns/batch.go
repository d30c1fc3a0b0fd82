package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// batch is a list of requests of rtnetlink(7) that change one namespace. Namespace.run sends
// many of them at once, and the kernel takes them one by one, in their order, whatever has
// become of those before. The library sends each by itself, with three system calls and 64 KiB
// of stack that it clears: for what a new namespace needs that is a tenth of its price.
type batch struct {
	text []byte
	ends []int // of each request in text
}

// Bounds of what is sent at once. The kernel copies it, and keeps an answer to each request
// that it refuses until it is read.
const (
	batchBytes    = 32 << 10
	batchRequests = 100
)

// requestPort is the port of sockets that requests are sent from, one at a time in each
// namespace. The kernel itself gives a socket the number of its process, which is smaller, or
// one above 2^31. A watch knows by it what we have asked for ourselves.
const requestPort = 0x57000001

// Attributes of rtnetlink(7), and what they lead to, of <linux/fib_rules.h>.
const (
	fraDestination = 1
	fraSource      = 2
	fraInterface   = 3
	fraGoto        = 4
	fraPriority    = 6
	fraMark        = 10
	fraTable       = 15

	actionTable       = 1
	actionGoto        = 2
	actionUnreachable = 7
)

// begin begins a request of a type; end ends it.
func (b *batch) begin(typ, flags uint16) {
	b.text = append(b.text, 0, 0, 0, 0) // its length, which end knows
	b.text = binary.NativeEndian.AppendUint16(b.text, typ)
	b.text = binary.NativeEndian.AppendUint16(b.text, unix.NLM_F_REQUEST|flags)
	b.text = binary.NativeEndian.AppendUint32(b.text, uint32(len(b.ends)))
	b.text = append(b.text, 0, 0, 0, 0) // to the kernel
}

func (b *batch) end() {
	start := b.start(len(b.ends))
	binary.NativeEndian.PutUint32(b.text[start:], uint32(len(b.text)-start))
	b.ends = append(b.ends, len(b.text))
}

// start is where the request of an index begins: every part of one is a multiple of four bytes.
func (b *batch) start(i int) int {
	if i == 0 {
		return 0
	}
	return b.ends[i-1]
}

// attribute appends one of no more than a few bytes.
func (b *batch) attribute(typ uint16, value ...byte) {
	b.text = binary.NativeEndian.AppendUint16(b.text, uint16(unix.SizeofRtAttr+len(value)))
	b.text = binary.NativeEndian.AppendUint16(b.text, typ)
	b.text = append(b.text, value...)
	for len(b.text)%unix.RTA_ALIGNTO != 0 {
		b.text = append(b.text, 0)
	}
}

func (b *batch) number(typ uint16, n int) {
	b.attribute(typ, binary.NativeEndian.AppendUint32(nil, uint32(n))...)
}

// addRoute adds a route, in the place of another one of its place.
func (b *batch) addRoute(r route) {
	b.route(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, r)
}

// deleteRoute removes a route.
func (b *batch) deleteRoute(r route) { b.route(unix.RTM_DELROUTE, 0, r) }

func (b *batch) route(typ, flags uint16, r route) {
	b.begin(typ, flags)
	scope := byte(unix.RT_SCOPE_UNIVERSE)
	if !r.gateway.IsValid() && r.destination.Addr().Is4() {
		scope = unix.RT_SCOPE_LINK
	}
	b.text = append(b.text, byte(familyOf(r.destination)), byte(r.destination.Bits()), 0, 0,
		unix.RT_TABLE_UNSPEC, routeProtocol, scope, unix.RTN_UNICAST, 0, 0, 0, 0)
	b.number(unix.RTA_TABLE, r.table)
	b.attribute(unix.RTA_DST, r.destination.Addr().AsSlice()...)
	if r.gateway.IsValid() {
		b.attribute(unix.RTA_GATEWAY, r.gateway.AsSlice()...)
	}
	if r.source.IsValid() {
		b.attribute(unix.RTA_PREFSRC, r.source.AsSlice()...)
	}
	b.number(unix.RTA_OIF, r.index)
	b.number(unix.RTA_PRIORITY, r.metric)
	b.end()
}

// setUp sets a device up.
func (b *batch) setUp(index int) {
	b.device(index, unix.IFF_UP)
	b.end()
}

// quiet has a device make no link-local address for itself. (The file for that below
// /proc/sys takes the lock of all networks even where it is read: see settings.)
func (b *batch) quiet(index int) {
	const addressMode, none = 8, 1 // IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE of <linux/if_link.h>
	b.device(index, 0)
	b.attribute(unix.IFLA_AF_SPEC, nested(unix.AF_INET6, nested(addressMode, []byte{none}))...)
	b.end()
}

// device begins a change of a device; flags are those that it is to have.
func (b *batch) device(index int, flags uint32) {
	b.begin(unix.RTM_NEWLINK, 0)
	b.text = append(b.text, unix.AF_UNSPEC, 0, 0, 0)
	for _, n := range []uint32{uint32(index), flags, flags} { // the last one says which of them count
		b.text = binary.NativeEndian.AppendUint32(b.text, n)
	}
}

// nested is an attribute in another one.
func nested(typ uint16, value []byte) []byte {
	var b batch
	b.attribute(typ, value...)
	return b.text
}

// addRule adds a rule that is not there; EEXIST is the error of one that is.
func (b *batch) addRule(r rule) { b.rule(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r) }

// deleteRule removes a rule; ENOENT is the error of one that is not there.
func (b *batch) deleteRule(r rule) { b.rule(unix.RTM_DELRULE, 0, r) }

func (b *batch) rule(typ, flags uint16, r rule) {
	b.begin(typ, flags)
	action := byte(actionTable)
	if r.next != 0 {
		action = actionGoto
	} else if r.table == 0 {
		action = actionUnreachable
	}
	b.text = append(b.text, byte(r.family), bitsOf(r.to), bitsOf(r.from), 0, unix.RT_TABLE_UNSPEC, 0, 0, action,
		0, 0, 0, 0)
	b.number(fraPriority, r.priority)
	if r.to.IsValid() {
		b.attribute(fraDestination, r.to.Addr().AsSlice()...)
	}
	if r.from.IsValid() {
		b.attribute(fraSource, r.from.Addr().AsSlice()...)
	}
	if r.iif != "" {
		b.attribute(fraInterface, append([]byte(r.iif), 0)...)
	}
	if r.mark != 0 {
		b.number(fraMark, int(r.mark))
	}
	if r.next != 0 {
		b.number(fraGoto, r.next)
	} else if r.table != 0 {
		b.number(fraTable, r.table)
	}
	b.end()
}

// bitsOf is the length of a prefix; 0 where there is none.
func bitsOf(p netip.Prefix) byte { return byte(max(p.Bits(), 0)) }

// run sends the requests and returns what has become of each, by its index: nil, or the
// kernel's errno. Who runs one has the namespace for itself: it is one at a time.
func (n *Namespace) run(b *batch) []error {
	errs := make([]error, len(b.ends))
	if len(errs) == 0 {
		return errs
	}
	done := 0
	err := n.within(func() error {
		fd, err := openRequests()
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for done < len(errs) {
			last := b.chunk(done)
			if err := b.exchange(fd, done, last, errs); err != nil {
				return err
			}
			done = last
		}
		return nil
	})
	for i := done; err != nil && i < len(errs); i++ {
		errs[i] = err
	}
	return errs
}

// openRequests opens a socket for requests in the namespace of the calling thread.
func openRequests() (int, error) {
	const typ = unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, typ, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("opening netlink: %w", err)
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: requestPort}))
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("opening netlink: %w", err)
	}
	return fd, nil
}

// chunk is the end of what may be sent at once of the requests from first on.
func (b *batch) chunk(first int) int {
	most := b.start(first) + batchBytes
	last := first + 1
	for last < len(b.ends) && last-first < batchRequests && b.ends[last] <= most {
		last++
	}
	return last
}

// exchange sends the requests from first to before last, and notes what the kernel says of
// each. It has taken them all when the system call returns: the last one is answered anyway.
func (b *batch) exchange(fd, first, last int, errs []error) error {
	const flags = 6 // in a header
	end := b.text[b.start(last-1)+flags:]
	binary.NativeEndian.PutUint16(end, binary.NativeEndian.Uint16(end)|unix.NLM_F_ACK)
	text := b.text[b.start(first):b.ends[last-1]]
	if err := unix.Sendto(fd, text, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("asking the kernel: %w", err)
	}
	var answer [unix.SizeofNlMsghdr + unix.SizeofNlMsgerr]byte
	for {
		n, _, err := unix.Recvfrom(fd, answer[:], 0)
		if err != nil {
			return fmt.Errorf("reading what the kernel says: %w", err)
		}
		i, refused := parseAnswer(answer[:n])
		if i < first || i >= last {
			return errors.New("the kernel answers what was not asked")
		}
		if errs[i] = refused; i == last-1 {
			return nil
		}
	}
}

// parseAnswer returns which request is answered, and how; -1: none is.
func parseAnswer(b []byte) (i int, refused error) {
	if len(b) < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return -1, nil
	}
	if errno := int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])); errno != 0 {
		refused = unix.Errno(-errno)
	}
	return int(int32(binary.NativeEndian.Uint32(b[8:]))), refused
}
