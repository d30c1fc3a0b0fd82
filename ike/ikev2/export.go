package ikev2

import (
	"fmt"
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
)

// The names that Wireshark's tables have for algorithms, which differ between
// IKE and ESP.
var (
	wiresharkIKE = map[sa.Transform]string{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 128}: "AES-GCM-128 with 16 octet ICV [RFC5282]",
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 192}: "AES-GCM-192 with 16 octet ICV [RFC5282]",
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}: "AES-GCM-256 with 16 octet ICV [RFC5282]",
		{Type: sa.Encryption, ID: sa.EncrChaCha20Poly1305}:       "ChaCha20-Poly1305 [RFC7634]",
		{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 128}:   "AES-CBC-128 [RFC3602]",
		{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 192}:   "AES-CBC-192 [RFC3602]",
		{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 256}:   "AES-CBC-256 [RFC3602]",
		{Type: sa.Encryption, ID: sa.Encr3DES}:                   "3DES [RFC2451]",
		{Type: sa.Encryption, ID: sa.EncrDES}:                    "DES [RFC2405]",
		{}:                                                       "NONE [RFC4306]",
		{Type: sa.Integrity, ID: sa.IntegSHA256128}:              "HMAC_SHA2_256_128 [RFC4868]",
		{Type: sa.Integrity, ID: sa.IntegSHA384192}:              "HMAC_SHA2_384_192 [RFC4868]",
		{Type: sa.Integrity, ID: sa.IntegSHA512256}:              "HMAC_SHA2_512_256 [RFC4868]",
		{Type: sa.Integrity, ID: sa.IntegSHA1_96}:                "HMAC_SHA1_96 [RFC2404]",
		{Type: sa.Integrity, ID: sa.IntegMD5_96}:                 "HMAC_MD5_96 [RFC2403]",
	}
	wiresharkESP = map[sa.Transform]string{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16}:         "AES-GCM with 16 octet ICV [RFC4106]",
		{Type: sa.Encryption, ID: sa.EncrChaCha20Poly1305}: "ChaCha20 with Poly1305 [RFC7634]",
		{Type: sa.Encryption, ID: sa.EncrAESCBC}:           "AES-CBC [RFC3602]",
		{Type: sa.Encryption, ID: sa.Encr3DES}:             "TripleDES-CBC [RFC2451]",
		{Type: sa.Encryption, ID: sa.EncrDES}:              "DES-CBC [RFC2405]",
		{}:                                                 "NULL",
		{Type: sa.Integrity, ID: sa.IntegSHA256128}:        "HMAC-SHA-256-128 [RFC4868]",
		{Type: sa.Integrity, ID: sa.IntegSHA384192}:        "HMAC-SHA-384-192 [RFC4868]",
		{Type: sa.Integrity, ID: sa.IntegSHA512256}:        "HMAC-SHA-512-256 [RFC4868]",
		{Type: sa.Integrity, ID: sa.IntegSHA1_96}:          "HMAC-SHA-1-96 [RFC2404]",
		{Type: sa.Integrity, ID: sa.IntegMD5_96}:           "HMAC-MD5-96 [RFC2403]",
	}
)

// ExportKeys implements exchange.SA.
func (s *SA) ExportKeys() (ike, esp []string) {
	if s.sealer == nil {
		return nil, nil
	}
	i, r := s.spis()
	p, k := s.suite.Proposal(), &s.keys
	ike = append(ike, fmt.Sprintf(`%016x,%016x,%x,%x,"%s",%x,%x,"%s"`, i, r,
		k.Ei.Reveal(), k.Er.Reveal(), wiresharkIKE[p.One(sa.Encryption)],
		k.Ai.Reveal(), k.Ar.Reveal(), wiresharkIKE[p.One(sa.Integrity)]))
	for _, c := range s.children {
		local, remote := c.LocalAddr.Addr(), c.RemoteAddr.Addr()
		esp = append(esp, espLine(remote, local, &c.In), espLine(local, remote, &c.Out))
	}
	return ike, esp
}

// espLine returns the line of one direction.
func espLine(from, to netip.Addr, d *sa.SA) string {
	kind := "IPv4"
	if from.Is6() {
		kind = "IPv6"
	}
	encryption := d.Encryption
	encryption.KeyBits = 0
	integrity := ""
	if key := d.IntegrityKey.Reveal(); len(key) > 0 {
		integrity = fmt.Sprintf("0x%x", key)
	}
	return fmt.Sprintf(`"%s","%v","%v","%v","%s","0x%x","%s","%s"`, kind, from, to, d.SPI,
		wiresharkESP[encryption], d.EncryptionKey.Reveal(), wiresharkESP[d.Integrity], integrity)
}
