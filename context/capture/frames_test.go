package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/tun"
)

// socketPair returns two ends that keep messages apart.
func socketPair(t *testing.T) (supervisor net.Conn, worker *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	files := [2]*os.File{os.NewFile(uintptr(fds[0]), "supervisor"), os.NewFile(uintptr(fds[1]), "worker")}
	supervisor, err = net.FileConn(files[0])
	if err != nil {
		t.Fatal(err)
	}
	files[0].Close()
	t.Cleanup(func() { supervisor.Close(); files[1].Close() })
	return supervisor, files[1]
}

// TestFrames: frames of an interface are shown as they are, a super-packet as the
// packets that it stands for, with a link header on each where there is one; what was
// lost on the way is counted.
func TestFrames(t *testing.T) {
	flow := esptest.NewFlow("10.0.0.1:1000", "10.0.0.2:2000")
	small, large := flow.UDP([]byte("hello")), flow.TCP(1, 0x10, nil, bytes.Repeat([]byte("x"), 2500))
	ether := []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00")
	// framed puts the link header between virtio_net_hdr and packet; offsets in the
	// former count from the beginning of the frame.
	framed := func(super, link []byte) []byte {
		b := append(bytes.Clone(super[:tun.HeaderLen]), link...)
		if b[0] != 0 || b[1] != 0 {
			start := b[6:] // csum_start
			binary.NativeEndian.PutUint16(start, binary.NativeEndian.Uint16(start)+uint16(len(link)))
		}
		return append(b, super[tun.HeaderLen:]...)
	}
	for _, tt := range []struct {
		name string
		link []byte
	}{{"ethernet", ether}, {"raw", nil}} {
		t.Run(tt.name, func(t *testing.T) {
			supervisor, worker := socketPair(t)
			f, err := NewFrames(worker, tt.link != nil)
			if err != nil {
				t.Fatal(err)
			}
			s := NewSet(func(control.Fact) {}, func(...plane.Tap) {})
			ours, theirs := net.Pipe()
			run, err := s.Prepare(control.Capture{Interface: "outside", Count: 5}, f, theirs)
			if err != nil {
				t.Fatal(err)
			}
			all := make(chan []byte)
			go func() {
				b, _ := io.ReadAll(ours)
				all <- b
			}()
			go func() {
				for i, frame := range [][]byte{
					framed(esptest.Plain(small), tt.link), nil, framed(esptest.Super(large, 1000), tt.link),
					framed(esptest.Plain(small), tt.link),
				} {
					head := control.Frame{Outgoing: i%2 == 0, Nanos: int64(i), Dropped: uint64(min(i, 1) * 7)}
					if _, err := supervisor.Write(append(head.Append(nil), frame...)); err != nil {
						t.Error(err)
					}
				}
			}()
			run(t.Context())
			got, dropped := packets(t, <-all)
			if len(got) != 5 || dropped != 7 {
				t.Fatalf("%d packets, %d dropped, want 5 and 7", len(got), dropped)
			}
			for _, i := range []int{0, 4} {
				if want := append(bytes.Clone(tt.link), small...); !bytes.Equal(got[i], want) {
					t.Errorf("packet %d: %x, want %x", i, got[i], want)
				}
			}
			inner := 0
			for _, b := range got[1:4] {
				if !bytes.HasPrefix(b, tt.link) {
					t.Errorf("no link header on %x", b[:20])
				}
				inner += len(b) - len(tt.link) - 40
			}
			if inner != 2500 {
				t.Errorf("%d bytes of TCP in three packets, want 2500", inner)
			}
		})
	}
}
