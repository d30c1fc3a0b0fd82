# A client of the pair: Warren as the initiator of a tunnel.
interface "outside" { address = "192.0.2.101/24" }

tunnel_group "hub" {
  type = "site-to-site"

  ikev2 {
    local_identity        = "client-1@clients.example"
    remote_identity       = "hub.acme.example"
    local_authentication  = { pre_shared_key = "the clients' key" }
    remote_authentication = { pre_shared_key = "the gateway's key" }
  }
}

crypto_map "outside" {
  static "hub" {
    peer            = "192.0.2.1"
    tunnel_group    = "hub"
    connection      = "start" # now, and again after every loss
    request_address = true    # take the address that the gateway gives
    remote_networks = ["10.44.0.0/24"]
  }
}
