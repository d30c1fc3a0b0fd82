# The smallest system configuration: two tenants on one box. Accepted as it stands.
system {
  state_dir = "/var/lib/warren" # holds disk0: of every context
  run_dir   = "/run/warren"     # sockets, namespaces' names
}

interface "Ethernet1/1" { device = "wb-out" } # a device of the namespace that warrend runs in
interface "Ethernet1/2" { device = "wb-in" }
interface "Ethernet2/1" { device = "wr-out" }
interface "Ethernet2/2" { device = "wr-in" }

class "default" {
  limits {
    all            = 0 # unlimited
    vpn_anyconnect = "50%"
  }
}

class "bronze" {
  limits {
    vpn_anyconnect = 2 # concurrent remote-access sessions of each member
    cpu            = "50%"
    memory         = "256MiB"
  }
}

context "blue" {
  config_url = "file:blue.hcl" # relative to this file; disk0:/blue.hcl and https:// are the other forms

  allocate_interface "Ethernet1/1" { name = "outside" }
  allocate_interface "Ethernet1/2" { name = "inside" }
}

context "red" {
  member     = "bronze"
  config_url = "file:broken-context.hcl"

  allocate_interface "Ethernet2/1" { name = "outside" }
  allocate_interface "Ethernet2/2" { name = "inside" }
}
