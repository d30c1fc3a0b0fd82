package lab

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// StrongSwan is a strongSwan daemon (charon-systemd, with its ESP in userspace)
// that is alone in its namespace: it has no file in common with another.
type StrongSwan struct {
	ns    *Namespace
	proc  *Process
	dir   string
	vici  string
	plain string // its log
	names string // the resolv.conf that it writes
}

// StrongSwanConn is one connection of swanctl.conf, with one child of the same
// name. What is left out is strongSwan's default.
type StrongSwanConn struct {
	Name          string
	Local, Remote string // addresses; Local may be empty
	LocalID       string
	RemoteID      string // "": any
	LocalPSK      string // proves us
	RemotePSK     string // proves the peer; "": LocalPSK
	// LocalCert is the name of the Certificate that proves us, in place of LocalPSK, and
	// RemoteCert says that the peer proves itself by one.
	LocalCert  string
	RemoteCert bool
	// LocalEAP is the method by which we log in, "eap-mschapv2", in place of LocalPSK, as
	// EAPUser and with EAPPassword.
	LocalEAP, EAPUser, EAPPassword string
	Proposals                      string // of the IKE SA: "aes256gcm16-prfsha384-x25519"
	ESPProposals                   string // of the child: "aes256gcm16"
	VIPs                           string // addresses to ask for: "0.0.0.0"
	LocalTS                        string // "": dynamic
	RemoteTS                       string // "": dynamic
	Pool                           string // as a gateway: a range to give addresses from
	DPD                            time.Duration
	Rekey                          string // rekey_time of the child: "10s"
	Reauth                         string // reauth_time of the IKE SA, which is not rekeyed then
	Start                          string // start_action
	Replay                         int    // replay_window; 0: its default
}

// StrongSwanConfig is a daemon with its connections.
type StrongSwanConfig struct {
	Conns []StrongSwanConn
	// Certificates are those of its own, and Authorities whom it trusts, each in PEM.
	Certificates []StrongSwanCert
	Authorities  [][]byte
	// RetransmitTimeout and RetransmitTries bound how long it waits for an
	// answer; zero values are 1 s and 4.
	RetransmitTimeout time.Duration
	RetransmitTries   int
	// FragmentSize is the size in bytes of the IP packets of a message that it
	// fragments; 0: its default, 1280.
	FragmentSize int
	// Load is for a gateway whose speed is measured: it logs nothing, and takes
	// many half-open SAs from one address.
	Load bool
	// MakeBeforeBreak logs in again before it logs out, as strongSwan 6 does by
	// default.
	MakeBeforeBreak bool
	// Swanctl is the whole swanctl.conf, in place of Conns.
	Swanctl string
	// Settings are more lines of the daemon's section of strongswan.conf, which count
	// before those that are there.
	Settings string
	// KernelESP leaves ESP to the kernel, which must have it.
	KernelESP bool
}

// StrongSwanCert is a chain of certificates, each of them in PEM and that of the key first,
// and the key.
type StrongSwanCert struct {
	Name  string
	Chain [][]byte
	Key   []byte
}

// strongSwanPlugins in the order in which they are loaded, which is the order of
// preference: the fast implementations of algorithms come first, and
// kernel-libipsec before kernel-netlink to be the one for ESP.
const strongSwanPlugins = "random nonce aesni openssl aes sha1 sha2 md4 md5 hmac kdf gcm ccm ctr chapoly curve25519 " +
	"gmp pem pkcs1 pkcs8 x509 pubkey constraints revocation eap-identity eap-mschapv2 eap-md5 eap-gtc " +
	userspaceESP + " kernel-netlink resolve socket-default vici updown"

// userspaceESP is the plugin that carries ESP itself.
const userspaceESP = "kernel-libipsec"

