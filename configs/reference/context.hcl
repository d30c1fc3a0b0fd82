# Reference of a context's file: every option. Where an option may be left out,
# the value here is its default; null means "not set". system.hcl, beside this
# file, says how times, sizes and secrets are written.

interface "outside" {               # one that the system allocated, by its name in the context
  address     = ["198.51.100.1/24"] # one, or a list: IPv4 and IPv6; the active node's in a pair
  standby     = null                # one in each of these subnets: the standby node's
  mtu         = null                # bytes; by default the device's
  mac         = null                # "02:00:5e:10:00:01", the active node's; by default generated where needed
  standby_mac = null                # the standby node's
  shutdown    = false               # true: configured, and down; the health of a failover unit does not depend on it
}

interface "inside" { address = "10.10.0.1/24" }

route "0.0.0.0/0" {
  interface = "outside"
  gateway   = null # by default everything there is on link
  metric    = 0
}

ip_pool "staff" {
  range = "10.99.0.10-10.99.0.250" # first and last, or a network, such as "10.99.0.0/24": without its first and last address
  mask  = null                     # "255.255.255.0", what an IPv4 client is told with its address; by default nothing, and it stands alone

  # For how long an address that comes back is for nobody but who had it, 1s to 8h;
  # "0s": as long as others can have one that nobody had.
  reuse_delay = "0s"
}

# Proposals for IKE SAs, the lowest number first. Every list is in order of
# preference. Without a block there is one with these values, and behind it one for
# clients that have nothing newer: aes-256-cbc with sha256, sha384 or sha512, the same
# as PRF, and behind these groups modp2048.
#
#   encryption  aes-256-gcm aes-192-gcm aes-128-gcm chacha20-poly1305,
#               or, with integrity: aes-256-cbc aes-192-cbc aes-128-cbc
#   integrity   sha256 sha384 sha512; with CBC only, and needed there
#   prf         sha256 sha384 sha512
#   group       x25519 ecp256 ecp384 ecp521 modp2048 modp3072 modp4096
#
# des, 3des, md5, sha1, modp768, modp1024 and modp1536 need allow_weak = true.
ikev2_policy "10" {
  encryption = ["aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"]
  integrity  = null
  prf        = ["sha384", "sha256"]
  group      = ["x25519", "ecp384", "ecp256"]
  lifetime   = "24h" # 2m to 30d; then the IKE SA is renewed
  allow_weak = false
}

# Proposals for child SAs. Without a block there is one with these values, and behind
# it one with aes-256-cbc and sha256, sha384 or sha512.
ipsec_proposal "default" {
  encryption     = ["aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"]
  integrity      = null
  esn            = ["esn", "no-esn"] # 64-bit sequence numbers, or 32-bit ones
  lifetime       = "8h"              # 2m to 30d
  lifetime_bytes = 0                 # size, 1 MiB or more, of one direction; 0: no limit
  allow_weak     = false
}

# What a session gets. What a group policy leaves out it inherits from
# DfltGrpPolicy, which is always there; these are its values. "none" in place of a
# value is nothing: no server, no time-out, no text, no pool, and stops inheritance.
# docs/policies.md says whose value counts where several have one.
group_policy "DfltGrpPolicy" {
  dns_servers         = []
  wins_servers        = [] # IPv4, up to 4
  default_domain      = ""
  split_tunnel        = []   # networks behind this gateway, up to 64; empty: everything goes through the tunnel
  split_exclude       = null # in place of split_tunnel: networks that do not go through it; all others do
  split_dns           = []   # domains that dns_servers are asked about, up to 32, for clients of RFC 8598; others ask them about all
  address_pools       = []   # tried in this order; where there is one, instead of the tunnel group's; { outside = [...], "*" = [...] }: by interface
  tunnel_protocols    = ["ikev2"]
  session_timeout     = "0s" # 1m or more; "0s": never
  idle_timeout        = "0s" # 1m or more without traffic; "0s": never
  banner              = ""
  simultaneous_logins = 3    # of one identity at once; 0: nobody may log in; or "unlimited"
  access_hours        = []   # such as ["Mon-Fri 07:00-20:00", "Sat 08:00-12:00", "daily 06:00-24:00"]; sessions end with them; empty: always
  time_zone           = null # of access_hours: "Europe/Berlin"; by default UTC
  group_lock          = null # the only tunnel_group for sessions of this policy
}

