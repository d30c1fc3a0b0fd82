package configs

import (
	"crypto/x509"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Remote is the configuration of one context that a server has.
type Remote struct {
	Location // of SchemeHTTPS
	// CA is in PEM: one of these must vouch for the server; nil: whom the host
	// trusts.
	CA      []byte
	Timeout time.Duration // of the whole transfer
}

// Remotes returns what must be fetched before Load, of which the loader then
// gives the content, and the state_dir. Problems are ignored: Load tells them.
func Remotes(l Loader, path string) (stateDir string, list []Remote) {
	s := newSystemReader(newReader(l, Machine{}), path)
	n := s.parse(s.at, hcl.Range{}, systemSchema)
	if n == nil {
		return "", nil
	}
	s.readGlobals(n.one("system"))
	for i, c := range n.each("context") {
		if i < maxContexts && isName(c.label.text, 32) {
			s.configOf(c)
		}
	}
	return s.sys.StateDir, s.remotes
}

// DefaultStateDir is the state_dir of a system file that names none.
const DefaultStateDir = "/var/lib/warren"

// Places are what a system has for itself on a host: no other one may use any of
// them at the same time.
type Places struct {
	Name             string
	StateDir, RunDir string // absolute
}

// PlacesOf returns the places that the system file at path names, whatever else is wrong with
// it, and whether it requires a sandbox; ok is false where it cannot be read or the places
// cannot be used.
func PlacesOf(l Loader, path string) (p Places, requireSandbox, ok bool) {
	s := newSystemReader(newReader(l, Machine{}), path)
	n := s.parse(s.at, hcl.Range{}, systemSchema)
	if n == nil {
		return Places{}, false, false
	}
	s.readGlobals(n.one("system"))
	p = Places{s.sys.Name, s.sys.StateDir, s.sys.RunDir}
	return p, s.sys.RequireSandbox, isName(p.Name, 32) && p.StateDir != "" && p.RunDir != "" && p.StateDir != p.RunDir
}

// Places returns those of a system that is valid.
func (s *System) Places() Places { return Places{s.Name, s.StateDir, s.RunDir} }

// configOf returns where the configuration of a context is, and its disk.
func (s *systemReader) configOf(n *node) (named item, disk, at Location, ok bool) {
	disk = Location{Scheme: SchemeDisk, Path: "/", Context: n.label.text, Root: DiskRoot(s.sys.StateDir, n.label.text)}
	named, ok = n.textItem("config_url")
	if !ok {
		return named, disk, at, false
	}
	if scheme, _, isURL := strings.Cut(named.text, "://"); isURL {
		r, ok := s.remote(n, scheme, named)
		return named, disk, r.Location, ok
	}
	for _, name := range []string{"config_ca", "config_timeout"} {
		if n.written(name) {
			n.problem(n.where(name), "No server",
				"%s is for a config_url that begins with https://, and this one (%s) does not.", name, place(named.at))
		}
	}
	at, err := origin{file: s.at, disk: disk}.locate(named.text)
	if err != nil {
		n.problem(named.at, "Unusable config_url", "%q: %s.", named.text, err)
	}
	return named, disk, at, err == nil
}

// remote reads what a context says of its server.
func (s *systemReader) remote(n *node, scheme string, named item) (Remote, bool) {
	r := Remote{
		Location: Location{Scheme: SchemeHTTPS, Path: named.text, Context: n.label.text},
		Timeout:  n.duration("config_timeout"),
	}
	ca, ok := s.readCA(n)
	if problem := checkURL(scheme, named.text); problem != "" {
		n.problem(named.at, "Unusable config_url", "%s", problem)
		return r, false
	}
	if !ok {
		return r, false
	}
	r.CA = ca
	s.remotes = append(s.remotes, r)
	return r, true
}

// checkURL says what is wrong with a URL. It never repeats one that may hold a
// password.
func checkURL(scheme, text string) string {
	u, err := url.Parse(text)
	switch {
	case scheme == "http":
		return "Plain http could be changed by anybody on the way; use https://."
	case scheme != "https":
		return "A config_url begins with file:, disk0: or https://."
	case err != nil || len(text) > maxURL || strings.ContainsFunc(text, isControl) || u.Hostname() == "" ||
		u.Fragment != "":
		return `A URL looks like "https://conf.example/blue.hcl".`
	case u.User != nil:
		return "A URL is shown in many places, and has no user and password in it."
	}
	return ""
}

// readCA reads the file of config_ca; nil where there is none. ok is false
// where there is one that cannot be used.
func (s *systemReader) readCA(n *node) (pem []byte, ok bool) {
	if !n.written("config_ca") {
		return nil, true
	}
	it, ok := n.textItem("config_ca")
	if !ok {
		return nil, false
	}
	at, err := origin{file: s.at}.locate(it.text)
	if err != nil {
		n.problem(it.at, "Unusable path", "%q: %s.", it.text, err)
		return nil, false
	}
	pem, ok = s.readFile(at, it.at)
	if ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		n.problem(it.at, "Unusable certificate",
			"%s holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----.", at)
		return nil, false
	}
	return pem, ok
}
