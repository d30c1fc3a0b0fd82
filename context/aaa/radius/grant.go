package radius

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Grant is what an Access-Accept says about a session. What the server has left out is
// zero, and Is says whether it was said where zero is a value of its own.
type Grant struct {
	User  string   // User-Name: what the server calls the client; "": nothing of its own
	Class [][]byte // to be repeated in accounting, opaque

	Addresses []netip.Addr   // the client's own, at most one of each family
	Netmask   netip.Addr     // of the IPv4 address
	Prefixes  []netip.Prefix // IPv6, of which the client gets one address
	Pools     []string       // by name, in order

	DNSServers    []netip.Addr
	WINSServers   []netip.Addr
	DefaultDomain string
	SplitPolicy   SplitPolicy
	SplitNetworks []netip.Prefix
	SplitDNS      []string
	Filter        string // Filter-Id
	Banner        string

	// GroupPolicy is named by the appliance's own attribute, or by a Class "OU=NAME;".
	GroupPolicy string
	GroupLock   string // the only tunnel group that the client may use

	SessionTimeout     time.Duration // 0: none was said
	IdleTimeout        time.Duration // 0: none was said
	SimultaneousLogins *uint32       // nil: not said
	Protocols          *uint32       // a mask of Tunneling-Protocols; nil: not said
	Reply              string        // Reply-Message: for people
}

// SplitPolicy is what SplitNetworks mean: the appliance's IPsec-Split-Tunneling-Policy.
type SplitPolicy uint8

// The policies.
const (
	SplitUnsaid  SplitPolicy = iota
	TunnelAll                // everything goes through the tunnel
	TunnelListed             // SplitNetworks do
	TunnelOthers             // all but SplitNetworks does
)

// The bits of the appliance's Tunneling-Protocols.
const (
	ProtocolIKEv1 uint32 = 4
	ProtocolSSL   uint32 = 32
	ProtocolIKEv2 uint32 = 64
)

// The attributes of the appliance (vendor 3076).
const (
	applianceLogins      uint8 = 2
	appliancePrimaryDNS  uint8 = 5
	applianceSecondDNS   uint8 = 6
	appliancePrimaryWINS uint8 = 7
	applianceSecondWINS  uint8 = 8
	applianceProtocols   uint8 = 11
	applianceBanner1     uint8 = 15
	applianceGroupPolicy uint8 = 25
	applianceSplitList   uint8 = 27
	applianceDomain      uint8 = 28
	applianceSplitDNS    uint8 = 29
	applianceBanner2     uint8 = 36
	applianceSplitPolicy uint8 = 55
	applianceGroupLock   uint8 = 85
	appliancePools       uint8 = 217
	appliancePools6      uint8 = 218
)

// The attributes of Microsoft for name servers (RFC 2548 section 2.6).
const (
	msPrimaryDNS  uint8 = 28
	msSecondDNS   uint8 = 29
	msPrimaryWINS uint8 = 30
	msSecondWINS  uint8 = 31
)

// ParseGrant reads what an Access-Accept says about a session. An attribute that is
// understood and whose value is not what it must be refuses the login (RFC 2865 section 5),
// since it may be the one that limits the session; the error names it. All others are
// passed over.
func ParseGrant(a Attributes) (*Grant, error) {
	g := new(Grant)
	for t, v := range a.All() {
		row, ok := standard[t]
		if !ok {
			continue
		}
		if err := row.read(g, v); err != nil {
			return nil, fmt.Errorf("radius: %s %w", row.name, err)
		}
	}
	for v := range a.vendor() {
		row, ok := vendors[vendorType{v.Vendor, v.Type}]
		if !ok {
			continue
		}
		if err := row.read(g, v.Value); err != nil {
			return nil, fmt.Errorf("radius: %s %w", row.name, err)
		}
	}
	if g.GroupPolicy == "" {
		g.GroupPolicy = policyOfClass(g.Class)
	}
	return g, nil
}

// attribute is one that says something about a session: its name in dictionaries, and what
// puts its value where it belongs.
type attribute struct {
	name string
	read func(*Grant, []byte) error
}

type vendorType struct {
	vendor uint32
	t      uint8
}

