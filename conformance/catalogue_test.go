package conformance

import (
	"fmt"
	"slices"
)

// row is a scenario of strongSwan's suite: a folder below testing/tests there.
type row struct {
	name, shows string
	fate        fate
}

// fate says why a scenario is not played; the zero value: it is.
type fate struct {
	issue int    // that brings what it needs
	model string // what Warren has in place of it
	lacks string // what nobody has planned yet
}

// result is the word of the table for a scenario that is not played, and why.
func (f fate) result() (word, why string) {
	switch {
	case f.model != "":
		return "not our model", f.model
	case f.issue != 0:
		return fmt.Sprintf("later: issue %d", f.issue), f.lacks
	}
	return "no issue yet", f.lacks
}

// played is the fate of a scenario that a table of scenarios has.
var played = fate{}

func later(issue int, lacks string) fate { return fate{issue: issue, lacks: lacks} }
func unplanned(lacks string) fate        { return fate{lacks: lacks} }
func notOurs(instead string) fate        { return fate{model: instead} }

// What many scenarios need.
var (
	eap          = later(13, "EAP")
	radius       = later(13, "RADIUS")
	ocsp         = later(15, "OCSP")
	ikev1        = later(17, "IKEv1")
	rawKeys      = unplanned("raw public keys")
	attributes   = unplanned("attribute certificates")
	sim          = unplanned("EAP-SIM and EAP-AKA other than by RADIUS")
	tunnelledEAP = unplanned("EAP-TTLS and PEAP other than by RADIUS")
	marks        = notOurs("marks of packets: tenants with equal networks are contexts of their own")
	ah           = notOurs("AH: ESP authenticates what it carries")
	sql          = notOurs("SQL: pools are those of the configuration, leases live in the worker and its twin")
	dhcp         = notOurs("DHCP: pools are those of the configuration")
	multicast    = notOurs("multicast and broadcast")
	ipcomp       = notOurs("IPComp: a tunnel comes up without it")
)

// keyed are the scenarios whose subject is not authentication, from one number to
// another one: a pre-shared key is enough for them.
var keyed = [][2]int{{2, 4}, {23, 23}, {25, 40}, {47, 65}, {67, 85}, {88, 104}, {125, 128}, {130, 130}, {167, 167},
	{169, 186}}

// isKeyed reports whether a scenario is one of those.
func isKeyed(number int) bool {
	return slices.ContainsFunc(keyed, func(r [2]int) bool { return r[0] <= number && number <= r[1] })
}

