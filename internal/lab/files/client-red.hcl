# A client of tenant red: Warren as the initiator of a tunnel.
interface "outside" { address = "198.51.100.2/24" }

tunnel_group "hub" {
  type = "site-to-site"

  ikev2 {
    local_identity        = "bob@red.example"
    remote_identity       = "gw.red.example"
    local_authentication  = { pre_shared_key = "red-client-key" }
    remote_authentication = { pre_shared_key = "red-gateway-key" }
  }
}

crypto_map "outside" {
  static "hub" {
    peer            = "198.51.100.1"
    tunnel_group    = "hub"
    connection      = "start" # now, and again after every loss
    request_address = true    # take the address that the gateway gives
    remote_networks = ["10.10.0.0/24"]
  }
}
