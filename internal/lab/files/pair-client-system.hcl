interface "Ethernet0/0" { device = "cl-out" }

context "client" {
  config_url = "file:client.hcl"

  allocate_interface "Ethernet0/0" { name = "outside" }
}
