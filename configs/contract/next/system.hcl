# The blocks of the system file that mend.hcl needs, and those that failover and
# confinement have.
system {
  name            = "edge-1"
  require_sandbox = true # refuse to start a worker where seccomp, namespaces or Landlock are missing
}

interface "Ethernet0/0" {
  device = "eth0"
  shared = true
}
interface "Ethernet0/1" { device = "eth1" }
interface "Ethernet0/9" { device = "eth9" }

failover {
  unit = "primary"
  key  = { file = "failover.key" } # what `warren failover keygen` writes: 32 random bytes

  link "direct" {
    interface = "Ethernet0/9"
    address   = "192.168.255.1/30"
    peer      = "192.168.255.2"
  }

  group "*" { prefer = "primary" } # for every context that names no group: each is its own
}

context "acme" {
  config_url = "file:mend.hcl"

  allocate_interface "Ethernet0/0" {
    name      = "outside"
    addresses = ["192.0.2.1/32", "2001:db8:1::1/128"] # what the context may use on a shared wire
  }
  allocate_interface "Ethernet0/1" { name = "inside" }
}