# Users: what is said of one goes before all group policies. The entry is for whoever has
# proven to be of this name: by its password in a tunnel group with EAP whose
# authentication_server_group is "LOCAL", or by a certificate or a key of its own, where
# the name is the identity, such as "alice@example", and needs no password.
user "alice" {
  password            = "reference-alice-pw" # a secret of 1 to 256 characters; better what `warren passwd` makes of it, in a file
  nopassword          = null                 # is refused: whoever knows a name could log in
  privilege           = 2                    # 0 to 2, which are the same: a user of the VPN
  group_policy        = null                 # in place of that of the tunnel group, as far as it says something
  address             = []                   # an IPv4 and an IPv6 address that nobody else gets, of a pool or not
  simultaneous_logins = null                 # in place of what policies say; 0: locked out; or "unlimited"
  group_lock          = null                 # the only tunnel_group for the user
  expires             = null                 # "2027-03-31", the last day, in UTC
}

# A tunnel group is a connection profile: who may connect, and how both sides
# prove who they are. A peer gets the group with its exact identity before one
# with a longer pattern, that before a shorter one, and "*" last; DefaultRAGroup
# and DefaultL2LGroup come after all others. default_group_policy, address_pools, dpd
# and unique of these two hold for groups of their types that leave them out. Two
# groups that could take a peer with equal right are an error, unless the address of
# the peer tells: a group that a static entry names is served by static entries alone.
#
#   identity  "gw.example", "user@example", "198.51.100.1", "2001:db8::1",
#             "keyid:text" or "keyid:#0a0b", "asn1dn:CN=gw,O=Example,C=CH" (the
#             most specific part first, as in RFC 4514); "fqdn:..." and
#             "email:..." for names that look like something else
#   pattern   an identity, "*", "*.example" and "*@example", or a name with all of
#             its parts, of which some are free: "asn1dn:CN=*,OU=laptops,O=Example"
tunnel_group "DefaultRAGroup" {
  type                 = "remote-access" # clients, which get addresses; or "site-to-site"
  default_group_policy = "DfltGrpPolicy"
  address_pools        = []    # tried in this order
  dpd                  = "30s" # 10s to 1h: a peer silent for so long is asked whether it lives; "0s": never

  # What a login does that is one more than simultaneous_logins allows: "replace"
  # ends the session that was idle longest, "keep" refuses the login, and "never"
  # does so, too, and ignores INITIAL_CONTACT, by which a peer says that its earlier
  # sessions are over.
  unique = "replace"

  ikev2 {
    local_identity        = null                                     # "gw.example", "gw@example", "198.51.100.1"; by default the address
    remote_identity       = "*"                                      # pattern or list of patterns, such as "*.example"
    local_authentication  = { pre_shared_key = "reference-gateway" } # secret of 1 to 128 characters; 16 by chance, or more
    remote_authentication = { pre_shared_key = "reference-clients" }
  }
}

# Keys of single identities, in place of one that all share: who has one of these
# can be nobody else.
tunnel_group "staff" {
  type = "remote-access"
  ikev2 {
    remote_identity      = "*@staff.example"
    local_authentication = { pre_shared_key = "hex:00112233445566778899aabbccddeeff" }
    remote_authentication = {
      pre_shared_keys = { "alice@staff.example" = "reference-alice-0", "bob@staff.example" = { file = "site.psk" } }
    }
  }
}

# Certificates: a chain and a key that prove this gateway, or authorities that vouch for
# peers, or both.
trustpoint "gateway" {
  certificate = { file = "gateway.pem" } # PEM, the certificate of the key first, then who vouches for it; or DER
  key         = { file = "gateway.key" } # PKCS #8, PKCS #1, SEC 1; an encrypted one: { file = "...", password = "..." }
}

trustpoint "gateway-of-windows" {
  # Both in one file, in place of the two; the chain is found in it, whatever its order.
  pkcs12 = { file = "gateway.p12", password = { file = "gateway.p12.password" } }
}

trustpoint "laptops" {
  ca         = [{ file = "laptops-ca.pem" }] # each certificate in it is trusted as it is
  crl        = [{ file = "laptops-ca.crl" }] # what they have revoked
  revocation = ["crl", "none"]               # without "none" nobody is let in whose authority has no CRL that is up to date

  # OIDs of certificate policies, one of which is in a peer's certificate and those of the
  # authorities between; by default any will do, and none.
  certificate_policies = null
}

tunnel_group "laptops" {
  type = "remote-access"
  ikev2 {
    local_identity        = null # a name of the certificate; by default its subject
    remote_identity       = ["*.laptops.example", "asn1dn:CN=*,OU=laptops,O=Example"]
    local_authentication  = { certificate = "gateway" }
    remote_authentication = { certificate = "laptops" }
    rsa_sig_hash          = "sha2" # "sha1": RSA signatures of and for peers that know nothing of RFC 7427 have SHA-1
  }
}

