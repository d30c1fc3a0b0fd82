// Package wiretest finds the IKE messages in the packet captures among third-party test
// data, for the tests of the packages around it. It reads files.
package wiretest

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/warrenvpn/warren/internal/datatest"
)

// Captures returns the names, for datatest.File and Messages, of all captures of datatest.Dir.
func Captures(tb testing.TB) []string {
	tb.Helper()
	var names []string
	for _, pattern := range []string{"wireshark/*.pcap*", "tcpdump/*.pcap*"} {
		found, err := filepath.Glob(filepath.Join(datatest.Dir(tb), pattern))
		if err != nil {
			tb.Fatal(err)
		}
		for _, path := range found {
			name, err := filepath.Rel(datatest.Dir(tb), path)
			if err != nil {
				tb.Fatal(err)
			}
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		tb.Fatal("no captures")
	}
	return names
}

// Messages returns the payloads of the UDP datagrams from or to port 500, and
// those of port 4500 with a non-ESP marker, without it.
func Messages(tb testing.TB, name string) [][]byte {
	tb.Helper()
	var out [][]byte
	b := datatest.File(tb, name)
	r, link := reader(tb, name, b)
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			break // the end, or the place where a malformed capture was cut
		}
		p := gopacket.NewPacket(data, link, gopacket.NoCopy)
		udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if !ok {
			continue
		}
		m := udp.Payload
		if udp.SrcPort == 4500 || udp.DstPort == 4500 {
			if len(m) < 4 || binary.BigEndian.Uint32(m) != 0 {
				continue
			}
			m = m[4:]
		} else if udp.SrcPort != 500 && udp.DstPort != 500 {
			continue
		}
		out = append(out, m)
	}
	return out
}

// packetReader is what the readers of pcap and pcapng have in common.
type packetReader interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// reader opens a capture of either format.
func reader(tb testing.TB, name string, b []byte) (packetReader, layers.LinkType) {
	tb.Helper()
	if ng, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions); err == nil {
		return ng, ng.LinkType()
	}
	r, err := pcapgo.NewReader(bytes.NewReader(b))
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return r, r.LinkType()
}
