package worker

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

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pcapng"
	"github.com/warrenvpn/warren/esp/esptest"
)

// running is a capture whose reader is the test.
type running struct {
	conn net.Conn
	done chan struct{} // closed when it has ended
}

func (h *host) capture(which control.Capture) *running {
	h.t.Helper()
	ours, theirs := net.Pipe()
	run, err := h.worker.beginCapture(which, nil, theirs)
	if err != nil {
		h.t.Fatal(err)
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

// tunnelled starts a gateway and a client, and returns the client's address.
func tunnelled(t *testing.T) (gateway, client *host, inner string) {
	net := esptest.NewNet()
	gateway = newHost(t, net, gatewayTenant(4), gatewayAddr)
	client = newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
	gateway.start()
	client.start()
	time.Sleep(time.Second)
	return gateway, client, client.assigned()
}

func TestCaptureDecrypted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gateway, client, inner := tunnelled(t)
		defer client.stop()
		defer gateway.stop()
		r := gateway.capture(control.Capture{Interface: control.CaptureDecrypted, Count: 3})
		all := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(r.conn)
			all <- b
		}()
		for range 2 {
			if !ping(client, gateway, inner) {
				t.Fatal("no traffic")
			}
		}
		b := <-all // three of four packets
		<-r.done
		got, dropped := packets(t, b)
		flow := esptest.NewFlow(inner+":1000", insideAddr+":2000")
		up, down := flow.UDP([]byte("are you there?")), esptest.Flow{Src: flow.Dst, Dst: flow.Src}.UDP([]byte("are you there?"))
		if len(got) != 3 || dropped != 0 || !bytes.Equal(got[0], up) || !bytes.Equal(got[1], down) || !bytes.Equal(got[2], up) {
			t.Errorf("captured %x, %d dropped", got, dropped)
		}
		child := gateway.established()[0].ChildSAs[0]
		for _, spi := range []string{child.SPIIn, child.SPIOut} {
			if !bytes.Contains(b, []byte("spi "+spi)) {
				t.Errorf("no comment with %s", spi)
			}
		}
		if gateway.worker.captures.count != 0 || len(gateway.worker.captures.inside) != 0 {
			t.Errorf("left behind: %+v", &gateway.worker.captures)
		}
	})
}

// TestCaptureEnds: by time, by its reader, by the end of the worker.
func TestCaptureEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gateway, client, _ := tunnelled(t)
		defer client.stop()
		defer gateway.stop()
		began := time.Now()
		r := gateway.capture(control.Capture{Interface: control.CaptureDecrypted, Duration: 3 * time.Second})
		b, _ := io.ReadAll(r.conn)
		if got, _ := packets(t, b); len(got) != 0 || time.Since(began) != 3*time.Second {
			t.Errorf("%d packets after %v", len(got), time.Since(began))
		}
		<-r.done

		r = gateway.capture(control.Capture{Interface: control.CaptureDecrypted})
		io.ReadFull(r.conn, make([]byte, 28))
		r.conn.Close()
		<-r.done

		var list []*running
		for range control.MaxCaptures {
			list = append(list, gateway.capture(control.Capture{Interface: control.CaptureDecrypted}))
		}
		ours, theirs := net.Pipe()
		if _, err := gateway.worker.beginCapture(control.Capture{Interface: control.CaptureDecrypted}, nil, theirs); !errors.Is(err, errCaptures) {
			t.Errorf("one more: %v", err)
		}
		ours.Close()
		theirs.Close()
		for _, r := range list {
			r.conn.Close()
			<-r.done
		}
	})
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
	if c.dropped == 0 || c.kept < 500 || last || len(first) > captureBuffer {
		t.Fatalf("%d kept, %d dropped, %d bytes", c.kept, c.dropped, len(first))
	}
	for range 5000 {
		c.Packet(false, 1, data)
	}
	second, _ := c.take()
	all := append(pcapng.AppendHeader(nil, pcapng.LinkRaw, "decrypted", "test"), first...)
	all = append(all, second...)
	all = pcapng.AppendStatistics(all, 0, c.kept+c.dropped, c.dropped)
	if got, dropped := packets(t, all); uint64(len(got)) != c.kept || dropped != c.dropped || c.kept+c.dropped != 10001 {
		t.Errorf("%d packets and %d dropped; counted %s", len(got), dropped, fmt.Sprint(c.kept, c.dropped))
	}
}
