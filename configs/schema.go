package configs

import "time"

// The language on one screen: blocks, and of each attribute what its value is, its
// default and its bounds, in the types of kinds.go. What it is for, reference/system.hcl
// and reference/context.hcl say.

const (
	second, minute, hour, day = time.Second, time.Minute, time.Hour, 24 * time.Hour
	million                   = 1_000_000
)

// systemSchema is the language of the system file.
var systemSchema = &schema{blocks: []*schema{
	{kind: "system", single: true,
		attrs: []attr{
			{name: "name", is: line{def: defaultName}},
			{name: "state_dir", is: line{def: defaultStateDir}},
			{name: "run_dir", is: line{def: defaultRunDir}},
			{name: "require_sandbox", is: boolean(false)},
		},
		blocks: []*schema{
			{kind: "api", single: true, attrs: []attr{{name: "group", is: line{}}}},
			{kind: "limits", single: true, attrs: []attr{ // of the machine; 0: unknown
				// a large appliance of the old world has as many peers
				{name: "vpn_sessions", is: number{20_000, 1, million}},
				{name: "ikev2_in_negotiation", is: number{10_000, 1, million}},
				{name: "ike_setups", is: number{0, 1, million}},
				{name: "bandwidth_in", is: form("bits per second")},
				{name: "bandwidth_out", is: form("bits per second")},
				{name: "packets", is: number{0, 1, 1000 * million}},
				{name: "routes", is: number{0, 1, million}},
				{name: "mac_addresses", is: number{0, 1, million}},
				{name: "api_sessions", is: number{0, 1, million}},
				{name: "syslogs", is: number{0, 1, million}},
				{name: "storage", is: form("a size")},
				{name: "storage_files", is: number{0, 1, 1000 * million}},
				{name: "cpu", is: fraction{0, 0.1, 4096}}, // 0: as many as the machine has
				{name: "memory", is: form("a size")},      // as much as the machine has
				{name: "pids", is: number{32_768, 64, 4_194_304}},
			}},
		},
	},
	{kind: "interface", label: `the name of an interface, such as "Ethernet1/1" or "Ethernet1/1.200"`, attrs: []attr{
		{name: "device", is: line{}},
		{name: "shared", is: boolean(false)},
		{name: "vlan", is: number{0, 1, 4094}}, // 0: the number behind the dot
	}},
	{kind: "class", label: "the name of a class", blocks: []*schema{{kind: "limits", single: true, open: true}}},
	{kind: "failover", single: true,
		attrs: []attr{
			{name: "unit", is: oneOf{"primary", "secondary"}, required: true, example: `"primary"`},
			{name: "key", is: form("a key"), required: true, example: `{ file = "failover.key" }`},
			{name: "previous_key", is: form("a key")},
			{name: "poll", is: span{50 * time.Millisecond, 10 * time.Millisecond, 15 * second, ""}},
			{name: "hold", is: span{150 * time.Millisecond, 30 * time.Millisecond, 45 * second, ""}},
		},
		blocks: []*schema{
			{kind: "link", label: "a name for the link", attrs: []attr{
				{name: "interface", is: line{}, required: true, example: `"Ethernet0/9"`},
				{name: "address", is: form("an address with its length"), required: true,
					example: `"192.168.255.1/30"`},
				{name: "peer", is: form("an address"), required: true, example: `"192.168.255.2"`},
			}},
			{kind: "group", label: "the name of a failover group", attrs: []attr{
				{name: "prefer", is: oneOf{"primary", "secondary"}},
				{name: "preempt", is: boolean(false)},
				{name: "preempt_delay", is: span{0, second, hour, "at once"}},
				{name: "interface_policy", is: number{defaultIfaceCount, 1, 250}}, // or a percentage
				{name: "monitor_interfaces", is: listOf{}},                        // all of the group's contexts
			}},
		},
	},
	{kind: "context", label: "the name of a context",
		attrs: []attr{
			{name: "member", is: line{def: "default"}},
			{name: "failover_group", is: line{}}, // one of its own
			{name: "suspended", is: boolean(false)},
			{name: "config_url", is: form("a file: or disk0: name, or a URL"), required: true,
				example: `"file:blue.hcl"`},
			{name: "config_ca", is: form("the name of a file")},
			{name: "config_timeout", is: span{10 * second, second, maxConfigTimeout, ""}}, // more than a server needs
		},
		blocks: []*schema{
			{kind: "allocate_interface", label: "the name of an interface of the system", attrs: []attr{
				{name: "name", is: line{}}, // that of the system
				{name: "addresses", is: form("networks")},
			}},
			{kind: "storage", label: `the word "shared"`, attrs: []attr{
				{name: "path", is: line{}, required: true, example: `"/srv/images"`},
				{name: "label", is: line{def: "shared"}},
			}},
		},
	},
}}

