package configs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
)

// TestBounds feeds what would exhaust a parser or a reader.
func TestBounds(t *testing.T) {
	deep := func(open, shut string, n int) string {
		return "interface \"outside\" { address = " + strings.Repeat(open, n) + strings.Repeat(shut, n) + " }\n"
	}
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"byte order mark", "\ufeffikev2 {}\n", ""},
		{"not text", "ikev2 {\xff}\n", "Not a text file"},
		{"too large", strings.Repeat("# comment\n", MaxFileSize/10+1), "File too large"},
		{"brackets", deep("[", "]", 100_000), "Nested too deeply"},
		{"objects", deep("{a=", "}", 50_000), "Nested too deeply"},
		{"templates", deep(`"${`, `}"`, 50_000), "Nested too deeply"},
		{"operators", "dataplane { mtu = " + strings.Repeat("!", 200_000) + "true }\n", "Too many operators"},
		{"conditions", "dataplane { mtu = " + strings.Repeat("true?1:", 50_000) + "1 }\n", "Too many operators"},
		{"signs", strings.Repeat("x {}\n", maxSigns/4+1), "context.hcl:98305: File too large"},
		{"blocks", strings.Repeat("x {}\n", maxSigns/4-1), "Too many problems"},
		{"problems", strings.Repeat("x {}\n", maxDiagnostics+50), "Too many problems"},
		{"signs of no language", strings.Repeat("“\n", maxDiagnostics+50), "Too many problems"},
		{"number", "dataplane { mtu = " + strings.Repeat("1", maxNumber+1) + " }\n", "Word too long"},
		{"exponent", "dataplane { mtu = 1e9 }\n", "Unusable number"},
		{"name", strings.Repeat("a", maxWord+1) + " = 1\n", "Word too long"},
		{"text", "group_policy \"g\" { banner = \"" + strings.Repeat("a", maxLiteral+1) + "\" }\n", "Word too long"},
		{"comparisons", "dataplane { mtu = 1" + strings.Repeat(" == 1", maxOperators+1) + " }\n", "Too many operators"},
		{"indexes", "dataplane { mtu = a" + strings.Repeat("[b]", maxOperators+1) + " }\n", "Too many operators"},
		{"attributes", "dataplane { mtu = a" + strings.Repeat(".b", maxOperators+1) + " }\n", "Too many operators"},
		{"list", "group_policy \"g\" { dns_servers = [" + strings.Repeat(`"192.0.2.1",`, 10_000) + "] }\n",
			"List too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, diags := load(t, map[string]string{"system.hcl": baseSystem, "context.hcl": tt.text}, "system.hcl")
			if got := fmt.Sprint(diags.Err()); tt.want == "" && diags.HasErrors() || !strings.Contains(got, tt.want) &&
				tt.want != "" {
				t.Errorf("errors = %.300s, want %q", got, tt.want)
			}
			if n := len(diags.All()); n > 2*maxDiagnostics+2 {
				t.Errorf("%d diagnostics", n)
			}
		})
	}
}

