# The other tenant: the same addresses inside and outside on purpose, other keys.
interface "outside" { address = "198.51.100.1/24" }
interface "inside" { address = "10.10.0.1/24" }

route "0.0.0.0/0" {
  interface = "outside"
  gateway   = "198.51.100.254"
}

ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }

ikev2_policy "10" {
  encryption = ["aes-256-gcm"]
  prf        = ["sha384", "sha256"]
  group      = ["x25519", "ecp256"]
  lifetime   = "24h"
}

ipsec_proposal "strong" {
  encryption = ["aes-256-gcm"]
  lifetmie = "8h"
}

group_policy "staff" {
  dns_servers      = ["10.10.0.53"]
  split_tunnel     = ["10.10.0.0/24"]
  tunnel_protocols = ["ikev2"]
}

tunnel_group "DefaultRAGroup" {
  type                 = "remote-access"
  default_group_policy = "staff"
  address_pools        = ["stuff"]

  ikev2 {
    local_identity        = "gw.red.example"
    local_authentication  = { pre_shared_key = "red-gateway-key" }
    remote_authentication = { pre_shared_key = "red-client-key" }
  }
}

crypto_map "outside" { # answers on this interface, for clients at any address
  dynamic "any" {
    ipsec_proposals = ["strong"]
    reverse_route   = true
  }
}