// standard are the attributes of RFCs, and vendors those of vendors.
var (
	standard = map[Type]attribute{
		TypeUserName:        {"User-Name", text(func(g *Grant) *string { return &g.User })},
		TypeClass:           {"Class", (*Grant).readClass},
		TypeFramedIPAddress: {"Framed-IP-Address", (*Grant).readFramedIP},
		TypeFramedIPNetmask: {"Framed-IP-Netmask", func(g *Grant, v []byte) (err error) {
			g.Netmask, err = address4(v)
			return err
		}},
		TypeFramedIPv6Address: {"Framed-IPv6-Address", (*Grant).readFramedIPv6},
		TypeFramedIPv6Prefix:  {"Framed-IPv6-Prefix", (*Grant).readPrefix},
		TypeFramedPool:        {"Framed-Pool", names(func(g *Grant) *[]string { return &g.Pools })},
		TypeFramedIPv6Pool:    {"Framed-IPv6-Pool", names(func(g *Grant) *[]string { return &g.Pools })},
		TypeFilterID:          {"Filter-Id", text(func(g *Grant) *string { return &g.Filter })},
		TypeReplyMessage:      {"Reply-Message", more(func(g *Grant) *string { return &g.Reply })},
		TypeSessionTimeout: {"Session-Timeout",
			seconds(func(g *Grant) *time.Duration { return &g.SessionTimeout })},
		TypeIdleTimeout: {"Idle-Timeout",
			seconds(func(g *Grant) *time.Duration { return &g.IdleTimeout })},
		TypeDNSServerIPv6Address: {"DNS-Server-IPv6-Address", (*Grant).readDNS6},
	}
	vendors = map[vendorType]attribute{
		{vendorMicrosoft, msPrimaryDNS}:  {"MS-Primary-DNS-Server", servers(dnsServers)},
		{vendorMicrosoft, msSecondDNS}:   {"MS-Secondary-DNS-Server", servers(dnsServers)},
		{vendorMicrosoft, msPrimaryWINS}: {"MS-Primary-NBNS-Server", servers(winsServers)},
		{vendorMicrosoft, msSecondWINS}:  {"MS-Secondary-NBNS-Server", servers(winsServers)},

		{vendorAppliance, appliancePrimaryDNS}:  {"Primary-DNS (3076/5)", servers(dnsServers)},
		{vendorAppliance, applianceSecondDNS}:   {"Secondary-DNS (3076/6)", servers(dnsServers)},
		{vendorAppliance, appliancePrimaryWINS}: {"Primary-WINS (3076/7)", servers(winsServers)},
		{vendorAppliance, applianceSecondWINS}:  {"Secondary-WINS (3076/8)", servers(winsServers)},
		{vendorAppliance, applianceLogins}: {"Simultaneous-Logins (3076/2)",
			number(func(g *Grant) **uint32 { return &g.SimultaneousLogins })},
		{vendorAppliance, applianceProtocols}: {"Tunneling-Protocols (3076/11)",
			number(func(g *Grant) **uint32 { return &g.Protocols })},
		{vendorAppliance, applianceBanner1}: {"Banner1 (3076/15)", more(banner)},
		{vendorAppliance, applianceBanner2}: {"Banner2 (3076/36)", more(banner)},
		{vendorAppliance, applianceGroupPolicy}: {"Group-Policy (3076/25)", func(g *Grant, v []byte) error {
			s, err := printable(v)
			g.GroupPolicy = strings.TrimSuffix(trimOU(s), ";")
			return err
		}},
		{vendorAppliance, applianceGroupLock}: {"Tunnel-Group-Lock (3076/85)",
			text(func(g *Grant) *string { return &g.GroupLock })},
		{vendorAppliance, applianceDomain}: {"IPsec-Default-Domain (3076/28)",
			text(func(g *Grant) *string { return &g.DefaultDomain })},
		{vendorAppliance, applianceSplitDNS}: {"IPsec-Split-DNS-Names (3076/29)",
			names(func(g *Grant) *[]string { return &g.SplitDNS })},
		{vendorAppliance, applianceSplitList}: {"IPsec-Split-Tunnel-List (3076/27)", (*Grant).readSplitList},
		{vendorAppliance, applianceSplitPolicy}: {"IPsec-Split-Tunneling-Policy (3076/55)",
			(*Grant).readSplitPolicy},
		{vendorAppliance, appliancePools}: {"Address-Pools (3076/217)",
			names(func(g *Grant) *[]string { return &g.Pools })},
		{vendorAppliance, appliancePools6}: {"IPv6-Address-Pools (3076/218)",
			names(func(g *Grant) *[]string { return &g.Pools })},
	}
)