// TestBrackets: a bracket that closes nothing must not hide one that opens, so
// that no nesting beyond the bound is ever parsed. The inputs are as deep as the
// bound, or one deeper.
func TestBrackets(t *testing.T) {
	const unmatched, deep = "Bracket without its other half", "Nested too deeply"
	lists := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct{ name, text, want string }{
		{"at the bound", "a = " + lists(maxDepth) + "\n", ""},
		{"one deeper", "a = " + lists(maxDepth+1) + "\n", deep},
		{"closers first", "}}]\na = " + lists(maxDepth+1) + "\n", unmatched},
		{"one closer first", "]\n", unmatched},
		{"closer in a nested block", "a {\n  b {\n    ]\n    c = " + lists(maxDepth-1) + "\n  }\n}\n", unmatched},
		{"block closed twice", "a {\n}\n}\nb = " + lists(maxDepth+1) + "\n", unmatched},
		{"another bracket", "a = [}\n", unmatched},
		{"another bracket closes", "a = [1)\n", unmatched},
		{"crossed", "a = {b = [}]\n", unmatched},
		{"closer in a template", "a = \"${]}\"\n", unmatched},
		{"closer in a template directive", "a = \"%{ if )} x\"\n", unmatched},
		{"closer in a heredoc", "a = <<E\n${)}\nE\n", unmatched},
		{"brackets in text", "a = \"]})\"\nb = <<E\n]})\nE\n# ]})\n", ""},
		{"templates at the bound", "a = " + strings.Repeat(`"${`, maxDepth/2) + strings.Repeat(`}"`, maxDepth/2) + "\n",
			"Template in text"},
		{"templates one deeper", "a = " + strings.Repeat(`"${`, maxDepth/2+1) +
			strings.Repeat(`}"`, maxDepth/2+1) + "\n", deep},
		{"template directives", "a = \"" + strings.Repeat("%{ if b }", maxOperators+1) + "\"\n", "Too many operators"},
		{"blocks at the bound", strings.Repeat("a {\n", maxDepth) + strings.Repeat("}\n", maxDepth), ""},
		{"blocks one deeper", strings.Repeat("a {\n", maxDepth+1) + strings.Repeat("}\n", maxDepth+1), deep},
		{"never closed", "a {\n  b = [\n", ""}, // the parser says what is missing
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReader(nil, Machine{})
			ok := r.bounded([]byte(tt.text), "x.hcl")
			if got := fmt.Sprint(r.diags.Err()); ok != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("bounded = %v, %s; want %q", ok, got, tt.want)
			}
			if tt.want == "" {
				return
			}
			// Everything that looks at a file goes through the same gate.
			if _, diags := Format("x.hcl", []byte(tt.text)); !strings.Contains(fmt.Sprint(diags.Err()), tt.want) {
				t.Errorf("Format: %v", diags.Err())
			}
			if _, diags := load(t, map[string]string{"system.hcl": baseSystem, "context.hcl": tt.text},
				"system.hcl"); !strings.Contains(fmt.Sprint(diags.Err()), tt.want) {
				t.Errorf("Load: %v", diags.Err())
			}
			if changes := Compare([]byte("a = 1\n"), []byte(tt.text)); len(changes) != 1 || !changes[0].Removed {
				t.Errorf("Compare: %+v", changes)
			}
		})
	}
}

// TestManyWarnings: warnings of many contexts are no error, and hide none.
func TestManyWarnings(t *testing.T) {
	var text strings.Builder
	for i := range maxDiagnostics + 50 {
		fmt.Fprintf(&text,
			"group_policy \"g%[1]d\" {}\ntunnel_group \"t%[1]d\" {\n type = \"remote-access\"\n default_group_policy "+
				"= \"g%[1]d\"\n ikev2 {\n  remote_identity = \"u%[1]d@example\"\n  local_authentication = { "+
				"pre_shared_key = \"a key of some length\" }\n  remote_authentication = { pre_shared_key = \"a key "+
				"of some length\" }\n }\n}\n", i)
	}
	sys, diags := load(t, map[string]string{"system.hcl": baseSystem, "context.hcl": text.String()}, "system.hcl")
	if sys == nil || len(diags.Warnings()) != maxDiagnostics+1 {
		t.Errorf("%d warnings, %.300v", len(diags.Warnings()), diags.Err())
	}
	_, diags = load(t, map[string]string{"system.hcl": baseSystem, "context.hcl": text.String() + "x {}\n"},
		"system.hcl")
	if got := fmt.Sprint(diags.Err()); !strings.Contains(got, "Unknown block") {
		t.Errorf("behind the warnings: %.300s", got)
	}
}

