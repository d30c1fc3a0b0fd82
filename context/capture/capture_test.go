package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pcapng"
	"github.com/warrenvpn/warren/esp/plane"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a capture whose reader is the test.
type running struct {
	conn net.Conn
	done chan struct{} // closed when it has ended
}

func start(t *testing.T, s *Set, which control.Capture) *running {
	t.Helper()
	ours, theirs := net.Pipe()
	run, err := s.Prepare(which, nil, theirs)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{ours, make(chan struct{})}
	go func() {
		defer close(r.done)
		run(context.Background())
	}()
	return r
}

// packets reads a whole capture.
func packets(t *testing.T, b []byte) (data [][]byte, dropped uint64) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			i, err := r.Interface(0)
			if err != nil || i.Statistics.PacketsReceived != uint64(len(data))+i.Statistics.PacketsDropped {
				t.Errorf("statistics %+v for %d packets, %v", i.Statistics, len(data), err)
			}
			return data, i.Statistics.PacketsDropped
		}
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, p)
	}
}

// TestCaptureEnds: by its count, by time, by its reader. What has ended is no tap
// of the data plane any more, and makes room for another one.
func TestCaptureEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var taps []plane.Tap
		s := NewSet(func(control.Fact) {}, func(list ...plane.Tap) { taps = list })
		decrypted := control.Capture{Interface: control.CaptureDecrypted}

		which := decrypted
		which.Count = 3
		r := start(t, s, which)
		for range 4 {
			taps[0].Packet(true, 0xfeedbeef, []byte{0x45})
		}
		b, _ := io.ReadAll(r.conn)
		if got, dropped := packets(t, b); len(got) != 3 || dropped != 0 {
			t.Errorf("%d packets, %d dropped, want 3 of 4", len(got), dropped)
		}
		<-r.done

		began := time.Now()
		which = decrypted
		which.Duration = 3 * time.Second
		r = start(t, s, which)
		b, _ = io.ReadAll(r.conn)
		if got, _ := packets(t, b); len(got) != 0 || time.Since(began) != 3*time.Second {
			t.Errorf("%d packets after %v", len(got), time.Since(began))
		}
		<-r.done

		r = start(t, s, decrypted)
		io.ReadFull(r.conn, make([]byte, 28))
		r.conn.Close()
		<-r.done

		var list []*running
		for range control.MaxCaptures {
			list = append(list, start(t, s, decrypted))
		}
		if len(taps) != control.MaxCaptures {
			t.Errorf("%d taps for %d captures", len(taps), control.MaxCaptures)
		}
		ours, theirs := net.Pipe()
		if _, err := s.Prepare(decrypted, nil, theirs); !errors.Is(err, ErrTooMany) {
			t.Errorf("one more: %v", err)
		}
		ours.Close()
		theirs.Close()
		for _, r := range list {
			r.conn.Close()
			<-r.done
		}
		if len(taps) != 0 || s.running != 0 {
			t.Errorf("left behind: %d taps, %d captures", len(taps), s.running)
		}
	})
}

// TestPrepareChecksFrames: a capture of an interface needs frames, and one of what
// is inside the tunnels has none.
func TestPrepareChecksFrames(t *testing.T) {
	s := NewSet(func(control.Fact) {}, func(...plane.Tap) {})
	for _, tt := range []struct {
		iface  string
		frames *Frames
	}{{"outside", nil}, {control.CaptureDecrypted, &Frames{}}} {
		if run, err := s.Prepare(control.Capture{Interface: tt.iface}, tt.frames, nil); err == nil || run != nil ||
			s.running != 0 {
			t.Errorf("%s: prepared, error %v, %d running", tt.iface, err, s.running)
		}
	}
}

// TestSlowReader: what a reader does not take in time is dropped and counted,
// and the pipelines go on.
func TestSlowReader(t *testing.T) {
	c := newCapture(0)
	data := make([]byte, 1400)
	if n := testing.AllocsPerRun(5000, func() { c.Packet(true, 0xfeedbeef, data) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
	first, last := c.take()
	if c.dropped == 0 || c.kept < 500 || last || len(first) > bufferSize {
		t.Fatalf("%d kept, %d dropped, %d bytes", c.kept, c.dropped, len(first))
	}
	for range 5000 {
		c.Packet(false, 1, data)
	}
	second, _ := c.take()
	all := append(pcapng.AppendHeader(nil, pcapng.LinkRaw, "decrypted", "test"), first...)
	all = append(all, second...)
	all = pcapng.AppendStatistics(all, 0, c.kept+c.dropped, c.dropped)
	if got, dropped := packets(t, all); uint64(len(got)) != c.kept || dropped != c.dropped ||
		c.kept+c.dropped != 10001 {
		t.Errorf("%d packets and %d dropped; counted %s", len(got), dropped, fmt.Sprint(c.kept, c.dropped))
	}
}
