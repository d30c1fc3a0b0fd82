package lab

import (
	"fmt"
	"strings"
	"time"
)

// FreeRADIUS is a RADIUS server that is alone in its namespace: it has no file in common
// with another.
type FreeRADIUS struct {
	ns   *Namespace
	dir  string // of its configuration
	proc *Process
}

// FreeRADIUSConfig is a server with its users.
type FreeRADIUSConfig struct {
	Listen string // its address; the port is 1812
	Client string // address of the gateway, or its network
	Key    string
	EAP    string // the method that it offers first: "mschapv2" or "md5"
	// Users is its users file: `alice Cleartext-Password := "password"`, and below it what an
	// Access-Accept has.
	Users string
}

// FreeRADIUS starts a server in the namespace.
func (ns *Namespace) FreeRADIUS(c FreeRADIUSConfig) *FreeRADIUS {
	ns.lab.tb.Helper()
	base := fmt.Sprintf("radius-%s-%d", ns.name, count.Add(1))
	s := &FreeRADIUS{ns: ns, dir: ns.lab.Path(base)}
	users := ns.lab.WriteFile(c.Users, base, "users")
	conf := strings.NewReplacer("DIR", s.dir, "LISTEN", c.Listen, "CLIENT", c.Client, "KEY", c.Key, "METHOD", c.EAP,
		"USERS", users).Replace(freeRADIUSConf)
	ns.lab.WriteFile(conf, base, "radiusd.conf")
	s.Start()
	return s
}

// Start starts the server, which was stopped.
func (s *FreeRADIUS) Start() {
	s.ns.lab.tb.Helper()
	s.proc = s.ns.Start(Command{Args: []string{"freeradius", "-f", "-xx", "-l", "stdout", "-d", s.dir}})
	s.proc.WaitLog("Ready to process requests", 20*time.Second)
}

// Stop ends the server.
func (s *FreeRADIUS) Stop() { s.proc.Stop() }

// Log is what the server has printed.
func (s *FreeRADIUS) Log() string { return s.proc.Log() }

// freeRADIUSConf is all of its configuration: what Debian ships has a hundred files, and
// users and folders of the system.
const freeRADIUSConf = `prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = DIR
localstatedir = DIR
logdir = DIR
run_dir = DIR
db_dir = DIR
pidfile = DIR/pid
max_request_time = 30
cleanup_delay = 5
max_requests = 4096
hostname_lookups = no
proxy_requests = no
log {
  destination = stdout
  auth = yes
}
security {
  max_attributes = 200
  reject_delay = 0
  status_server = yes
}
thread pool {
  start_servers = 2
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 4
  max_requests_per_server = 0
}
client gateway {
  ipaddr = CLIENT
  secret = KEY
  require_message_authenticator = yes
}
modules {
  pap {
  }
  mschap {
  }
  files {
    usersfile = USERS
  }
  eap {
    default_eap_type = METHOD
    timer_expire = 60
    ignore_unknown_eap_types = no
    max_sessions = 4096
    md5 {
    }
    mschapv2 {
    }
  }
}
server default {
  listen {
    type = auth
    ipaddr = LISTEN
    port = 1812
  }
  authorize {
    files
    eap {
      ok = return
    }
    mschap
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type MS-CHAP {
      mschap
    }
    mschap
    eap
  }
}
`
