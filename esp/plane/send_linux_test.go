package plane

import (
	"bytes"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// localSocket returns a Conn on the loopback device.
func localSocket(t *testing.T, o *Options) (*socket, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSocket(&Socket{Kind: KindNATT, File: f}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestSendRefused: a kernel that refuses segmentation gets single datagrams,
// each of them, once and in order, and is not asked again; a datagram that it
// refuses by itself is lost alone.
func TestSendRefused(t *testing.T) {
	all := []byte{0, 1, 2, 3, 4, 5, 6, 7}
	for _, tt := range []struct {
		name   string
		errno  syscall.Errno
		single bool // the third datagram is refused by itself, too
		want   []byte
		loss   Loss
		gso    bool
	}{
		{"no checksum offload", syscall.EIO, false, all, Loss{}, false},
		{"no segmentation", syscall.EINVAL, false, all, Loss{}, false},
		{"too big", syscall.EMSGSIZE, true, []byte{0, 1, 3, 4, 5, 6, 7}, Loss{1, 100}, true},
		{"nothing refused", 0, false, all, Loss{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := localSocket(t, &Options{})
			if !s.gso.Load() {
				t.Fatal("this kernel has no segmentation offload")
			}
			r, to := localSocket(t, &Options{NoGRO: true})
			s.sendmmsg = func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
				for i := range hdrs {
					h := &hdrs[i].hdr
					whole := h.Controllen > 0
					if tt.errno != 0 && (whole || tt.single && *h.Iov.Base == 2) {
						if i > 0 {
							return sendmmsg(fd, hdrs[:i])
						}
						return 0, tt.errno
					}
				}
				return sendmmsg(fd, hdrs)
			}
			var data []byte
			for i := range 8 {
				data = append(data, bytes.Repeat([]byte{byte(i)}, 100)...)
			}
			ms := []Message{{Data: data[:500], Segment: 100, Remote: to, DF: true},
				{Data: data[500:], Segment: 100, Remote: to, DF: true}}
			loss, err := s.Send(ms)
			if err != nil || loss != tt.loss || s.gso.Load() != tt.gso {
				t.Errorf("lost %+v, %v, gso %v; want %+v, %v", loss, err, s.gso.Load(), tt.loss, tt.gso)
			}
			var got []byte
			buf := []Message{{Buf: make([]byte, 65536)}}
			for deadline := time.Now().Add(5 * time.Second); len(got) < len(tt.want) && time.Now().Before(deadline); {
				n, err := r.TryReceive(buf)
				if err != nil {
					t.Fatal(err)
				}
				if n > 0 && len(buf[0].Data) == 100 {
					got = append(got, buf[0].Data[0])
				}
			}
			if !bytes.Equal(got, tt.want) {
				t.Errorf("received %v, want %v", got, tt.want)
			}
		})
	}
}

// TestNoBatching: one system call moves one message.
func TestNoBatching(t *testing.T) {
	s, _ := localSocket(t, &Options{NoBatching: true, NoGSO: true})
	r, to := localSocket(t, &Options{NoBatching: true, NoGRO: true})
	most := 0
	s.sendmmsg = func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
		most = max(most, len(hdrs))
		return sendmmsg(fd, hdrs)
	}
	if _, err := s.Send([]Message{{Data: make([]byte, 300), Segment: 100, Remote: to, DF: true}}); err != nil {
		t.Fatal(err)
	}
	ms := make([]Message, 4)
	for i := range ms {
		ms[i].Buf = make([]byte, 65536)
	}
	for i := range 3 {
		if n, err := r.Receive(ms); n != 1 || err != nil || len(ms[0].Data) != 100 {
			t.Errorf("message %d: %d received with %d bytes, %v", i, n, len(ms[0].Data), err)
		}
	}
	if most != 1 {
		t.Errorf("%d messages in one call", most)
	}
}
