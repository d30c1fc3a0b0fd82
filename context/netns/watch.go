package netns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/dirwatch"
)

// change is what has changed in a namespace, as far as a watch tells it.
type change uint8

const (
	// linkChange is one of a device, whoever has made it.
	linkChange change = 1 << iota
	// lossChange is one of a device that is down now, has no carrier, or is gone: the kernel
	// takes routes and proxy entries with it, and tells nobody of those.
	lossChange
	// netChange is one of addresses, routes or rules that somebody else has made.
	netChange
	// settingChange is one of what a device does with packets (forwarding, proxies).
	settingChange

	anyChange = linkChange | lossChange | netChange | settingChange
)

// Groups of rtnetlink(7), as bits.
const (
	linkGroups = unix.RTMGRP_LINK
	allGroups  = linkGroups | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE |
		unix.RTMGRP_IPV6_ROUTE | unix.RTMGRP_IPV4_RULE | 1<<(unix.RTNLGRP_IPV6_RULE-1) |
		1<<(unix.RTNLGRP_IPV4_NETCONF-1) | 1<<(unix.RTNLGRP_IPV6_NETCONF-1)
)

// eventGap is the rest between two looks at what the kernel has told: whoever makes
// changes without end costs a hundred looks a second and no more.
const eventGap = 10 * time.Millisecond

// watch is a socket that the kernel tells of changes in a namespace, and the goroutine
// that reads it.
type watch struct {
	told   chan change // changes that come meanwhile are told together; closed when the watch has failed
	file   *os.File
	raw    syscall.RawConn
	own    uint32 // the port of our own requests there, beside requestPort
	idle   int32  // the device that never has a carrier; 0: none
	ended  chan struct{}
	reader sync.WaitGroup

	reading sync.Mutex // held while messages are read; protects unseen
	unseen  change     // what was told since forget
	lost    bool       // silent has heard in place of read that messages were lost
}

// silent reports whether nothing was told since forget, and nothing waits to be read:
// the kernel has told of a change before whoever has made it goes on.
func (w *watch) silent() bool {
	w.reading.Lock()
	defer w.reading.Unlock()
	if w.unseen != 0 {
		return false
	}
	waits := true
	err := w.raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		waits = !errors.Is(err, unix.EAGAIN)
		w.lost = w.lost || errors.Is(err, unix.ENOBUFS) // which is said once
	})
	return err == nil && !waits
}

// forget says that what was told of these is looked at now.
func (w *watch) forget(changes change) {
	w.reading.Lock()
	defer w.reading.Unlock()
	w.unseen &^= changes
}

// watch begins a watch over the groups. It must be closed. idle is the index of the device
// there that never has a carrier; 0: there is none.
func (n *Namespace) watch(groups uint32, idle int) (*watch, error) {
	file, err := n.openEvents(groups)
	if err != nil {
		return nil, fmt.Errorf("netns: watching %s: %w", n.name, err)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("netns: watching %s: %w", n.name, err)
	}
	// netlink(7): the first socket of a process in a namespace, which is that of the
	// handle, has the number of the process as its port.
	w := &watch{told: make(chan change), file: file, raw: raw, own: uint32(os.Getpid()), idle: int32(idle),
		ended: make(chan struct{})}
	w.reader.Go(w.read)
	return w, nil
}

// close ends the watch and waits for its goroutine.
func (w *watch) close() {
	close(w.ended)
	w.file.Close()
	w.reader.Wait()
}

// errWatchEnded is the error of a watch that the kernel has ended.
var errWatchEnded = errors.New("netns: the kernel has ended the watch over a namespace")

// openEvents opens the socket. There is one for every tenant, so it is not the
// library's, which holds 64 KiB for each.
func (n *Namespace) openEvents(groups uint32) (*os.File, error) {
	fd := -1
	err := n.within(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	})
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, err
	}
	return os.NewFile(uintptr(fd), "events"), nil
}

// read passes on what has changed until the socket is closed. Who is told looks for
// himself, so nothing is kept of a message but its kind.
func (w *watch) read() {
	defer close(w.told)
	gap := time.NewTimer(0)
	defer gap.Stop()
	for {
		seen, err := w.next()
		if err != nil {
			return
		}
		select {
		case w.told <- seen:
		case <-w.ended:
			return
		}
		gap.Reset(eventGap)
		select {
		case <-gap.C:
		case <-w.ended:
			return
		}
	}
}