// catalogue has the number of a scenario as its index; strongSwan's own 0 is none.
var catalogue = []row{
	1: {"ikev2/rw-cert", "two certificate clients, firewall via updown, ping inner host", played},
	{"ikev2/rw-psk-ipv4", "PSK per client, identities are IP addresses", played},
	{"ikev2/rw-psk-fqdn", "PSK per client, FQDN identities", played},
	{"ikev2/rw-psk-no-idr", "client sends no IDr, gateway must still pick the connection", played},
	{"ikev2/rw-psk-rsa-split", "client PSK, gateway signs with certificate", played},
	{"ikev2/rw-psk-rsa-mixed", "PSK client and cert client, connection chosen by requested IDr", played},
	{"ikev2/rw-pubkey-anon", "any peer whose raw public key is on file", rawKeys},
	{"ikev2/rw-pubkey-keyid", "raw keys addressed by key id", rawKeys},
	{"ikev2/rw-sig-auth", "RFC 7427: allowed hash/scheme decides which subnet a client may reach",
		later(13, "schemes of signatures for a tunnel group")},
	{"ikev2/rw-cert-pss", "RSA-PSS AUTH payloads", played},
	{"ikev2/rw-ed25519-certpol", "Ed25519 certs, certificate-policy OID required, one client refused", played},
	{"ikev2/rw-hash-and-url", "certificates delivered as hash and URL", unplanned("hash and URL: it stays off")},
	{"ikev2/rw-whitelist", "identity whitelist lets carol in, refuses dave", played},
	{"ikev2/wildcards", "access per resource by wildcard match on subject DN", played},
	{"ikev2/two-certs", "same peer authenticates two tunnels with two certificates", played},
	{"ikev2/ecdsa-certs", "ECDSA client and gateway certificates", played},
	{"ikev2/strong-keys-certs", "encrypted 3072-bit keys, SHA-2 family signatures", played},
	{"ikev2/after-2038-certs", "certificate validity beyond 2038", played},
	{"ikev2/critical-extension", "unknown critical X.509 extension must be refused", played},
	{"ikev2/acert-cached", "authorisation by attribute-certificate group, dave refused", attributes},
	{"ikev2/acert-inline", "attribute certs arrive inside IKE CERT payloads", attributes},
	{"ikev2/acert-fallback", "expired finance attribute cert falls back to sales connection", attributes},
	{"ikev2/rw-initiator-only", "peer ignoring requests; then works as initiator", played},
	{"ikev2/net2net-cert", "two sites, certificates", played},
	{"ikev2/net2net-psk", "two sites, PSK", played},
	{"ikev2/net2net-psk-fail", "wrong PSK gives AUTHENTICATION_FAILED and no SA", played},
	{"ikev2/net2net-start", "tunnel comes up at load (start_action=start)", played},
	{"ikev2/net2net-route", "trap policy brings the tunnel up on first packet", played},
	{"ikev2/net2net-route-narrow", "responder narrows TS to the packet's subnet", played},
	{"ikev2/net2net-same-nets", "identical subnets on both sites, 1:1 mapping by marks", marks},
	{"ikev2/net2net-gw", "two sites relayed through a hub gateway", played},
	{"ikev2/net2net-rekey", "CHILD_SA rekey under traffic, old SA kept for late packets", played},
	{"ikev2/net2net-esn", "initiator offers ESN and no-ESN, responder insists on ESN", played},
	{"ikev2/net2net-ah", "AH tunnel, integrity negotiated", ah},
	{"ikev2/net2net-dscp", "two parallel CHILD_SAs for best effort and EF", later(16, "DSCP chooses a child SA")},
	{"ikev2/net2net-psk-dscp", "same with PSK", later(16, "DSCP chooses a child SA")},
	{"ikev2/net2net-childless", "RFC 6023: IKE_SA first, CHILD by CREATE_CHILD_SA", later(16, "RFC 6023")},
	{"ikev2/net2net-iptfs", "RFC 9347 aggregation and fragmentation", later(16, "RFC 9347")},
	{"ikev2/net2net-multicast", "mDNS multicast carried between sites", multicast},
	{"ikev2/net2net-icmp-forward", "ICMP errors from foreign sources pass the tunnel",
		unplanned("errors of routers that no selector covers are dropped")},
	{"ikev2/net2net-rfc3779", "address-block certificates limit the negotiated TS", unplanned("RFC 3779")},
	{"ikev2/net2net-dnssec", "peer key from DNSSEC IPSECKEY", unplanned("IPSECKEY")},
	{"ikev2/net2net-pubkey", "two sites with raw RSA keys", rawKeys},
	{"ikev2/net2net-ed25519", "two sites, Ed25519", played},
	{"ikev2/net2net-pkcs12", "credentials from PKCS#12", played},
	{"ikev2/net2net-cert-sha2", "RFC 7427 with SHA-2", played},
	{"ikev2/host2host-cert", "host tunnel", played},
	{"ikev2/host2host-ah", "AH transport mode", ah},
	{"ikev2/host2host-transport", "ESP transport mode", later(16, "transport mode")},
	{"ikev2/host2host-transport-nat", "transport mode through NAT and its two known problems",
		later(16, "transport mode")},
	{"ikev2/host2host-transport-connmark", "two NATed transport peers told apart by connmark", marks},
	{"ikev2/start-action-start", "config reload must add/remove only what changed", played},
	{"ikev2/trap-any", "transport traps to any peer", later(16, "transport mode, traps")},
	{"ikev2/dynamic-initiator", "peer comes back from another IP, same identity", played},
	{"ikev2/inactivity-timeout", "idle CHILD_SA removed after 10 s", played},
	{"ikev2/shunt-policies-nat-rw", "pass shunt for local net while all else is tunnelled", played},
	{"ikev2/shunt-manual-prio", "ssh exempted, rest dropped, by priority", later(16, "shunts")},
	{"ikev2/protoport-dual", "separate CHILD_SAs for ICMP and ssh", played},
	{"ikev2/protoport-range", "ICMP type and TCP port ranges as selectors", played},
	{"ikev2/protoport-trap", "selectors with ports through traps", played},
	{"ikev2/per-cpu-sas", "RFC 9611 per-CPU CHILD_SAs with fallback SA", later(16, "RFC 9611")},
	{"ikev2/rw-cert-multi-ke", "RFC 9370 additional key exchanges via IKE_INTERMEDIATE", later(16, "RFC 9370")},
	{"ikev2/rw-mlkem", "x25519+ML-KEM-512, ecp384+ML-KEM-768", later(16, "RFC 9370, ML-KEM")},
	{"ikev2/rw-cert-ppk", "RFC 8784; unknown PPK_ID falls back when not required", later(16, "RFC 8784")},
	{"ikev2/rw-psk-ppk", "PSK with PPK", later(16, "RFC 8784")},
	{"ikev2/rw-eap-md5-id-rsa-ppk", "EAP with PPK", later(16, "EAP (issue 13), RFC 8784")},
	{"ikev2/nat-rw", "two clients behind one NAT", played},
	{"ikev2/nat-rw-psk", "same, PSK", played},
	{"ikev2/nat-rw-mark", "clients with equal inner subnets told apart by mark + SNAT", marks},
	{"ikev2/rw-mark-in-out", "same with explicit in/out marks", marks},
	{"ikev2/nat-virtual-ip", "router gets a VIP and NATs its LAN behind it", played},
	{"ikev2/double-nat", "both ends behind NAT", played},
	{"ikev2/double-nat-net", "both ends behind NAT, subnet behind responder", played},
	{"ikev2/force-udp-encap", "UDP encapsulation forced though no NAT", played},
	{"ikev2/mobike", "client loses eth1, moves to eth0, tunnel survives", played},
	{"ikev2/mobike-nat-mappings", "NAT box restarts, mapping changes, found by DPD", played},
	{"ikev2/mobike-virtual-ip", "address change with VIP in use", played},
	{"ikev2/mobike-virtual-ip-nat", "move from direct to behind-NAT with VIP", played},
	{"ikev2/dpd-clear", "peer unreachable: gateway clears", played},
	{"ikev2/dpd-restart", "peer unreachable: client re-establishes", played},
	{"ikev2/dpd-trap", "peer unreachable: trap reinstalled", played},
	{"ikev2/compress", "IPComp, small packets uncompressed", ipcomp},
	{"ikev2/compress-nat", "IPComp through two NATs", ipcomp},
	{"ike/frags-ipv4", "IKEv1 and RFC 7383 fragmentation over IPv4", played},
	{"ike/frags-ipv6", "same over IPv6", played},
	{"ike/rw-cert", "IKEv1 and IKEv2 clients on one gateway", ikev1},
	{"ike/rw_v1-net_v2", "IKEv1 client and IKEv2 site on one gateway", ikev1},
	{"ikev2/config-payload", "fixed VIP per client", played},
	{"ikev2/ip-pool", "VIPs in order from a memory pool", played},
	{"ikev2/ip-pool-db", "VIPs from SQL pool, lease list", sql},
	{"ikev2/ip-split-pools-db", "two one-address pools used in turn", sql},
	{"ikev2/ip-two-pools", "pool depends on receiving interface", later(13, "pools by interface")},
	{"ikev2/ip-two-pools-db", "four clients, two SQL pools, hub and spoke", sql},
	{"ikev2/ip-two-pools-mixed", "memory pool and SQL pool together", sql},
	{"ikev2/ip-two-pools-v4v6", "IPv4 and IPv6 VIP in one tunnel", played},
	{"ikev2/ip-two-pools-v4v6-db", "same from SQL", sql},
	{"ikev2/dhcp-dynamic", "VIP and DNS from a DHCP server", dhcp},
	{"ikev2/dhcp-static-client-id", "fixed lease by client id", dhcp},
	{"ikev2/dhcp-static-mac", "fixed lease by MAC derived from identity", dhcp},
	{"ikev2/farp", "gateway answers ARP for VIPs inside the LAN prefix", played},
	{"ikev2/forecast", "broadcast/multicast delivered to clients", multicast},
	{"ikev2/lookip", "query which identity holds a VIP", played},
	{"sql/ip-pool-db-expired", "reuse of expired leases", sql},
	{"sql/ip-pool-db-restart", "same client gets same lease after restart", sql},
	{"ikev2/rw-eap-mschapv2-id-rsa", "username/password, EAP identity (Windows, iOS)", eap},
	{"ikev2/rw-eap-md5-rsa", "EAP-MD5 local", eap},
	{"ikev2/rw-eap-md5-radius", "EAP-MD5 proxied to RADIUS", radius},
	{"ikev2/rw-eap-md5-id-radius", "same with separate EAP identity", radius},
	{"ikev2/rw-eap-md5-class-radius", "RADIUS Class chooses the connection/subnet", radius},
	{"ikev2/rw-eap-framed-ip-radius", "VIP from Framed-IP-Address", radius},
	{"ikev2/rw-radius-accounting", "start/stop records with byte counts", later(15, "accounting")},
	{"ikev2/rw-eap-id-switch", "connection chosen by EAP identity (6.0.2)", eap},
	{"ikev2/rw-eap-dynamic", "client NAKs the proposed method", eap},
	{"ikev2/rw-eap-tls-only", "mutual EAP-TLS without IKE cert; untrusted CA refused", eap},
	{"ikev2/rw-eap-tls-fragments", "EAP-TLS with long chains, fragmented", eap},
	{"ikev2/rw-eap-tls-radius", "EAP-TLS at the AAA", radius},
	{"ikev2/rw-eap-ttls-only", "EAP-TTLS with weak inner method", tunnelledEAP},
	{"ikev2/rw-eap-ttls-radius", "EAP-TTLS at the AAA", radius},
	{"ikev2/rw-eap-peap-mschapv2", "PEAP", tunnelledEAP},
	{"ikev2/rw-eap-peap-radius", "PEAP at the AAA", radius},
	{"ikev2/rw-eap-sim-rsa", "EAP-SIM local triplets", sim},
	{"ikev2/rw-eap-sim-radius", "EAP-SIM at the AAA, one client fails", radius},
	{"ikev2/rw-eap-aka-rsa", "EAP-AKA", sim},
	{"ikev2/mult-auth-rsa-eap-sim-id", "RFC 4739: cert round then EAP-SIM round", unplanned("RFC 4739")},
	{"ikev2/reauth-early", "RFC 4478: gateway's 30 s overrides client's 60 min", later(16, "RFC 4478")},
	{"ikev2/reauth-late", "client's own shorter reauth wins", later(16, "RFC 4478")},
	{"ikev2/reauth-mbb", "make-before-break reauth under ping", played},
	{"ikev2/reauth-mbb-virtual-ip", "MBB keeps the same VIP", played},
	{"ikev2/reauth-mbb-revoked", "MBB with a certificate revoked meanwhile must end in no access", played},
	{"ikev2/redirect-active", "established clients redirected to another gateway", later(16, "RFC 5685")},
	{"ikev2/crl-revoked", "revoked client refused", played},
	{"ikev2/crl-from-cache", "revocation decided from cached CRL", played},
	{"ikev2/crl-to-cache", "base and delta CRL saved", later(15, "delta CRLs")},
	{"ikev2/crl-ldap", "CRL by LDAP", unplanned("CRLs by LDAP")},
	{"ikev2/ocsp-signer-cert", "OCSP with delegated signer", ocsp},
	{"ikev2/ocsp-revoked", "OCSP says revoked", ocsp},
	{"ikev2/ocsp-no-signer-cert", "response signed without OCSPSigning usage refused", ocsp},
	{"ikev2/ocsp-untrusted-cert", "self-signed responder refused", ocsp},
	{"ikev2/ocsp-timeouts-good", "first OCSP URIs dead, next answers, login still works", ocsp},
	{"ikev2/ocsp-timeouts-unknown", "all OCSP URIs dead, strict policy refuses", ocsp},
	{"ikev2/ocsp-rfc4806-both", "OCSP responses carried inside IKE", ocsp},
	{"ikev2-multi-ca/certreq-resp", "responder lacks intermediates, gets them in CERT", played},
	{"ikev2-multi-ca/crls", "subnet access by issuing CA", played},
	{"ikev2-multi-ca/loop", "CA loop must not hang", played},
	{"ikev2-multi-ca/pathlen", "path length constraint", played},
	{"ikev2-multi-ca/revoked", "revoked intermediate CA", played},
	{"ikev2-multi-ca/skipped", "CRL unavailable, strict policy refuses", played},
	{"ikev1/rw-cert", "Main Mode certificates", ikev1},
	{"ikev1/rw-cert-aggressive", "Aggressive Mode certificates", ikev1},
	{"ikev1/rw-psk-ipv4", "Main Mode PSK by IP", ikev1},
	{"ikev1/rw-psk-aggressive", "Aggressive Mode PSK", ikev1},
	{"ikev1/rw-cert-unity", "Cisco Unity split include", ikev1},
	{"ikev1/net2net-psk", "site PSK", ikev1},
	{"ikev1/net2net-psk-fail", "wrong PSK", ikev1},
	{"ikev1/net2net-esn", "ESN in IKEv1", ikev1},
	{"ikev1/config-payload", "Mode Config pull", ikev1},
	{"ikev1/config-payload-push", "Mode Config push", ikev1},
	{"ikev1/ip-pool", "VIPs from pool", ikev1},
	{"ikev1/xauth-psk", "PSK then XAuth", ikev1},
	{"ikev1/xauth-rsa", "certificate then XAuth", ikev1},
	{"ikev1/xauth-id-rsa-hybrid", "Hybrid: only the gateway has a certificate", ikev1},
	{"ikev1/xauth-rsa-radius", "XAuth to RADIUS", ikev1},
	{"ikev1/xauth-rsa-eap-md5-radius", "XAuth translated to EAP towards RADIUS", ikev1},
	{"ikev1/nat-rw", "NAT-T", ikev1},
	{"ikev1/dpd-clear", "RFC 3706", ikev1},
	{"ikev1/protoport-dual", "two Quick Modes", ikev1},
	{"ipv6/rw-ikev2", "IPv6 clients", played},
	{"ipv6/rw-psk-ikev1", "IPv6 IKEv1 PSK", ikev1},
	{"ipv6/rw-ip6-in-ip4-ikev2", "IPv6 VIP over IPv4", played},
	{"ipv6/net2net-ip4-in-ip6-ikev2", "IPv4 sites over IPv6", played},
	{"ipv6/transport-ikev2", "IPv6 transport", later(16, "transport mode")},
	{"ikev2-algs/alg-aes-gcm", "AES-GCM for IKE and ESP", played},
	{"ikev2-algs/alg-chacha20poly1305", "ChaCha20-Poly1305 for both", played},
	{"ikev2-algs/alg-ecp-high", "ECP-384/521", played},
	{"ikev2-algs/alg-modp-subgroup", "groups 22-24 refused/negotiated", played},
	{"ikev2-algs/esp-alg-null", "NULL encryption", later(17, "esp-null by request")},
	{"libipsec/net2net-cert", "userspace ESP, UDP encap", played},
	{"libipsec/net2net-cert-raw", "userspace ESP on raw sockets", played},
	{"libipsec/net2net-cert-ip6-in-ip4", "userspace, mixed families", played},
	{"libipsec/host2host-cert", "userspace host-to-host, fwmark loop avoidance", played},
	{"libipsec/net2net-trap", "userspace trap policy", later(16, "traps of ours")},
	{"route-based/rw-shared-xfrmi", "all clients on one XFRM interface", marks},
	{"route-based/net2net-xfrmi-netns", "tunnel interface moved to another netns", notOurs(
		"a context is a network namespace of its own, with its tunnel device")},
	{"ha/active-passive", "SIGKILL of active, one ping after 2 s through survivor", played},
	{"ha/active-passive-multi-ke", "same with RFC 9370", later(16, "RFC 9370")},
	{"ha/both-active", "two segments, ESP shared between nodes", played},
}
