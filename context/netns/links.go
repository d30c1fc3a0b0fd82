package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// link is what there is to know of a device of a tenant, as a rule. Links are comparable.
type link struct {
	index, mtu int
	flags      uint32
	name, mac  string // the MAC as bytes
}

// up reports whether the device is up, running whether it has a carrier, too.
func (l link) up() bool { return l.flags&unix.IFF_UP != 0 }
func (l link) running() bool {
	return l.flags&(unix.IFF_UP|unix.IFF_LOWER_UP) == unix.IFF_UP|unix.IFF_LOWER_UP
}

// linkOf returns the device of an index among those of list.
func linkOf(list []link, index int) (l link, exists bool) {
	i := slices.IndexFunc(list, func(l link) bool { return l.index == index })
	if i < 0 {
		return l, false
	}
	return list[i], true
}

// answers are buffers for what the kernel says in one message, which are 32 KiB at most.
var answers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// links lists the devices of the namespace. The library would have the kernel add counters
// and settings of each, and clear 64 KiB of stack for every message.
func (n *Namespace) links() ([]link, error) {
	list, err := n.askLinks()
	if err != nil {
		return nil, fmt.Errorf("netns: listing devices: %w", err)
	}
	return list, nil
}

func (n *Namespace) askLinks() ([]link, error) {
	fd := -1
	err := n.within(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var b batch
	b.begin(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	b.text = append(b.text, make([]byte, unix.SizeofIfInfomsg)...)
	const skipStatistics = 1 << 3 // RTEXT_FILTER_SKIP_STATS of <linux/rtnetlink.h>
	b.number(unix.IFLA_EXT_MASK, skipStatistics)
	b.end()
	if err := unix.Sendto(fd, b.text, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	answer := answers.Get().(*[32 << 10]byte)
	defer answers.Put(answer)
	var list []link
	for {
		size, _, err := unix.Recvfrom(fd, answer[:], unix.MSG_TRUNC)
		if err != nil {
			return nil, err
		}
		if size > len(answer) {
			return nil, errors.New("a message is longer than any should be")
		}
		var more bool
		if list, more, err = appendLinks(list, answer[:size]); err != nil || !more {
			return list, err
		}
	}
}

// appendLinks appends the devices of a part of a list, and tells whether there are more parts.
func appendLinks(list []link, b []byte) (_ []link, more bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return nil, false, errors.New("a message is cut short")
		}
		body := b[unix.SizeofNlMsghdr:size]
		switch binary.NativeEndian.Uint16(b[4:]) {
		case unix.NLMSG_DONE:
			return list, false, nil
		case unix.NLMSG_ERROR:
			_, err := parseAnswer(b[:size])
			return nil, false, errors.Join(err, errors.New("the kernel refuses"))
		case unix.RTM_NEWLINK:
			if len(body) < unix.SizeofIfInfomsg {
				return nil, false, errors.New("a message is cut short")
			}
			list = append(list, parseLink(body))
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return list, true, nil
}

// parseLink reads a struct ifinfomsg and the attributes behind it.
func parseLink(b []byte) link {
	l := link{index: int(int32(binary.NativeEndian.Uint32(b[4:]))), flags: binary.NativeEndian.Uint32(b[8:])}
	for b = b[unix.SizeofIfInfomsg:]; len(b) >= unix.SizeofRtAttr; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			break
		}
		value := b[unix.SizeofRtAttr:size]
		switch binary.NativeEndian.Uint16(b[2:]) {
		case unix.IFLA_IFNAME:
			l.name = unix.ByteSliceToString(value)
		case unix.IFLA_ADDRESS:
			l.mac = string(value)
		case unix.IFLA_MTU:
			if len(value) >= 4 {
				l.mtu = int(binary.NativeEndian.Uint32(value))
			}
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return l
}