// contextSchema is the language of a context's file.
var contextSchema = &schema{blocks: []*schema{
	{kind: "interface", label: "the name of an interface allocated to the context", attrs: []attr{
		{name: "address", is: form("addresses with their lengths"), required: true, example: `"198.51.100.1/24"`},
		{name: "standby", is: form("addresses")},
		{name: "mtu", is: number{0, 576, 65_535}}, // 0: the device's
		{name: "mac", is: form("a MAC address")},
		{name: "standby_mac", is: form("a MAC address")},
		{name: "shutdown", is: boolean(false)},
	}},
	{kind: "route", label: `a destination, such as "0.0.0.0/0"`, attrs: []attr{
		{name: "interface", is: line{}, required: true, example: `"outside"`},
		{name: "gateway", is: form("an address")},
		{name: "metric", is: number{0, 0, 1<<31 - 1}},
	}},
	{kind: "ip_pool", label: "the name of a pool", attrs: []attr{
		{name: "range", is: form("two addresses, or a network"), required: true, example: `"10.99.0.10-10.99.0.250"`},
		{name: "mask", is: form("a netmask")}, // none is told
		{name: "reuse_delay", is: span{0, second, 8 * hour, "for as long as others can have another one"}},
	}},
	{kind: "ikev2_policy", label: "a priority from 1 to 65535; 1 is tried first", attrs: []attr{
		{name: "encryption", is: defaultEncryption},
		{name: "integrity", is: listOf{}},
		{name: "prf", is: defaultPRF},
		{name: "group", is: defaultKeyExchange},
		{name: "lifetime", is: ikeLifetime},
		{name: "allow_weak", is: boolean(false)},
	}},
	{kind: "ipsec_proposal", label: "the name of a proposal", attrs: []attr{
		{name: "encryption", is: defaultEncryption},
		{name: "integrity", is: listOf{}},
		{name: "esn", is: defaultSequence},
		{name: "lifetime", is: ipsecLifetime},
		{name: "lifetime_bytes", is: form("a size of 1 MiB or more; 0: no limit")},
		{name: "allow_weak", is: boolean(false)},
	}},
	{kind: "user", label: "the name of a user", attrs: []attr{
		{name: "password", is: form("a password, or what `warren passwd` makes of it")}, // or another proof
		{name: "nopassword", is: form("nothing: a user has a password, or another proof")},
		{name: "privilege", is: number{2, 0, 15}},
		{name: "group_policy", is: line{}},
		{name: "address", is: form("an IPv4 address, an IPv6 address, or both")},
		// those of the group policy; or "unlimited"
		{name: "simultaneous_logins", is: number{defaultLogins, 0, million}},
		{name: "group_lock", is: line{}},     // that of the group policy
		{name: "expires", is: form("a day")}, // never
	}},
	// By default an attribute is that of DfltGrpPolicy; the word "none" is nothing.
	{kind: "group_policy", label: "the name of a group policy", attrs: []attr{
		{name: "dns_servers", is: form("up to 8 addresses")},
		{name: "wins_servers", is: form("up to 4 IPv4 addresses")},
		{name: "default_domain", is: line{longest: 253}},
		{name: "split_tunnel", is: form("up to 64 networks")},
		{name: "split_exclude", is: form("networks, without which all others are up to 64")},
		{name: "split_dns", is: form("up to 32 domains")},
		{name: "address_pools", is: form("up to 6 pools, or up to 6 for each interface")}, // the tunnel group's
		{name: "tunnel_protocols", is: listOf{"ikev2"}},
		{name: "session_timeout", is: span{0, minute, 365 * day, "never"}},
		{name: "idle_timeout", is: span{0, minute, 365 * day, "never"}},
		{name: "banner", is: form("text of up to 2048 bytes")},
		// a person's three devices; or "unlimited"
		{name: "simultaneous_logins", is: number{defaultLogins, 0, million}},
		{name: "access_hours", is: form("up to 28 hours of days")},
		{name: "time_zone", is: line{longest: 64}}, // UTC
		{name: "group_lock", is: line{}},
	}},
	{kind: "trustpoint", label: "the name of a trustpoint", attrs: []attr{
		{name: "certificate", is: form("a file")},
		{name: "key", is: form("a file")},
		{name: "pkcs12", is: form("a file and its password")},
		{name: "ca", is: form("a file, or a list of files")},
		{name: "crl", is: form("a file, or a list of files")},
		{name: "revocation", is: listOf{}},           // nothing is asked
		{name: "certificate_policies", is: listOf{}}, // any, and none
	}},
	{kind: "aaa_server_group", label: "the name of a group of servers",
		attrs: []attr{
			{name: "protocol", is: line{}, required: true, example: `"radius"`},
			{name: "accounting", is: boolean(false)},
			{name: "dead_time", is: span{10 * minute, second, day, ""}},
			{name: "max_failed_attempts", is: number{3, 1, 100}},
		},
		blocks: []*schema{{kind: "server", label: "the address of a server", attrs: []attr{
			{name: "interface", is: line{}}, // as the routes say
			{name: "key", is: form("a key"), required: true, example: `{ file = "radius.key" }`},
			{name: "authentication_port", is: number{1812, 1, 65_535}},
			// 2, 4 and 8 s: as long as clients wait for us
			{name: "timeout", is: span{2 * second, 100 * time.Millisecond, 2 * minute, ""}},
			{name: "retries", is: number{2, 0, 10}},
		}}},
	},
	{kind: "tunnel_group", label: "the name of a tunnel group",
		attrs: []attr{
			{name: "type", is: oneOf{"remote-access", "site-to-site"}, required: true, example: `"remote-access"`},
			{name: "default_group_policy", is: line{def: defaultGroupPolicy}},
			{name: "address_pools", is: form("up to 6 pools, or up to 6 for each interface")},
			// With the retransmissions below a silent peer is given up a little more than a
			// minute later.
			{name: "dpd", is: span{30 * second, 10 * second, hour, "never ask"}},
			{name: "remote_networks", is: form("up to 64 networks")},
			{name: "unique", is: oneOf{"replace", "keep", "never"}},
			{name: "authentication_server_group", is: line{def: "LOCAL"}}, // for EAP
		},
		blocks: []*schema{{kind: "ikev2", single: true, attrs: []attr{
			{name: "local_identity", is: form("an identity")}, // the certificate's subject, or the address
			{name: "remote_identity", is: form("patterns")},   // "*"
			// by default that of remote_access_trustpoint
			{name: "local_authentication", is: form("a key, or a trustpoint")},
			{name: "remote_authentication", required: true,
				is:      form("a key, a key for each identity, a trustpoint, or EAP"),
				example: `{ pre_shared_key = { file = "clients.psk" } }`},
			{name: "rsa_sig_hash", is: oneOf{"sha2", "sha1"}},
		}}},
	},
	{kind: "certificate_map", label: "the name of a certificate map", attrs: []attr{
		{name: "rules", is: form("rules for certificates"), required: true,
			example: `["subject-name attr ou eq lab"]`},
		{name: "tunnel_group", is: line{}, required: true, example: `"laptops"`},
	}},
	{kind: "crypto_map", label: "the interface that it is bound to", blocks: []*schema{
		{kind: "static", label: "a name for the entry", attrs: []attr{
			{name: "peer", is: form("an address"), required: true, example: `"203.0.113.1"`},
			{name: "tunnel_group", is: line{}, required: true, example: `"headquarters"`},
			{name: "connection", is: oneOf{"start", "respond"}},
			{name: "request_address", is: boolean(false)},
			{name: "local_networks", is: form("up to 64 networks")},
			{name: "remote_networks", is: form("up to 64 networks")},
			{name: "ipsec_proposals", is: listOf{}}, // all
			{name: "reverse_route", is: boolean(true)},
			{name: "any_address", is: boolean(false)},
		}},
		{kind: "dynamic", label: "a name for the entry", attrs: []attr{
			{name: "ipsec_proposals", is: listOf{}}, // all
			{name: "reverse_route", is: boolean(true)},
		}},
	}},
	{kind: "ikev2", single: true,
		attrs: []attr{
			{name: "cookie_threshold", is: number{100, 0, million}},
			{name: "max_half_open", is: number{defaultMaxHalfOpen, 1, million}},
			{name: "half_open_timeout", is: span{30 * second, second, 10 * minute, ""}},
			// NAT devices forget UDP after 30 s
			{name: "nat_keepalive", is: span{20 * second, 5 * second, hour, "none"}},
			{name: "fragmentation", is: boolean(true)},
			// bytes of an IP packet: what every IPv4 host takes, and what every IPv6 path carries
			{name: "fragment_size", is: number{defaultFragmentSize, 576, 9216}},
			{name: "remote_access_trustpoint", is: line{}}, // none
		},
		blocks: []*schema{{kind: "retransmit", single: true, attrs: []attr{
			{name: "base", is: span{second, 100 * time.Millisecond, minute, ""}},
			{name: "factor", is: fraction{1.8, 1, 4}},
			{name: "tries", is: number{6, 1, 20}},
		}}},
	},
	{kind: "mobike", single: true, attrs: []attr{
		{name: "enabled", is: boolean(true)},
		{name: "return_routability_check", is: boolean(false)},
	}},
	{kind: "dataplane", single: true, attrs: []attr{
		{name: "replay_window", is: number{1024, 0, 4096}}, // packets; 0: replays are not detected, else 64 or more
		{name: "mtu", is: number{0, 0, 9216}},              // bytes; 0: computed, else 576 or more
		{name: "force_udp_encapsulation", is: boolean(false)},
		{name: "df_bit", is: oneOf{"copy", "set", "clear"}},
		{name: "backend", is: oneOf{backendAuto, backendUserspace, backendKernel}},
		{name: "gso", is: boolean(true)},
		{name: "gro", is: boolean(true)},
		{name: "tun_offload", is: boolean(true)},
		{name: "batching", is: boolean(true)},
	}},
}}
