package configs

import (
	"fmt"
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
		{"objects", deep("{a=", "}", 100_000), "Nested too deeply"},
		{"templates", deep(`"${`, `}"`, 50_000), "Nested too deeply"},
		{"operators", "dataplane { mtu = " + strings.Repeat("!", 500_000) + "true }\n", "Too many operators"},
		{"conditions", "dataplane { mtu = " + strings.Repeat("true?1:", 100_000) + "1 }\n", "Too many operators"},
		{"blocks", strings.Repeat("x {}\n", maxBlocks+1), "Too many blocks"},
		{"problems", strings.Repeat("x {}\n", maxDiagnostics+50), "Too many problems"},
		{"list", "group_policy \"g\" { dns_servers = [" + strings.Repeat(`"192.0.2.1",`, 50_000) + "] }\n", "List too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, diags := load(t, map[string]string{"system.hcl": baseSystem, "context.hcl": tt.text}, "system.hcl")
			if got := fmt.Sprint(diags.Err()); tt.want == "" && diags.HasErrors() || !strings.Contains(got, tt.want) && tt.want != "" {
				t.Errorf("errors = %.300s, want %q", got, tt.want)
			}
			if n := len(diags.All()); n > maxDiagnostics+1 {
				t.Errorf("%d diagnostics", n)
			}
		})
	}
}

func TestMissingSystemFile(t *testing.T) {
	_, diags := load(t, nil, "system.hcl")
	if got, want := fmt.Sprint(diags.Err()), "configs: File cannot be read: Reading system.hcl: file does not exist."; got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
	if report(t, diags) == "" {
		t.Error("the report is empty")
	}
}

func TestDirectoryInPlaceOfFile(t *testing.T) {
	_, diags := load(t, map[string]string{"system.hcl": baseSystem, "context.hcl/x": ""}, "system.hcl")
	if got := fmt.Sprint(diags.Err()); !strings.Contains(got, "system.hcl:5: File cannot be read: Reading context.hcl: it is not a regular file") {
		t.Errorf("error = %q", got)
	}
}

// TestManyContexts is 250 contexts that name the same files.
func TestManyContexts(t *testing.T) {
	var system strings.Builder
	system.WriteString("interface \"Ethernet1/1\" {\n device = \"eth1\"\n shared = true\n}\n")
	for i := range 250 {
		fmt.Fprintf(&system, "context \"c%d\" {\n config_url = \"context.hcl\"\n allocate_interface \"Ethernet1/1\" { name = \"outside\" }\n}\n", i)
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
	l := FSLoader{FS: fstest.MapFS{"s/contexts/blue/disk0/a": {Data: []byte("inside")}, "s/b": {Data: []byte("outside")}}}
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