// maxEvents bounds the messages that are read before what they say is passed on.
const maxEvents = 4096

// readOfMessage is how much of a message is read, in bytes: as much as kind looks at. The rest
// is dropped.
const readOfMessage = unix.SizeofNlMsghdr + unix.SizeofRtMsg

// next waits for changes that concern us and returns their kinds.
func (w *watch) next() (seen change, err error) {
	b := make([]byte, readOfMessage)
	waited := w.raw.Read(func(fd uintptr) bool {
		w.reading.Lock()
		if w.lost {
			seen, w.lost = anyChange, false
		}
		defer func() {
			w.unseen |= seen
			w.reading.Unlock()
		}()
		for range maxEvents {
			n, readErr := unix.Read(int(fd), b)
			switch {
			case readErr == nil:
				seen |= w.kind(b[:n])
			case errors.Is(readErr, unix.EAGAIN):
				return seen != 0
			case errors.Is(readErr, unix.ENOBUFS): // some were lost: anything may have changed
				seen |= anyChange
			case !errors.Is(readErr, unix.EINTR):
				err = readErr
				return true
			}
		}
		return true
	})
	return seen, errors.Join(err, waited)
}

// kind tells what a message is about by its headers; 0: nothing to look at. Messages
// about what we have asked for ourselves carry the port of our requests, but those
// about devices, which others wait for. With every address the kernel itself, whose port
// is 0, makes routes and takes them away, and with a device that comes up a link-local
// address.
func (w *watch) kind(headers []byte) change {
	if len(headers) < unix.SizeofNlMsghdr {
		return 0
	}
	port := binary.NativeEndian.Uint32(headers[12:])
	switch typ := binary.NativeEndian.Uint16(headers[4:]); {
	case typ == unix.RTM_NEWLINK || typ == unix.RTM_DELLINK:
		if typ == unix.RTM_NEWLINK && w.carries(headers[unix.SizeofNlMsghdr:]) {
			return linkChange
		}
		return linkChange | lossChange
	case port == w.own, port == requestPort:
		return 0
	case port == 0 && typ == unix.RTM_NEWADDR:
		return 0
	case port == 0 && (typ == unix.RTM_NEWROUTE || typ == unix.RTM_DELROUTE):
		const protocol = unix.SizeofNlMsghdr + 5 // of struct rtmsg
		if len(headers) > protocol && headers[protocol] == unix.RTPROT_KERNEL {
			return 0
		}
	case typ == unix.RTM_NEWNETCONF || typ == unix.RTM_DELNETCONF:
		return settingChange
	}
	return netChange
}

// carries reports whether a struct ifinfomsg is of a device that is up and has a carrier.
func (w *watch) carries(info []byte) bool {
	const index, flags = 4, 8
	if len(info) < flags+4 {
		return false
	}
	want := uint32(unix.IFF_UP | unix.IFF_LOWER_UP)
	if int32(binary.NativeEndian.Uint32(info[index:])) == w.idle {
		want = unix.IFF_UP
	}
	return binary.NativeEndian.Uint32(info[flags:])&want == want
}

// WatchLinks calls changed at once and after every change of a device of the host's
// namespace, until ctx ends.
func (h *Host) WatchLinks(ctx context.Context, changed func()) error {
	w, err := h.ns.watch(linkGroups, 0)
	if err != nil {
		return err
	}
	defer w.close()
	changed() // what happened before is known from now on
	for {
		select {
		case _, ok := <-w.told:
			if !ok {
				return errWatchEnded
			}
			changed()
		case <-ctx.Done():
			return nil
		}
	}
}

// WatchNames calls removed with every name that goes from where named namespaces are,
// until ctx ends; "" stands for any. The error tells that the watch has failed, and is
// to be begun again.
func (h *Host) WatchNames(ctx context.Context, removed func(name string)) error {
	var w *dirwatch.Watch
	err := whereNamesAre(func() (err error) {
		w, err = dirwatch.New(namedDir)
		return err
	})
	if err != nil {
		return fmt.Errorf("netns: watching names of namespaces: %w", err)
	}
	defer w.Close()
	return w.Run(ctx, removed)
}