# Servers that know users: a tunnel group names them as its authentication_server_group.
# They are asked in this order. One that leaves several requests in a row without an answer
# is dead, and the next one is asked at once; while none lives, all are asked.
aaa_server_group "ISE" {
  protocol            = "radius"
  accounting          = false
  dead_time           = "10m" # 1s to 1d: then one request asks whether it lives
  max_failed_attempts = 3     # 1 to 100 requests

  server "10.10.0.100" {
    interface           = "inside"               # requests have its address, and leave there; by default as routes say
    key                 = "reference-radius-key" # secret of 1 to 128 characters; 16 by chance, or more
    authentication_port = 1812
    timeout             = "2s" # 100ms to 2m, until a request is sent again; each further wait is twice as long
    retries             = 2    # 0 to 10 repeats; then the next server is asked
  }
}

# EAP: clients log in with a name and a password, as Windows, Apple's and Android's do. The
# gateway has to prove itself first, by a certificate that they trust.
tunnel_group "phones" {
  type                        = "remote-access"
  authentication_server_group = "LOCAL" # the users of this file
  ikev2 {
    local_identity       = null
    remote_identity      = "*.phones.example"
    local_authentication = { certificate = "gateway" }
    remote_authentication = {
      eap = {
        query_identity = true                # false: the name is the identity in IKE, which few clients make so
        methods        = ["mschapv2", "gtc"] # of local users, the first one first; "md5" is weak
        only           = false               # true: no certificate of the gateway for clients that want none (RFC 5998)
      }
    }
  }
}

tunnel_group "headquarters" {
  type            = "site-to-site"
  remote_networks = [] # what a site may bring that no static entry names: one at an unknown address; empty: nothing
  ikev2 {
    local_authentication  = { pre_shared_key = { file = "site.psk" } }
    remote_authentication = { pre_shared_key = { env = "WARREN_TEST_PSK" } }
  }
}

# A certificate map chooses the tunnel group of peers whose certificate keeps all of its
# rules, before their identity does; maps are tried in the order of the file. A group that
# one of them names is for such peers alone, and only for those that its remote_identity
# takes. Rules are those of the appliance world:
#   subject-name|issuer-name [attr cn|o|ou|c|l|st|dc|ea|uid|ser|...] eq|ne|co|nc TEXT
#   alt-subject-name eq|ne|co|nc TEXT    names and addresses
#   serial-number eq|ne HEX              extended-key-usage co|nc clientauth|ipsecike|...|OID
certificate_map "lab" {
  rules        = ["subject-name attr ou eq lab", "issuer-name attr o eq Example"]
  tunnel_group = "laptops"
}

# A crypto map binds IPsec to an interface. Entries for known peers are tried
# first, in this order; then the dynamic one, for peers at any address.
crypto_map "outside" {
  static "headquarters" {
    peer            = "198.51.100.77"
    tunnel_group    = "headquarters"
    any_address     = false            # true: the peer is served from other addresses as well, with these networks
    connection      = "start"          # at once and after every loss; or "respond"
    request_address = false            # true: ask the peer for an address, as a client
    local_networks  = ["10.10.0.0/24"] # not with request_address
    remote_networks = ["10.20.0.0/24"] # with request_address by default "0.0.0.0/0"
    ipsec_proposals = null             # by default all of this file
    reverse_route   = true             # networks of SAs that stand go before static routes of the same length
  }

  dynamic "any" {
    ipsec_proposals = null
    reverse_route   = true
  }
}

ikev2 {
  cookie_threshold  = 100   # half-open IKE SAs above which initiators must return a cookie; 0: always
  max_half_open     = 1000  # above which the oldest of the source that has most gives way
  half_open_timeout = "30s" # 1s to 10m
  nat_keepalive     = "20s" # 5s to 1h; "0s": none
  fragmentation     = true  # long messages travel in pieces with peers that can do it (RFC 7383)
  fragment_size     = 1280  # bytes of the largest IP packet of a message then, 576 to 9216

  # What proves this gateway in each tunnel group for clients without local_authentication.
  remote_access_trustpoint = null

  retransmit {
    base   = "1s" # until the first repeat; 100ms to 1m
    factor = 1.8  # of growth of each wait; 1 to 4
    tries  = 6    # repeats; then the peer is dead
  }
}

mobike {
  enabled                  = true  # SAs stay when an address of a client, or of a gateway that has dialled, changes (RFC 4555)
  return_routability_check = false # their traffic follows when they have answered at the new one
}

dataplane {
  replay_window           = 1024   # packets, 64 to 4096; 0: replays are not detected
  mtu                     = 0      # bytes within the tunnel, 576 to 9216; 0: computed
  force_udp_encapsulation = false  # even where there is no NAT
  df_bit                  = "copy" # of the outer packet: "copy", "set" or "clear"
  backend                 = "auto" # who carries ESP: "userspace", the context's worker, is the only one

  # What kernel and devices have is used, and done without where they refuse.
  # false does without in any case: many packets then cost as many system calls.
  gso         = true # UDP segmentation offload when sending
  gro         = true # and when receiving
  tun_offload = true # super-packets of up to 64 KiB through the tunnel device
  batching    = true # several messages in one system call
}
