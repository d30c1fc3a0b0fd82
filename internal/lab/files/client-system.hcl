# Both clients on one box; their outside addresses are the same, too.
interface "Ethernet1/1" { device = "cb-out" }
interface "Ethernet2/1" { device = "cr-out" }

context "blue" {
  config_url = "file:client-blue.hcl"

  allocate_interface "Ethernet1/1" { name = "outside" }
}

context "red" {
  config_url = "file:client-red.hcl"

  allocate_interface "Ethernet2/1" { name = "outside" }
}