// TestManySelectors: more networks than an SA carries are an error, not silence.
func TestManySelectors(t *testing.T) {
	for count, want := range map[int]string{maxSelectors: "", maxSelectors + 1: "Too many networks"} {
		var list []string
		for i := range count {
			list = append(list, fmt.Sprintf("\"10.%d.0.0/24\"", i))
		}
		text := fmt.Sprintf("group_policy \"g\" { split_tunnel = [%s] }\n", strings.Join(list, ", "))
		_, diags := load(t, map[string]string{"system.hcl": baseSystem, "context.hcl": text}, "system.hcl")
		if got := fmt.Sprint(diags.Err()); (want == "") != !diags.HasErrors() || !strings.Contains(got, want) {
			t.Errorf("%d networks: %s, want %q", count, got, want)
		}
	}
}

// TestHostsOf: a pool that is a network hands out what a host can have.
func TestHostsOf(t *testing.T) {
	for text, want := range map[string]string{
		"10.55.2.0/29": "10.55.2.1-10.55.2.6", "10.55.2.0/30": "10.55.2.1-10.55.2.2",
		"10.55.2.0/31": "10.55.2.0-10.55.2.1",
		"10.55.2.9/32": "10.55.2.9-10.55.2.9", "fd00:44::c:0/112": "fd00:44::c:1-fd00:44::c:ffff",
		"fd00:44::/127": "fd00:44::-fd00:44::1", "fd00:44::7/128": "fd00:44::7-fd00:44::7",
	} {
		p := hostsOf(netip.MustParsePrefix(text))
		if got := fmt.Sprintf("%s-%s", p.Start, p.End); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestManyConnections is a hub of 2,000 branches in one context.
func TestManyConnections(t *testing.T) {
	text := branches(2000)
	sys, diags := load(t, map[string]string{"system.hcl": baseSystem, "context.hcl": text}, "system.hcl")
	if diags.HasErrors() {
		t.Fatalf("%.500s", report(t, diags))
	}
	if got := len(sys.Contexts[0].Spec.CryptoMaps[0].Entries); got != 2000 {
		t.Errorf("%d entries", got)
	}
}

// branches is a context's file with so many connections, as people write them.
func branches(count int) string {
	var b strings.Builder
	b.WriteString("interface \"outside\" { address = \"198.51.100.1/24\" }\ninterface \"inside\" { address = " +
		"\"10.10.0.1/24\" }\n")
	for i := range count {
		fmt.Fprintf(&b, `
tunnel_group "branch-%[1]d" {
  type = "site-to-site"
  ikev2 {
    remote_identity       = "branch-%[1]d.example"
    local_authentication  = { pre_shared_key = "hub for branch %[1]d" }
    remote_authentication = { pre_shared_key = "key of branch %[1]d" }
  }
}
`, i)
	}
	b.WriteString("crypto_map \"outside\" {\n")
	for i := range count {
		fmt.Fprintf(&b, `  static "branch-%[1]d" {
    peer            = "203.0.%[2]d.%[3]d"
    tunnel_group    = "branch-%[1]d"
    local_networks  = ["10.10.0.0/24"]
    remote_networks = ["10.%[4]d.%[3]d.0/24"]
  }
`, i, 100+i/200, 1+i%200, 20+i/200)
	}
	b.WriteString("}\n")
	return b.String()
}

func TestMissingSystemFile(t *testing.T) {
	_, diags := load(t, nil, "system.hcl")
	if got, want := fmt.Sprint(diags.Err()),
		"configs: File cannot be read: Reading system.hcl: file does not exist."; got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
	if report(t, diags) == "" {
		t.Error("the report is empty")
	}
}

func TestDirectoryInPlaceOfFile(t *testing.T) {
	_, diags := load(t, map[string]string{"system.hcl": baseSystem, "context.hcl/x": ""}, "system.hcl")
	if got := fmt.Sprint(diags.Err()); !strings.Contains(got,
		"system.hcl:5: File cannot be read: Reading context.hcl: it is not a regular file") {
		t.Errorf("error = %q", got)
	}
}

// TestManyContexts is 250 contexts that name the same files.
func TestManyContexts(t *testing.T) {
	var system strings.Builder
	for i := range 250 {
		fmt.Fprintf(&system,
			"interface \"Ethernet1/%[1]d\" { device = \"eth%[1]d\" }\ncontext \"c%[1]d\" {\n config_url = "+
				"\"context.hcl\"\n allocate_interface \"Ethernet1/%[1]d\" { name = \"outside\" }\n}\n", i)
	}
	sys, diags := load(t, map[string]string{
		"system.hcl": system.String(), "context.hcl": "interface \"outside\" { address = \"198.51.100.1/24\" }\n",
	}, "system.hcl")
	if len(diags.All()) > 0 || len(sys.Contexts) != 250 {
		t.Fatalf("%v", diags.Err())
	}
	if c, ok := sys.Context("c249"); !ok || c.Spec.Interfaces[0].Name != "outside" {
		t.Errorf("context c249 = %+v, %v", c, ok)
	}
}

func TestLocate(t *testing.T) {
	disk := Location{Scheme: SchemeDisk, Path: "/", Context: "blue", Root: DiskRoot("/s", "blue")}
	onDisk := disk
	onDisk.Path = "/etc/blue.hcl"
	system := origin{file: Location{Scheme: SchemeFile, Path: "/etc/warren/system.hcl"}}
	host := origin{file: Location{Scheme: SchemeFile, Path: "/etc/warren/blue.hcl"}, disk: disk}
	tenant := origin{file: onDisk, disk: disk}
	for _, tt := range []struct {
		from       origin
		text, want string
	}{
		{system, "a/../key", "/etc/warren/key"},
		{system, "file:key", "/etc/warren/key"},
		{system, "/key", "/key"},
		{system, "disk0:/key", "error"},
		{system, "https://host/key", "error"},
		{system, "", "error"},
		{system, "file:", "error"},
		{system, "a\x00b", "error"},
		{host, "disk0:/../../etc/passwd", "blue:disk0:/etc/passwd"},
		{host, "disk0:key", "blue:disk0:/key"},
		{host, "sub/x:y", "/etc/warren/sub/x:y"},
		{tenant, "key", "blue:disk0:/etc/key"},
		{tenant, "../../../key", "blue:disk0:/key"},
		{tenant, "/etc/passwd", "error"},
		{tenant, "file:/etc/passwd", "error"},
		{tenant, "https://host/key", "error"},
		{tenant, "disk0:/key", "blue:disk0:/key"},
	} {
		got := "error"
		if at, err := tt.from.locate(tt.text); err == nil {
			got = at.String()
		}
		if got != tt.want {
			t.Errorf("%q in %s: got %s, want %s", tt.text, tt.from.file, got, tt.want)
		}
	}
}

func TestFSLoaderStaysOnTheDisk(t *testing.T) {
	l := FSLoader{FS: fstest.MapFS{"s/contexts/blue/disk0/a": {Data: []byte("inside")},
		"s/b": {Data: []byte("outside")}}}
	at := Location{Scheme: SchemeDisk, Context: "blue", Root: DiskRoot("/s", "blue"), Path: "/a"}
	if b, err := l.ReadFile(at); err != nil || string(b) != "inside" {
		t.Errorf("inside: %q, %v", b, err)
	}
	at.Path = "/../../../b"
	if b, err := l.ReadFile(at); err == nil {
		t.Errorf("outside: %q", b)
	}
	if _, ok := l.LookupEnv("HOME"); ok {
		t.Error("a loader without an environment has one")
	}
}

func TestSuggest(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"adress", ` Did you mean "address"?`},
		{"ADDRESS", ` Did you mean "address"?`},
		{"x", " Possible here: address, mtu."},
		{strings.Repeat("a", 1000), " Possible here: address, mtu."},
	} {
		if got := suggest(tt.name, []string{"mtu", "address"}); got != tt.want {
			t.Errorf("suggest(%.20q) = %q, want %q", tt.name, got, tt.want)
		}
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("pool", i))
	}
	if got := suggest("staff", many); !strings.HasSuffix(got, " and 980 more.") {
		t.Errorf("with many names: %q", got)
	}
}