// maxList bounds what one list of a Grant has, and maxText a text of several attributes.
const (
	maxList = 64
	maxText = 1024
)

// text reads a value that is a text; the first one counts.
func text(field func(*Grant) *string) func(*Grant, []byte) error {
	return func(g *Grant, v []byte) error {
		s, err := printable(v)
		if f := field(g); *f == "" {
			*f = s
		}
		return err
	}
}

// more reads a text that several attributes carry together.
func more(field func(*Grant) *string) func(*Grant, []byte) error {
	return func(g *Grant, v []byte) error {
		f := field(g)
		if len(*f)+len(v) > maxText {
			return fmt.Errorf("has more than %d octets", maxText)
		}
		if !utf8.Valid(v) {
			return errNoText
		}
		*f += string(v)
		return nil
	}
}

// names reads a list of names.
func names(field func(*Grant) *[]string) func(*Grant, []byte) error {
	return func(g *Grant, v []byte) error {
		s, err := printable(v)
		if err != nil {
			return err
		}
		f := field(g)
		for _, name := range strings.FieldsFunc(s, separates) {
			if len(*f) == maxList {
				return errList
			}
			if !slices.Contains(*f, name) {
				*f = append(*f, name)
			}
		}
		return nil
	}
}

// separates says what stands between the items of a list.
func separates(r rune) bool { return r == ',' || r == ' ' || r == ';' }

// servers reads the IPv4 address of a server; 0.0.0.0 is none.
func servers(field func(*Grant) *[]netip.Addr) func(*Grant, []byte) error {
	return func(g *Grant, v []byte) error {
		addr, err := address4(v)
		if err != nil || addr.IsUnspecified() {
			return err
		}
		return addServer(field(g), addr)
	}
}

func banner(g *Grant) *string            { return &g.Banner }
func dnsServers(g *Grant) *[]netip.Addr  { return &g.DNSServers }
func winsServers(g *Grant) *[]netip.Addr { return &g.WINSServers }

// addServer adds addr, which may be there already, to a list.
func addServer(list *[]netip.Addr, addr netip.Addr) error {
	switch {
	case slices.Contains(*list, addr):
	case len(*list) == maxList:
		return errList
	default:
		*list = append(*list, addr)
	}
	return nil
}

// seconds reads a time; none, where it is 0.
func seconds(field func(*Grant) *time.Duration) func(*Grant, []byte) error {
	return func(g *Grant, v []byte) error {
		if len(v) != 4 {
			return errSize
		}
		*field(g) = time.Duration(binary.BigEndian.Uint32(v)) * time.Second
		return nil
	}
}

// number reads a number.
func number(field func(*Grant) **uint32) func(*Grant, []byte) error {
	return func(g *Grant, v []byte) error {
		if len(v) != 4 {
			return errSize
		}
		n := binary.BigEndian.Uint32(v)
		*field(g) = &n
		return nil
	}
}

// What is wrong with a value, behind the name of its attribute.
var (
	errSize   = fmt.Errorf("has a value of a wrong size")
	errNoText = fmt.Errorf("is no text")
	errList   = fmt.Errorf("has more than %d items", maxList)
)

// printable returns a value that is one line of text.
func printable(v []byte) (string, error) {
	v = bytes.TrimRight(v, "\x00") // some servers end a text as C does
	if !utf8.Valid(v) || bytes.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errNoText
	}
	return strings.TrimSpace(string(v)), nil
}

// address4 returns an IPv4 address.
func address4(v []byte) (netip.Addr, error) {
	addr, ok := netip.AddrFromSlice(v)
	if !ok || !addr.Is4() {
		return netip.Addr{}, errSize
	}
	return addr, nil
}

