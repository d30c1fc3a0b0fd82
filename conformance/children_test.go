//go:build e2e

package conformance

// protoPorts are children for ICMP, and for ssh.
var protoPorts = []string{
	"home.children.icmp.local_ts = dynamic[icmp]", "home.children.icmp.remote_ts = 10.1.0.0/16[icmp]",
	"home.children.ssh.local_ts = dynamic[tcp]", "home.children.ssh.remote_ts = 10.1.0.0/16[tcp/22]",
	"-home.children.home.remote_ts",
}

// trapping are those children with traps.
func trapping(list []string, children ...string) []string {
	out := append([]string(nil), list...)
	for _, c := range children {
		out = append(out, "home.children."+c+".start_action = trap")
	}
	return out
}

// ranges are children for echo requests, echo replies, and TCP from and to ranges of
// ports.
var ranges = []string{
	"home.children.request.local_ts = dynamic[icmp/2048]", "home.children.request.remote_ts = 10.1.0.0/16[icmp/2048]",
	"home.children.reply.local_ts = dynamic[icmp/0]", "home.children.reply.remote_ts = 10.1.0.0/16[icmp/0]",
	"home.children.ssh.local_ts = dynamic[tcp/32768-65535]", "home.children.ssh.remote_ts = 10.1.0.0/16[tcp/21-22]",
	"-home.children.home.remote_ts",
}

// byPorts are scenarios with selectors that name protocols and ports.
var byPorts = []scenario{
	{number: 58, moon: gateway(hosts(`"192.168.0.0/24"`)), steps: []step{
		peer("carol", hostClient("carol", protoPorts...)), up("carol", "icmp"), up("carol", "ssh"), sas(1, 2),
		ping("carol", "alice"), ping("alice", "carol"), tcp("carol", "alice", 22),
	}},
	{number: 59, moon: gateway(hosts(`"192.168.0.0/24"`)), kernel: true, steps: []step{
		peer("carol", hostClient("carol", ranges...)), up("carol", "request"), up("carol", "reply"), up("carol", "ssh"),
		sas(1, 3), ping("carol", "alice"), tcp("carol", "alice", 22), tcp("carol", "alice", 21),
	}},
	{number: 60, moon: gateway(hosts(`"192.168.0.0/24"`)), kernel: true, steps: []step{
		peer("carol", hostClient("carol", trapping(protoPorts, "icmp", "ssh")...)), sas(0, 0),
		trapped("carol", "10.1.0.10"), sas(1, 1), ping("carol", "alice"), tcp("carol", "alice", 22), sas(1, 2),
	}},
}
