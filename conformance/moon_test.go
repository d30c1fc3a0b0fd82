//go:build e2e

package conformance

import (
	"fmt"
	"strings"
)

// gateway is moon's file: its interfaces, and what a scenario has.
func gateway(parts ...string) string {
	return `
interface "outside" { address = ["192.168.0.1/24", "fec0::1/16"] }
interface "inside" { address = ["10.1.0.1/16", "fec1::1/16"] }

route "0.0.0.0/0" {
  interface = "outside"
  gateway   = "192.168.0.254"
}
` + strings.Join(parts, "\n")
}

// hiddenGateway is gateway behind a router.
func hiddenGateway(parts ...string) string {
	return strings.NewReplacer(`["192.168.0.1/24", "fec0::1/16"]`, `"10.6.0.1/24"`, "192.168.0.254",
		"10.6.0.254").Replace(gateway(parts...))
}

// authentication are the identity of moon and the key of everybody, for whom
// remote is a pattern.
func authentication(remote string) string {
	return fmt.Sprintf(`
  ikev2 {
    local_identity        = "moon.strongswan.org"
    remote_identity       = %q
    local_authentication  = { pre_shared_key = %q }
    remote_authentication = { pre_shared_key = %q }
  }
`, remote, key, key)
}

// clients is a connection profile of road warriors, which get addresses of pools: a
// list in HCL. What they reach through the tunnel is up to them.
func clients(name, remote, pools string, more ...string) string {
	return fmt.Sprintf("tunnel_group %q {\n  type          = \"remote-access\"\n  address_pools = [%s]\n%s%s}\n", name,
		pools, strings.Join(more, "\n"), authentication(remote))
}

// pool is a range of addresses to give.
func pool(name, addresses string) string {
	return fmt.Sprintf("ip_pool %q { range = %q }\n", name, addresses)
}

// roadWarriors are all clients, with one pool.
var roadWarriors = pool("rw", "10.3.0.1-10.3.0.14") + clients("DefaultRAGroup", "*", `"rw"`) + dynamic

// hosts are peers at any address that protect one of these networks: a list in HCL.
func hosts(networks string, more ...string) string {
	return fmt.Sprintf("tunnel_group \"hosts\" {\n  type = \"site-to-site\"\n  remote_networks = [%s]\n%s%s}\n",
		networks, strings.Join(more, "\n"), authentication("*@strongswan.org")) + dynamic
}

// dynamic has moon answer everybody.
const dynamic = "crypto_map \"outside\" {\n  dynamic \"any\" {}\n}\n"

// static is the entry of a crypto map for a peer, with the networks of both ends.
func static(name, peer, connection, local, remote string) string {
	return fmt.Sprintf("  static %q {\n    peer            = %q\n    tunnel_group    = %q\n    connection      = %q\n"+
		"    local_networks  = [%s]\n    remote_networks = [%s]\n  }\n", name, peer, name, connection, local, remote)
}

// group is the profile of a peer that has a static entry.
func group(name string, more ...string) string {
	return fmt.Sprintf("tunnel_group %q {\n  type = \"site-to-site\"\n%s%s}\n", name, strings.Join(more, "\n"),
		authentication(name+".strongswan.org"))
}

// cryptoMap has the entries of sites.
func cryptoMap(entries ...string) string {
	return "crypto_map \"outside\" {\n" + strings.Join(entries, "") + "}\n"
}

// sun is what moon has for the site of sun, which connects.
var sun = group("sun") + cryptoMap(static("sun", "192.168.0.2", "respond", `"10.1.0.0/16"`, `"10.2.0.0/16"`))

// proposals are policies and proposals with one cipher and some groups, lists in HCL.
func proposals(encryption, groups string) string {
	return fmt.Sprintf("ikev2_policy \"10\" {\n  encryption = [%s]\n  group      = [%s]\n}\n"+
		"ipsec_proposal \"default\" { encryption = [%s] }\n", encryption, groups, encryption)
}