func (g *Grant) readClass(v []byte) error {
	if len(g.Class) == maxList {
		return errList
	}
	g.Class = append(g.Class, bytes.Clone(v))
	return nil
}

// The values of Framed-IP-Address that are no address: the client chooses, and the
// gateway does (RFC 2865 section 5.8).
var (
	clientChooses  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	gatewayChooses = netip.AddrFrom4([4]byte{255, 255, 255, 254})
)

func (g *Grant) readFramedIP(v []byte) error {
	addr, err := address4(v)
	switch {
	case err != nil:
		return err
	case addr == clientChooses || addr == gatewayChooses: // as if nothing had been said
		return nil
	case addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback():
		return fmt.Errorf("%s is no address for a client", addr)
	}
	return g.addAddress(addr)
}

func (g *Grant) readFramedIPv6(v []byte) error {
	addr, ok := netip.AddrFromSlice(v)
	switch {
	case !ok || !addr.Is6():
		return errSize
	case addr.Is4In6() || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback():
		return fmt.Errorf("%s is no address for a client", addr)
	}
	return g.addAddress(addr)
}

// addAddress adds an address of the client; the first one of each family counts.
func (g *Grant) addAddress(addr netip.Addr) error {
	if !slices.ContainsFunc(g.Addresses, func(a netip.Addr) bool { return a.Is4() == addr.Is4() }) {
		g.Addresses = append(g.Addresses, addr)
	}
	return nil
}

// readPrefix reads a prefix: a reserved octet, a length in bits, and as many octets as
// that needs, or more (RFC 3162 section 2.3).
func (g *Grant) readPrefix(v []byte) error {
	if len(v) < 2 || len(v) > 18 || v[1] > 128 || len(v)-2 < (int(v[1])+7)/8 {
		return errSize
	}
	var octets [16]byte
	copy(octets[:], v[2:])
	prefix := netip.PrefixFrom(netip.AddrFrom16(octets), int(v[1]))
	if prefix != prefix.Masked() {
		return fmt.Errorf("%s has bits behind its length", prefix)
	}
	if len(g.Prefixes) == maxList {
		return errList
	}
	g.Prefixes = append(g.Prefixes, prefix)
	return nil
}

func (g *Grant) readDNS6(v []byte) error {
	addr, ok := netip.AddrFromSlice(v)
	if !ok || !addr.Is6() {
		return errSize
	}
	return addServer(&g.DNSServers, addr)
}

// readSplitList reads networks with their lengths or masks, between commas or spaces. The
// appliance has the name of a list of its own there.
func (g *Grant) readSplitList(v []byte) error {
	s, err := printable(v)
	if err != nil {
		return err
	}
	for _, word := range strings.FieldsFunc(s, separates) {
		prefix, err := netip.ParsePrefix(word)
		if err != nil {
			return fmt.Errorf("%q: networks are written as 10.1.0.0/16, not as the name of a list", word)
		}
		if len(g.SplitNetworks) == maxList {
			return errList
		}
		g.SplitNetworks = append(g.SplitNetworks, prefix.Masked())
	}
	return nil
}

func (g *Grant) readSplitPolicy(v []byte) error {
	if len(v) != 4 {
		return errSize
	}
	n := binary.BigEndian.Uint32(v)
	if n > 2 {
		return fmt.Errorf("%d is none of 0, 1 and 2", n)
	}
	g.SplitPolicy = TunnelAll + SplitPolicy(n)
	return nil
}

// policyOfClass returns the group policy that a Class names as the appliance has it:
// "OU=NAME;", with or without the semicolon; "" for none.
func policyOfClass(class [][]byte) string {
	for _, v := range class {
		s, err := printable(v)
		if err != nil {
			continue
		}
		if name := trimOU(s); name != s {
			name, _, _ = strings.Cut(name, ";")
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// trimOU cuts "OU=" in any spelling from the beginning of s.
func trimOU(s string) string {
	if len(s) > 3 && strings.EqualFold(s[:3], "ou=") {
		return s[3:]
	}
	return s
}
