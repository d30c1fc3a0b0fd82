// Package wiretest finds third-party test data and the IKE messages in packet
// captures, for the tests of the packages around it. It reads files.
package wiretest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Dir returns the folder of third-party vectors and captures: $WARREN_TEST_DATA,
// or ../shared/data beside the module. Where there is none the test is skipped,
// except in CI, where it fails.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("WARREN_TEST_DATA")
	if dir == "" {
		dir = filepath.Join(moduleRoot(tb), "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatalf("third-party test data are missing: %v", err)
		}
		tb.Skipf("third-party test data are not here (set WARREN_TEST_DATA): %v", err)
	}
	return dir
}

// moduleRoot returns the folder with go.mod above the test.
func moduleRoot(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

// File returns the content of a file of Dir, decompressed if its name ends in
// .gz.
func File(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(Dir(tb), name))
	if err == nil && filepath.Ext(name) == ".gz" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			b, err = io.ReadAll(z)
		}
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// JSON decodes a file of Dir into v.
func JSON(tb testing.TB, name string, v any) {
	tb.Helper()
	if err := json.Unmarshal(File(tb, name), v); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
}

// Captures returns the names, for File and Messages, of all captures of Dir.
func Captures(tb testing.TB) []string {
	tb.Helper()
	var names []string
	for _, pattern := range []string{"wireshark/*.pcap*", "tcpdump/*.pcap*"} {
		found, err := filepath.Glob(filepath.Join(Dir(tb), pattern))
		if err != nil {
			tb.Fatal(err)
		}
		for _, path := range found {
			name, err := filepath.Rel(Dir(tb), path)
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
	b := File(tb, name)
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
