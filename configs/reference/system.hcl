# Reference of the system file: every option. Where an option may be left out,
# the value here is its default; null means "not set". The names in quotes
# behind the keyword of a block are yours to choose unless the text says otherwise.
#
# Values are written out: text in quotes, numbers, true, false, lists and
# objects. There are no variables and no functions.
#
#   time     "50ms", "30s", "5m", "8h", "1d"
#   size     "256MiB", "4GiB" (binary), "500MB" (decimal), or a number of bytes
#   secret   "text", { file = "name" } or { env = "NAME" }
#            A file is read without the line end at its end. Its name is absolute,
#            or relative to the file that names it, or "disk0:/..." within a context.
#            "hex:00ff", also in a file or variable, is a secret in hexadecimal.

system {
  name      = "warren"          # letters, digits, hyphens; names on the host derive from it
  state_dir = "/var/lib/warren" # holds disk0: of every context
  run_dir   = "/run/warren"     # sockets and names of namespaces

  require_sandbox = false # true: no worker starts, no context is read, without seccomp, namespaces, Landlock

  # Root alone may use the API. The members of a group of the host may read, too:
  # show and status, neither keys nor configurations nor packets.
  api {
    group = null # "adm"
  }

  # What percentages in a class refer to. Where the value is null the total is
  # unknown: then a class has an absolute number, and "all" leaves it out.
  limits {
    vpn_sessions         = 20000 # of vpn_anyconnect, and as many of vpn_other: no more exist at once
    ikev2_in_negotiation = 10000 # half-open IKE SAs; of ikev1_in_negotiation, too
    ike_setups           = null  # IKE SAs that peers begin, per second
    bandwidth_in         = null  # bits per second, such as "10Gbit"
    bandwidth_out        = null
    packets              = null # per second
    routes               = null
    mac_addresses        = null
    api_sessions         = null
    syslogs              = null # lines per second
    storage              = null # size
    storage_files        = null # files and directories
    cpu                  = null # cores; by default those of the machine
    memory               = null # size; by default that of the machine
    pids                 = 32768
  }
}

# An interface is a device of the namespace that warrend runs in. It moves into
# the one context that it is allocated to; or, shared, it stays and several
# contexts get a macvlan with a MAC address of their own on it, each with other
# addresses.
interface "Ethernet0/0" {
  device = "eth0"
  shared = false
}

# A dot makes an 802.1Q subinterface of an interface. It has no device of its own.
interface "Ethernet0/1" { device = "eth1" }
interface "Ethernet0/1.200" {
  vlan   = 200 # 1 to 4094; by default the number behind the dot
  shared = false
}

interface "Ethernet0/9" { device = "eth9" }

# A class caps each of its members. What it leaves out it inherits from the
# class "default", which every context without a class is a member of; there,
# what is left out has the values below. A limit is an absolute number, a percentage
# ("12.5%") of system { limits }, or 0: unlimited.
#
# vpn_anyconnect and vpn_other are guarantees: what all contexts are promised
# together must be there. The rest of vpn_sessions is shared, first come, first
# served. vpn_burst_anyconnect and vpn_burst_other say how much of the rest a
# context may have beyond its guarantee: 0 is as much as is left, and null, the
# default, nothing; "all" does not set them. A context whose guarantee is 0 has
# none, and takes everything from the rest.
class "default" {
  limits {
    all                  = null     # a percentage, or 0: for every limit that is not named
    vpn_anyconnect       = 0        # concurrent remote-access sessions
    vpn_burst_anyconnect = null     # more of them, from the rest
    vpn_other            = 0        # concurrent site-to-site tunnels
    vpn_burst_other      = null     # more of them, from the rest
    ikev2_in_negotiation = 1000     # half-open IKE SAs of peers
    ikev1_in_negotiation = 0        # there are none: IKEv1 is not spoken; requests count as denied
    ike_setups           = 100      # IKE SAs that peers begin, per second; half as many need a cookie
    bandwidth_in         = 0        # bits per second of ESP that comes in: "100Mbit"; 1 Mbit or more
    bandwidth_out        = 0        # bits per second of packets for the tunnel; 1 Mbit or more
    packets              = 0        # per second, in and out together; 100 or more
    routes               = 0        # static ones, and those to what a gateway gives us
    mac_addresses        = 0        # entries of the ARP and neighbour tables, 16 or more
    api_sessions         = 0        # requests about the context that are answered at once
    syslogs              = 100      # lines that the context logs, per second
    storage              = 0        # size of what disk0: holds, 64 KiB or more
    storage_files        = 0        # files and directories on disk0:; 0 here is 10,000: inodes are everybody's
    cpu                  = 0        # cores, such as 0.5; a percentage is of all cores
    memory               = "512MiB" # size, 16 MiB or more
    pids                 = 64       # processes and threads of the worker, 16 or more
  }
}

# This node is one of a failover pair. Without the block it is alone.
failover {
  unit         = "primary"                 # or "secondary": the other node's
  key          = { file = "failover.key" } # what `warren failover keygen` writes, the same on both nodes; or text of 16 characters or more
  previous_key = null                      # while the key is changed: what the other node may have still, in the same form
  poll         = "50ms"                    # between heartbeats; 10ms or more
  hold         = "150ms"                   # of silence means that the peer is dead; 30ms and 3 polls or more

  link "direct" {             # one or more; each between the nodes alone
    interface = "Ethernet0/9" # allocated to no context
    address   = "192.168.255.1/30"
    peer      = "192.168.255.2"
  }

  # Contexts that name a group are active on the same node. A context that names
  # none is a group of its own, with the name of the context; "*" says how such
  # groups behave.
  group "*" {
    prefer           = "primary" # active here when both nodes start at once
    preempt          = false     # true: the preferred node takes over again once it is in step
    preempt_delay    = "0s"      # "0s": at once, or 1s to 1h
    interface_policy = 1         # interfaces down that make a node fail; or a percentage, "50%"
  }
  group "1" {
    prefer             = "primary"
    preempt            = false
    preempt_delay      = "0s"
    interface_policy   = 1
    monitor_interfaces = null # by default all that the group's contexts have, but for those that are shut down
  }
}

context "reference" {
  member         = "default"          # class
  failover_group = null               # by default a group of its own
  config_url     = "file:context.hcl" # relative to this file, or "disk0:/context.hcl", or as below
  suspended      = false              # true: it keeps configuration and files, but does not run; its interfaces are free

  allocate_interface "Ethernet0/0" {
    name      = "outside" # name in the context; by default the same
    addresses = []        # networks that its addresses, and pools within its subnets, lie in: "203.0.113.11/32"; empty: any
  }
  allocate_interface "Ethernet0/1.200" { name = "inside" }

  # A directory of the host that the context can read, as "label:/file", and the
  # system change. Several contexts may have the same.
  storage "shared" {
    path  = "/srv/images" # not within state_dir or run_dir
    label = "shared"      # one for each directory; letters, digits, hyphens, underscores
  }
}

# A configuration from a server. The last one that was good is kept in state_dir,
# and used with a warning while the server has none. It may name files of its
# context's disk0: only.
context "elsewhere" {
  failover_group = "1"
  config_url     = "https://conf.example/elsewhere.hcl" # without user and password: it is shown
  config_ca      = null                                 # file in PEM of who vouches for the server; by default whom the host trusts
  config_timeout = "10s"                                # of the whole transfer, 1s to 20s; at most 1 MiB is read
}
