package configs

// systemSchema is the language of the system file.
var systemSchema = &schema{blocks: []*schema{
	{kind: "system", single: true,
		attrs: []attr{{name: "name"}, {name: "state_dir"}, {name: "run_dir"}, {name: "require_sandbox"}},
		blocks: []*schema{{kind: "api", single: true, attrs: []attr{{name: "group"}}}, {kind: "limits", single: true, attrs: []attr{
			{name: "vpn_sessions"}, {name: "ikev2_in_negotiation"}, {name: "cpu"}, {name: "memory"}, {name: "pids"}, {name: "storage"}, {name: "storage_files"},
			{name: "ike_setups"}, {name: "bandwidth_in"}, {name: "bandwidth_out"}, {name: "packets"},
			{name: "routes"}, {name: "mac_addresses"}, {name: "api_sessions"}, {name: "syslogs"},
		}}},
	},
	{kind: "interface", label: `the name of an interface, such as "Ethernet1/1" or "Ethernet1/1.200"`,
		attrs: []attr{{name: "device"}, {name: "shared"}, {name: "vlan"}}},
	{kind: "class", label: "the name of a class",
		blocks: []*schema{{kind: "limits", single: true, open: true}}},
	{kind: "failover", single: true,
		attrs: []attr{
			{name: "unit", required: true, example: `"primary"`},
			{name: "key", required: true, example: `{ file = "failover.key" }`},
			{name: "poll"}, {name: "hold"},
		},
		blocks: []*schema{
			{kind: "link", label: "a name for the link", attrs: []attr{
				{name: "interface", required: true, example: `"Ethernet0/9"`},
				{name: "address", required: true, example: `"192.168.255.1/30"`},
				{name: "peer", required: true, example: `"192.168.255.2"`},
			}},
			{kind: "group", label: "the name of a failover group", attrs: []attr{
				{name: "prefer"}, {name: "preempt"}, {name: "preempt_delay"}, {name: "interface_policy"}, {name: "monitor_interfaces"},
			}},
		},
	},
	{kind: "context", label: "the name of a context",
		attrs: []attr{{name: "member"}, {name: "failover_group"}, {name: "suspended"},
			{name: "config_url", required: true, example: `"file:blue.hcl"`},
			{name: "config_ca"}, {name: "config_timeout"}},
		blocks: []*schema{
			{kind: "allocate_interface", label: "the name of an interface of the system", attrs: []attr{{name: "name"}, {name: "addresses"}}},
			{kind: "storage", label: `the word "shared"`, attrs: []attr{
				{name: "path", required: true, example: `"/srv/images"`}, {name: "label"},
			}},
		},
	},
}}

// contextSchema is the language of a context's file.
var contextSchema = &schema{blocks: []*schema{
	{kind: "interface", label: "the name of an interface allocated to the context", attrs: []attr{
		{name: "address", required: true, example: `"198.51.100.1/24"`},
		{name: "standby"}, {name: "mtu"}, {name: "mac"}, {name: "standby_mac"}, {name: "shutdown"},
	}},
	{kind: "route", label: `a destination, such as "0.0.0.0/0"`, attrs: []attr{
		{name: "interface", required: true, example: `"outside"`}, {name: "gateway"}, {name: "metric"},
	}},
	{kind: "ip_pool", label: "the name of a pool", attrs: []attr{
		{name: "range", required: true, example: `"10.99.0.10-10.99.0.250"`},
	}},
	{kind: "ikev2_policy", label: "a priority from 1 to 65535; 1 is tried first", attrs: []attr{
		{name: "encryption"}, {name: "integrity"}, {name: "prf"}, {name: "group"}, {name: "lifetime"}, {name: "allow_weak"},
	}},
	{kind: "ipsec_proposal", label: "the name of a proposal", attrs: []attr{
		{name: "encryption"}, {name: "integrity"}, {name: "esn"}, {name: "lifetime"}, {name: "lifetime_bytes"}, {name: "allow_weak"},
	}},
	{kind: "group_policy", label: "the name of a group policy", attrs: []attr{
		{name: "dns_servers"}, {name: "default_domain"}, {name: "split_tunnel"}, {name: "address_pools"}, {name: "tunnel_protocols"},
		{name: "session_timeout"}, {name: "idle_timeout"}, {name: "banner"}, {name: "simultaneous_logins"},
	}},
	{kind: "tunnel_group", label: "the name of a tunnel group",
		attrs: []attr{
			{name: "type", required: true, example: `"remote-access"`},
			{name: "default_group_policy"}, {name: "address_pools"}, {name: "dpd"}, {name: "remote_networks"}, {name: "unique"},
		},
		blocks: []*schema{{kind: "ikev2", single: true, attrs: []attr{
			{name: "local_identity"}, {name: "remote_identity"},
			{name: "local_authentication", required: true, example: `{ pre_shared_key = { file = "gateway.psk" } }`},
			{name: "remote_authentication", required: true, example: `{ pre_shared_key = { file = "clients.psk" } }`},
		}}},
	},
	{kind: "crypto_map", label: "the interface that it is bound to", blocks: []*schema{
		{kind: "static", label: "a name for the entry", attrs: []attr{
			{name: "peer", required: true, example: `"203.0.113.1"`},
			{name: "tunnel_group", required: true, example: `"headquarters"`},
			{name: "connection"}, {name: "request_address"}, {name: "local_networks"}, {name: "remote_networks"},
			{name: "ipsec_proposals"}, {name: "reverse_route"}, {name: "any_address"},
		}},
		{kind: "dynamic", label: "a name for the entry", attrs: []attr{{name: "ipsec_proposals"}, {name: "reverse_route"}}},
	}},
	{kind: "ikev2", single: true,
		attrs: []attr{{name: "cookie_threshold"}, {name: "max_half_open"}, {name: "half_open_timeout"}, {name: "nat_keepalive"}},
		blocks: []*schema{{kind: "retransmit", single: true, attrs: []attr{
			{name: "base"}, {name: "factor"}, {name: "tries"},
		}}},
	},
	{kind: "dataplane", single: true, attrs: []attr{
		{name: "replay_window"}, {name: "mtu"}, {name: "force_udp_encapsulation"}, {name: "df_bit"},
		{name: "backend"}, {name: "gso"}, {name: "gro"}, {name: "tun_offload"}, {name: "batching"},
	}},
}}
