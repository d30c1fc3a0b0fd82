package configs

import (
	"cmp"
	"path"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/warrenvpn/warren/resource"
)

// systemReader is one run over a system file.
type systemReader struct {
	*reader
	sys        *System
	at         Location
	interfaces map[string]*node // by name
	classes    map[string]resource.Class
	guards     []resource.Name            // that the class "default" has by default
	allocated  map[string]allocationPlace // by interface of the system
	storage    []storagePlace
	remotes    []Remote
	wires      map[string][]wireUse // by shared interface of the system
}

// allocationPlace is who has an interface.
type allocationPlace struct {
	owner string
	at    hcl.Range
}

func newSystemReader(r *reader, file string) *systemReader {
	return &systemReader{
		reader:     r,
		sys:        &System{},
		at:         Location{Scheme: SchemeFile, Path: path.Clean(file)},
		interfaces: map[string]*node{},
		classes:    map[string]resource.Class{},
		allocated:  map[string]allocationPlace{},
		wires:      map[string][]wireUse{},
	}
}

// readSystem reads the system file and all that it names. The result is of use
// only where no error was told.
func (r *reader) readSystem(file string) *System {
	s := newSystemReader(r, file)
	n := r.parse(s.at, hcl.Range{}, systemSchema)
	if n == nil {
		return s.sys
	}
	s.readGlobals(n.one("system"))
	s.readInterfaces(n.each("interface"))
	s.readClasses(n.each("class"))
	failover := n.each("failover")
	if len(failover) > 0 {
		s.readFailover(failover[0])
	}
	contexts := n.each("context")
	s.readContexts(contexts)
	s.checkWires()
	if len(failover) > 0 {
		s.readMonitoring(failover[0])
	}
	s.checkGuarantees(contexts)
	s.sys.Files = r.reads
	return s.sys
}

// readGlobals reads the block "system".
func (s *systemReader) readGlobals(n *node) {
	s.sys.Name = n.line("name")
	if !isName(s.sys.Name, 32) {
		n.problem(n.where("name"), "Unusable name", "%q: %s", s.sys.Name, nameRule(32))
	}
	s.sys.StateDir = n.directory("state_dir")
	s.sys.RunDir = n.directory("run_dir")
	if s.sys.StateDir == s.sys.RunDir {
		n.problem(n.where("run_dir"), "Directory used twice",
			"run_dir and state_dir are the same; what is in run_dir goes away with warrend.")
	}

	s.sys.RequireSandbox = n.boolean("require_sandbox")
	s.sys.APIGroup = n.one("api").groupName("group")
	s.sys.Totals = s.readTotals(n.one("limits"))
}

// groupName returns an attribute that is the name of a group of the host.
func (n *node) groupName(name string) string {
	text := n.text(name)
	if len(text) > 32 || strings.HasPrefix(text, "-") || n.written(name) && text == "" ||
		strings.ContainsFunc(text, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("._-", r) }) {
		n.problem(n.where(name), "Unusable name",
			"%q: the name of a group has 1 to 32 letters, digits, points, underscores and hyphens, and no hyphen "+
				"in front.", text)
		return ""
	}
	return text
}

// readTotals reads what percentages in a class refer to. What the machine does
// not tell is unknown where it is not set.
func (s *systemReader) readTotals(limits *node) resource.Totals {
	count := func(name resource.Name) float64 { return float64(limits.number(string(name))) }
	sessions := count("vpn_sessions")
	negotiating := count(resource.InNegotiation)
	return resource.Totals{
		resource.Sessions:         sessions,
		resource.SiteToSite:       sessions,
		resource.BurstSessions:    sessions,
		resource.BurstSiteToSite:  sessions,
		resource.InNegotiation:    negotiating,
		resource.InNegotiationOld: negotiating,
		resource.Setups:           count(resource.Setups),
		resource.BandwidthIn:      limits.bitrate("bandwidth_in", 0),
		resource.BandwidthOut:     limits.bitrate("bandwidth_out", 0),
		resource.Packets:          count(resource.Packets),
		resource.Routes:           count(resource.Routes),
		resource.MACAddresses:     count(resource.MACAddresses),
		resource.APISessions:      count(resource.APISessions),
		resource.Syslogs:          count(resource.Syslogs),
		resource.Storage:          limits.size("storage", 0),
		resource.StorageFiles:     count(resource.StorageFiles),
		resource.CPU:              cmp.Or(limits.fraction("cpu"), s.machine.Cores),
		resource.Memory:           limits.size("memory", float64(s.machine.Memory)),
		resource.PIDs:             count(resource.PIDs),
	}
}

// directory returns an attribute that is an absolute path.
func (n *node) directory(name string) string {
	text, def := n.line(name), kindOf[line](n, name).def
	if !path.IsAbs(text) || path.Clean(text) == "/" || strings.ContainsFunc(text, isControl) {
		n.problem(n.where(name), "Unusable directory", "%s is an absolute path, such as %q.", name, def)
		return def
	}
	return path.Clean(text)
}

// isName reports whether text can be part of names on the host: letters,
// digits and hyphens, beginning with a letter or digit and not ending with a
// hyphen.
func isName(text string, longest int) bool {
	if text == "" || len(text) > longest || text[0] == '-' || text[len(text)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r != '-' && !isAlphanumeric(r) })
}

func isAlphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// isLabel reports whether text can name an object of a configuration: printing
// ASCII without blanks, quotes and backslashes.
func isLabel(text string) bool {
	return text != "" && len(text) <= 64 && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'\\`", r)
	})
}

// checkLabel tells of a label that cannot name an object.
func (n *node) checkLabel() bool {
	if isLabel(n.label.text) {
		return true
	}
	n.problem(n.label.at, "Unusable name", "Names have 1 to 64 letters, digits and signs, and no blanks or quotes.")
	return false
}

func nameRule(longest int) string {
	return "a name here has 1 to " + strconv.Itoa(longest) +
		" letters, digits and hyphens, and no hyphen at either end."
}