// StrongSwan starts a daemon in the namespace and loads its connections.
func (ns *Namespace) StrongSwan(c StrongSwanConfig) *StrongSwan {
	ns.lab.tb.Helper()
	base := fmt.Sprintf("swan-%s-%d", ns.name, count.Add(1))
	s := &StrongSwan{ns: ns, dir: ns.lab.Path(base, "swanctl"), vici: ns.lab.Path(base, "vici"),
		plain: ns.lab.Path(base, "charon.log"),
		names: ns.lab.Path(base, "resolv.conf")}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		ns.lab.tb.Fatalf("lab: %v", err)
	}
	conf := ns.lab.WriteFile(s.daemonConf(c, s.names), base, "strongswan.conf")
	if c.Swanctl == "" {
		c.Swanctl = swanctlConf(c.Conns)
	}
	ns.lab.WriteFile(c.Swanctl, base, "swanctl", "swanctl.conf")
	s.writeCertificates(base, c)
	s.proc = ns.Start(Command{
		Args: []string{"charon-systemd"},
		Env:  []string{"STRONGSWAN_CONF=" + conf, "SWANCTL_DIR=" + s.dir},
	})
	ns.lab.Eventually("strongSwan to answer in "+ns.name, Patience, func() error {
		conn, err := net.Dial("unix", s.vici)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if out, err := s.Swanctl("--load-all", "--noprompt"); err != nil || !strings.Contains(out, "successfully loaded") {
		ns.lab.tb.Fatalf("lab: strongSwan in %s: %v\n%s", ns.name, err, out)
	}
	return s
}

// writeCertificates puts certificates where swanctl looks for them.
func (s *StrongSwan) writeCertificates(base string, c StrongSwanConfig) {
	put := func(b []byte, kind, name string) {
		if err := os.MkdirAll(s.ns.lab.Path(base, "swanctl", kind), 0o755); err != nil {
			s.ns.lab.tb.Fatalf("lab: %v", err)
		}
		s.ns.lab.WriteFile(string(b), base, "swanctl", kind, name)
	}
	for i, b := range c.Authorities {
		put(b, "x509ca", fmt.Sprintf("%d.pem", i))
	}
	for _, x := range c.Certificates {
		for i, b := range x.Chain {
			put(b, "x509", certFile(x.Name, i))
		}
		put(x.Key, "private", x.Name+".pem")
	}
}

// certFile is the name of the file of certificate i of a chain.
func certFile(name string, i int) string { return fmt.Sprintf("%s-%d.pem", name, i) }

// daemonConf is the text of strongswan.conf. The packet marks keep its own
// encrypted packets out of its tunnels.
func (s *StrongSwan) daemonConf(c StrongSwanConfig, resolv string) string {
	timeout, tries := c.RetransmitTimeout, c.RetransmitTries
	if timeout == 0 {
		timeout = time.Second
	}
	if tries == 0 {
		tries = 4
	}
	level, threshold := 2, ""
	if c.Load {
		level, threshold = -1, "dos_protection = no\n  init_limit_half_open = 0"
	}
	plugins := strongSwanPlugins
	if c.KernelESP {
		plugins = strings.Replace(plugins, userspaceESP, "", 1)
	}
	if c.FragmentSize > 0 {
		threshold += fmt.Sprintf("\n  fragment_size = %d", c.FragmentSize)
	}
	return fmt.Sprintf(`charon-systemd {
  load = %s
  %s
  retransmit_timeout = %.2f
  retransmit_tries = %d
  retransmit_base = 1.3
  make_before_break = %s
  plugins {
    vici { socket = unix://%s }
    kernel-netlink { fwmark = !0x42 }
    socket-default { fwmark = 0x42 }
    kernel-libipsec { allow_peer_ts = yes }
    resolve { file = %s }
  }
  journal { default = -1 }
  filelog {
    log {
      path = %s
      flush_line = yes
      default = %d
      ike = %d
      cfg = %d
    }
  }
%s
}
`, plugins, threshold, timeout.Seconds(), tries, yes(c.MakeBeforeBreak), s.vici, resolv, s.plain,
		min(level, 1), level, level, c.Settings)
}

// swanctlConf is the text of swanctl.conf.
func swanctlConf(conns []StrongSwanConn) string {
	var b, secrets strings.Builder
	b.WriteString("connections {\n")
	for i, c := range conns {
		fmt.Fprintf(&b, "  %s {\n    version = 2\n", c.Name)
		setting(&b, "    ", "local_addrs", c.Local)
		setting(&b, "    ", "remote_addrs", c.Remote)
		setting(&b, "    ", "proposals", c.Proposals)
		setting(&b, "    ", "vips", c.VIPs)
		if c.Reauth != "" {
			setting(&b, "    ", "reauth_time", c.Reauth)
			setting(&b, "    ", "rekey_time", "0")
			setting(&b, "    ", "over_time", "20s") // by default a tenth, in whole seconds: none
		}
		if c.Pool != "" {
			setting(&b, "    ", "pools", c.Name)
		}
		if c.DPD > 0 {
			setting(&b, "    ", "dpd_delay", fmt.Sprintf("%dms", c.DPD.Milliseconds()))
		}
		fmt.Fprintf(&b, "    local {\n      auth = %s\n", cmp.Or(c.LocalEAP, method(c.LocalCert != "")))
		setting(&b, "      ", "eap_id", quoted(c.EAPUser))
		if c.LocalCert != "" {
			setting(&b, "      ", "certs", certFile(c.LocalCert, 0))
		}
		setting(&b, "      ", "id", quoted(c.LocalID))
		fmt.Fprintf(&b, "    }\n    remote {\n      auth = %s\n", method(c.RemoteCert))
		setting(&b, "      ", "id", quoted(c.RemoteID))
		fmt.Fprintf(&b, "    }\n    children {\n      %s {\n        dpd_action = clear\n        mode = tunnel\n",
			c.Name)
		setting(&b, "        ", "esp_proposals", c.ESPProposals)
		setting(&b, "        ", "local_ts", c.LocalTS)
		setting(&b, "        ", "remote_ts", c.RemoteTS)
		setting(&b, "        ", "rekey_time", c.Rekey)
		setting(&b, "        ", "start_action", c.Start)
		if c.Replay > 0 {
			setting(&b, "        ", "replay_window", strconv.Itoa(c.Replay))
		}
		b.WriteString("      }\n    }\n  }\n")
		pskSecrets(&secrets, i, c)
	}
	b.WriteString("}\nsecrets {\n" + secrets.String() + "}\npools {\n")
	for _, c := range conns {
		if c.Pool != "" {
			fmt.Fprintf(&b, "  %s { addrs = %s }\n", c.Name, c.Pool)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// method is the word for how a side proves itself.
func method(certificate bool) string {
	if certificate {
		return "pubkey"
	}
	return "psk"
}

// pskSecrets writes the keys of a connection. strongSwan tries every key that
// fits on the peer's proof, so each side may have its own. It proves itself
// with the last one that fits either identity better than the one before; the
// local key names both identities, so that no other fits better.
func pskSecrets(b *strings.Builder, i int, c StrongSwanConn) {
	remote := c.RemoteID
	if remote == "" {
		remote = "%any"
	}
	if c.LocalEAP != "" {
		fmt.Fprintf(b, "  eap-%d {\n    id = %q\n    secret = %q\n  }\n", i, c.EAPUser, c.EAPPassword)
	}
	if (c.LocalCert != "" || c.LocalEAP != "") && c.RemoteCert {
		return
	}
	fmt.Fprintf(b, "  ike-%d-local {\n", i)
	setting(b, "    ", "id-local", quoted(c.LocalID))
	setting(b, "    ", "id-remote", quoted(remote))
	fmt.Fprintf(b, "    secret = %q\n  }\n", c.LocalPSK)
	if c.RemotePSK == "" || c.RemotePSK == c.LocalPSK {
		return
	}
	fmt.Fprintf(b, "  ike-%d-remote {\n", i)
	setting(b, "    ", "id-remote", quoted(remote))
	fmt.Fprintf(b, "    secret = %q\n  }\n", c.RemotePSK)
}

func setting(b *strings.Builder, indent, key, value string) {
	if value != "" {
		fmt.Fprintf(b, "%s%s = %s\n", indent, key, value)
	}
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return strconv.Quote(s)
}

// Swanctl runs one command of swanctl: "--list-conns".
func (s *StrongSwan) Swanctl(args ...string) (string, error) {
	args = append([]string{"swanctl", args[0], "--uri", "unix://" + s.vici}, args[1:]...)
	out, errs, err := s.ns.Output(Command{Args: args, Env: []string{"SWANCTL_DIR=" + s.dir}})
	return out + errs, err
}

// Initiate connects within the timeout, or Patience where that is longer: a peer that is
// refused knows at once. The error carries what strongSwan said.
func (s *StrongSwan) Initiate(conn string, timeout time.Duration) error {
	timeout = max(timeout, Patience)
	out, err := s.Swanctl("--initiate", "--child", conn, "--timeout", strconv.Itoa(int(timeout.Seconds())))
	if err == nil && !strings.Contains(out, "initiate completed successfully") {
		err = errors.New("lab: not completed")
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// MustInitiate is Initiate that ends the test when it fails.
func (s *StrongSwan) MustInitiate(conn string) {
	s.ns.lab.tb.Helper()
	if err := s.Initiate(conn, Patience); err != nil {
		s.ns.lab.tb.Fatalf("lab: strongSwan in %s does not connect: %v", s.ns.name, err)
	}
}

// patienceSeconds is Patience as swanctl takes it.
var patienceSeconds = strconv.Itoa(int(Patience.Seconds()))

// Terminate ends the connection with a DELETE.
func (s *StrongSwan) Terminate(conn string) error {
	out, err := s.Swanctl("--terminate", "--ike", conn, "--timeout", patienceSeconds)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// TerminateChild ends the connection's child SA with a DELETE.
func (s *StrongSwan) TerminateChild(conn string) error {
	out, err := s.Swanctl("--terminate", "--child", conn, "--timeout", patienceSeconds)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// Rekey renews the connection's child SA, or its IKE SA.
func (s *StrongSwan) Rekey(conn string, ikeSA bool) error {
	what := "--child"
	if ikeSA {
		what = "--ike"
	}
	out, err := s.Swanctl("--rekey", what, conn)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// ListSAs is what strongSwan says of its SAs, in its own notation.
func (s *StrongSwan) ListSAs() string {
	out, err := s.Swanctl("--list-sas", "--raw")
	if err != nil {
		return err.Error()
	}
	return out
}

// Established reports whether any IKE SA stands.
func (s *StrongSwan) Established() bool { return strings.Contains(s.ListSAs(), "state=ESTABLISHED") }

var vipPattern = regexp.MustCompile(`local-vips=\[([^\]]*)\]`)

// VIPs are the addresses that the gateway gave.
func (s *StrongSwan) VIPs() []string {
	m := vipPattern.FindStringSubmatch(s.ListSAs())
	if m == nil {
		return nil
	}
	return strings.Fields(m[1])
}

// DNS is the resolv.conf that the daemon has written.
func (s *StrongSwan) DNS() string {
	b, err := os.ReadFile(s.names)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Log is the daemon's log so far.
func (s *StrongSwan) Log() string {
	b, err := os.ReadFile(s.plain)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// WaitLog waits until the daemon's log has what is looked for; the error is the whole log.
func (s *StrongSwan) WaitLog(what *regexp.Regexp) error {
	return until(Patience, func() error {
		if log := s.Log(); !what.MatchString(log) {
			return fmt.Errorf("the log of strongSwan in %s has no %s:\n%s", s.ns.name, what, log)
		}
		return nil
	})
}

// Stop ends the daemon, which deletes its SAs in good order.
func (s *StrongSwan) Stop() { s.proc.Stop() }

// Kill ends the daemon without a word to its peers.
func (s *StrongSwan) Kill() { s.proc.Kill() }

// PID is the daemon's process id.
func (s *StrongSwan) PID() int { return s.proc.PID() }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
