package netns

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAudience: what is for the wire alone is heard there, and not by those who share the
// device with the tenant.
func TestAudience(t *testing.T) {
	h, g := dual(t)
	g.mu.Lock() // what the start has left to announce waits
	defer g.mu.Unlock()
	mac := g.links["inside"].mac
	inside(t, h.ns, "ip link add ear link wt-in type macvlan mode bridge && ip link set ear up")
	wire, ear := listenARP(t, h, "p-in"), listenARP(t, h, "ear")
	each := 0 // frames of one announcement
	for _, i := range g.tenant.Interfaces {
		for _, p := range i.Addresses {
			if i.Name == "inside" && p.Addr().Is4() {
				each++
			}
		}
	}
	for _, to := range []audience{theWire, theWire, everybody} {
		g.announceOnceLocked(to)
	}
	awaitFrames(t, wire, mac, 3*each)
	awaitFrames(t, ear, mac, each)
	if n := countFrames(t, ear, mac); n != 0 || each == 0 {
		t.Errorf("%d frames too many are heard by others on the same device, of %d for an announcement", n, each)
	}
}

// listenARP opens a socket that hears the ARP of a device of the host.
func listenARP(t *testing.T, h *Host, device string) (fd int) {
	t.Helper()
	err := h.ns.Do(func() error {
		i, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(etherARP), Ifindex: i.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// countFrames reads what has come from a MAC.
func countFrames(t *testing.T, fd int, from net.HardwareAddr) (n int) {
	t.Helper()
	var b [128]byte
	for {
		size, _, err := unix.Recvfrom(fd, b[:], 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return n
		case err != nil:
			t.Fatal(err)
		case size >= 14 && string(b[6:12]) == string(from):
			n++
		}
	}
}

// awaitFrames waits until so many have come.
func awaitFrames(t *testing.T, fd int, from net.HardwareAddr, want int) {
	t.Helper()
	n := 0
	for limit := time.Now().Add(patience); n < want; time.Sleep(time.Millisecond) {
		if n += countFrames(t, fd, from); time.Now().After(limit) {
			t.Fatalf("%d frames have come, want %d", n, want)
		}
	}
	if n > want {
		t.Errorf("%d frames have come, want %d", n, want)
	}
}
