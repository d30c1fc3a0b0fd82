package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/warrenvpn/warren/context/capture"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/esptest"
)

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

// captured returns the packets of a file.
func captured(t *testing.T, b []byte) (packets [][]byte) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	for err == nil {
		var p []byte
		if p, _, err = r.ReadPacketData(); err == nil {
			packets = append(packets, p)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return packets
}

func TestCaptureDecrypted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gateway, client, inner := tunnelled(t)
		defer client.stop()
		defer gateway.stop()
		ours, theirs := net.Pipe()
		set := capture.NewSet(gateway.worker.tell, gateway.worker.plane.SetTaps)
		run, err := set.Prepare(control.Capture{Interface: control.CaptureDecrypted, Count: 3}, nil, theirs)
		if err != nil {
			t.Fatal(err)
		}
		all, done := make(chan []byte), make(chan struct{})
		go func() {
			b, _ := io.ReadAll(ours)
			all <- b
		}()
		go func() {
			defer close(done)
			run(context.Background())
		}()
		for range 2 {
			if !ping(client, gateway, inner) {
				t.Fatal("no traffic")
			}
		}
		b := <-all // three of four packets
		<-done
		got := captured(t, b)
		flow := esptest.NewFlow(inner+":1000", insideAddr+":2000")
		back := esptest.Flow{Src: flow.Dst, Dst: flow.Src}
		up, down := flow.UDP([]byte("are you there?")), back.UDP([]byte("are you there?"))
		if len(got) != 3 || !bytes.Equal(got[0], up) || !bytes.Equal(got[1], down) || !bytes.Equal(got[2], up) {
			t.Errorf("captured %x", got)
		}
		child := gateway.established()[0].ChildSAs[0]
		for _, spi := range []string{child.SPIIn, child.SPIOut} {
			if !bytes.Contains(b, []byte("spi "+spi)) {
				t.Errorf("no comment with %s", spi)
			}
		}
	})
}
