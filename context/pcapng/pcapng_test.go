package pcapng

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"
)

var at = time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC)

// capture is one with three packets.
func capture() []byte {
	b := AppendHeader(nil, LinkRaw, "decrypted", "warren test")
	b = AppendPacket(b, at.UnixNano(), Inbound, []byte("spi 0xc0decafe"), nil, []byte{0x45, 1, 2})
	b = AppendPacket(b, at.UnixNano(), Outbound, nil, []byte{0x45}, []byte{7})
	b = AppendPacket(b, at.UnixNano(), Unknown, []byte("x"), nil, bytes.Repeat([]byte{9}, 65000))
	return AppendStatistics(b, at.UnixNano(), 5, 2)
}

// TestForeignReader has another implementation read it.
func TestForeignReader(t *testing.T) {
	r, err := pcapgo.NewNgReader(bytes.NewReader(capture()), pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.SectionInfo().Application; got != "warren test" {
		t.Errorf("application %q", got)
	}
	i, err := r.Interface(0)
	if err != nil || i.Name != "decrypted" || uint16(i.LinkType) != uint16(LinkRaw) {
		t.Errorf("interface %+v, %v", i, err)
	}
	for _, want := range [][]byte{{0x45, 1, 2}, {0x45, 7}, bytes.Repeat([]byte{9}, 65000)} {
		got, info, err := r.ReadPacketData()
		if err != nil || !bytes.Equal(got, want) || !info.Timestamp.Equal(at) {
			t.Fatalf("packet of %d bytes at %v, %v; want %d at %v", len(got), info.Timestamp, err, len(want), at)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the last packet: %v", err)
	}
	i, err = r.Interface(0)
	if err != nil || i.Statistics.PacketsReceived != 5 || i.Statistics.PacketsDropped != 2 {
		t.Errorf("statistics %+v, %v", i.Statistics, err)
	}
}

// TestGolden pins the bytes of a packet block.
func TestGolden(t *testing.T) {
	got := AppendPacket(nil, 0x1_0000_0002, Outbound, []byte("ab"), nil, []byte{0x60})
	want := []byte{
		6, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x60, 0, 0, 0,
		2, 0, 4, 0, 2, 0, 0, 0, 1, 0, 2, 0, 'a', 'b', 0, 0, 0, 0, 0, 0, 60, 0, 0, 0,
	}
	want[4], want[52] = byte(len(want)), byte(len(want))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOverhead(t *testing.T) {
	for n := range 9 {
		if got := len(AppendPacket(nil, 0, Inbound, make([]byte, 64), make([]byte, n), nil)); got > n+Overhead {
			t.Errorf("%d bytes become %d, more than %d on top", n, got, Overhead)
		}
	}
}

func TestCounter(t *testing.T) {
	whole := capture()
	for _, piece := range []int{1, 3, 7, 4096, len(whole)} {
		var c Counter
		for b := whole; len(b) > 0; {
			n := min(piece, len(b))
			if _, err := c.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		if c.Packets != 3 || c.Dropped != 2 || !c.Ended {
			t.Errorf("in pieces of %d: %d packets, %d dropped, ended %v", piece, c.Packets, c.Dropped, c.Ended)
		}
	}
	for n := 0; n < len(whole)-4; n += 1 + n/50 { // the very last word says nothing new
		var c Counter
		if _, err := c.Write(whole[:n]); err != nil || c.Ended && n < len(whole)-20 {
			t.Fatalf("the first %d bytes: %v, ended %v", n, err, c.Ended)
		}
	}
	for _, bad := range [][]byte{
		{6, 0, 0, 0, 8, 0, 0, 0}, {6, 0, 0, 0, 13, 0, 0, 0}, {6, 0, 0, 0, 0, 0, 0, 0xff}, {5, 0, 0, 0, 12, 0, 0, 0},
		{9, 0, 0, 0, 12, 0, 0, 0},
	} {
		var c Counter
		if _, err := c.Write(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func FuzzCounter(f *testing.F) {
	f.Add(capture(), 5)
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		var c, whole Counter
		_, want := whole.Write(b)
		var err error
		for piece = max(1, min(piece, 1<<16)); len(b) > 0 && err == nil; {
			n := min(piece, len(b))
			_, err = c.Write(b[:n])
			b = b[n:]
		}
		if (err == nil) != (want == nil) || c.Packets != whole.Packets || c.Dropped != whole.Dropped {
			t.Errorf("in pieces: %v, %d packets; whole: %v, %d packets", err, c.Packets, want, whole.Packets)
		}
		if len(c.keep) > statisticsHead {
			t.Errorf("%d bytes are kept", len(c.keep))
		}
	})
}

func TestAllocs(t *testing.T) {
	b := make([]byte, 0, 4096)
	data := make([]byte, 1400)
	if n := testing.AllocsPerRun(100,
		func() { b = AppendPacket(b[:0], 1, Inbound, []byte("spi"), nil, data) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
