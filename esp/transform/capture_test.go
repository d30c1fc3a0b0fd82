package transform

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/warrenvpn/warren/internal/datatest"
)

// espPackets returns the ESP packets of a capture, by SPI.
func espPackets(t *testing.T, name string) map[uint32][][]byte {
	t.Helper()
	b := datatest.File(t, name)
	var source gopacket.PacketDataSource
	link := layers.LinkTypeEthernet
	if r, err := pcapgo.NewReader(bytes.NewReader(b)); err == nil {
		source, link = r, r.LinkType()
	} else if r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions); err == nil {
		source, link = r, r.LinkType()
	} else {
		t.Fatal(err)
	}
	found := map[uint32][][]byte{}
	for p := range gopacket.NewPacketSource(source, link).Packets() {
		network := p.NetworkLayer()
		if network == nil || p.Layer(layers.LayerTypeIPSecESP) == nil {
			continue
		}
		packet := network.LayerPayload()
		spi := binary.BigEndian.Uint32(packet)
		found[spi] = append(found[spi], packet)
	}
	return found
}

// TestCapturedPackets opens what strongSwan sent and Wireshark recorded, with
// the keys of its test data, and refuses it with any byte changed.
func TestCapturedPackets(t *testing.T) {
	packets := espPackets(t, "wireshark/esp-bug-12671.pcapng.gz")
	r := csv.NewReader(bytes.NewReader(datatest.File(t, "wireshark/esp_sa.tmpl")))
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, row := range rows {
		spi := binary.BigEndian.Uint32(unhex(t, strings.TrimPrefix(row[3], "0x")))
		key, auth := unhex(t, strings.TrimPrefix(row[5], "0x")), unhex(t, strings.TrimPrefix(row[7], "0x"))
		c, err := New(newSA("aes-128-cbc", "sha1", false, key, auth), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, packet := range packets[spi] {
			seq := uint64(binary.BigEndian.Uint32(packet[4:]))
			for i := range packet {
				bad := bytes.Clone(packet)
				bad[i] ^= 0x20
				badSeq := uint64(binary.BigEndian.Uint32(bad[4:]))
				if _, err := c.Open(bad, badSeq); err == nil {
					t.Fatalf("SPI %08x, packet %d: byte %d changed, and it was opened", spi, seq, i)
				}
			}
			body, err := c.Open(bytes.Clone(packet), seq)
			if err != nil {
				t.Errorf("SPI %08x, packet %d: %v", spi, seq, err)
				continue
			}
			opened++
			if len(body) < 2 {
				t.Errorf("SPI %08x, packet %d: body of %d bytes", spi, seq, len(body))
			}
		}
	}
	if opened < 2 {
		t.Errorf("%d packets were opened", opened)
	}
}

// TestCapturedCBC decrypts what tcpdump's tests hold; the keys of the ICVs are
// not known, so this is the ciphers alone. Inside are IPv4 packets of two hosts.
func TestCapturedCBC(t *testing.T) {
	tests := []struct {
		file, encryption string
		spi              uint32
		key, src, dst    string
	}{
		{"tcpdump/08-sunrise-sunset-esp2.pcap", "3des", 0x12345678,
			"43434545464649494a4a4c4c4f4f51515252545457575840", "192.1.2.23", "192.0.1.1"},
		{"tcpdump/08-sunrise-sunset-aes.pcap", "aes-256-cbc", 0xd1234567,
			"aaaabbbbccccdddd4043434545464649494a4a4c4c4f4f515152525454575758", "192.0.2.1", "192.0.1.1"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			c, err := New(newSA(tt.encryption, "sha1", false, unhex(t, tt.key), make([]byte, 20)), nil)
			if err != nil {
				t.Fatal(err)
			}
			m := c.mode.(*cbc)
			list := espPackets(t, tt.file)[tt.spi]
			for _, packet := range list {
				const header, icv = 8, 12
				body := bytes.Clone(packet[header+m.iv : len(packet)-icv])
				m.dec.SetIV(packet[header : header+m.iv])
				m.dec.CryptBlocks(body, body)
				src, _ := netip.AddrFromSlice(body[12:16])
				dst, _ := netip.AddrFromSlice(body[16:20])
				if body[0] != 0x45 || src.String() != tt.src || dst.String() != tt.dst || body[len(body)-1] != 4 {
					t.Errorf("packet %x: from %v to %v, next header %d", packet[4:8], src, dst, body[len(body)-1])
				}
			}
			if len(list) < 5 {
				t.Errorf("%d packets", len(list))
			}
		})
	}
}
