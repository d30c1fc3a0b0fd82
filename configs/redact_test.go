package configs

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/warrenvpn/warren/esp/sa"
)

func TestRedact(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"text", "key = \"hunter2\"\n", "key = \"********\"\n"},
		{"no line end", `key = "hunter2"`, `key = "********"`},
		{"others stay", "address = \"198.51.100.1/24\" # outside\n", "address = \"198.51.100.1/24\" # outside\n"},
		{"no secret", `authentication_port = 1812`, `authentication_port = 1812`},
		{"object", `local_authentication = { pre_shared_key = "hunter2" }`,
			`local_authentication = { pre_shared_key = "********" }`},
		{"quoted key", `local_authentication = { "pre_shared_key" : "hunter2" }`,
			`local_authentication = { "pre_shared_key" : "********" }`},
		{"file", `key = { file = "secret.key" }`, `key = { file = "secret.key" }`},
		{"environment", `remote_authentication = { pre_shared_key = { env = "KEY" } }`,
			`remote_authentication = { pre_shared_key = { env = "KEY" } }`},
		{"number", "psk = 12345\nb = 1\n", "psk = \"********\"\nb = 1\n"},
		{"template", `key = "hunter${"2"}"`, `key = "********"`},
		{"escapes", `key = "hun\"ter2"`, `key = "********"`},
		{"heredoc", "key = <<EOT\nhunter2\nEOT\nb = 1\n", "key = \"********\"\nb = 1\n"},
		{"several lines", "local_authentication = {\n  pre_shared_key = \"hunter2\" # mine\n}\nb = 1\n",
			"local_authentication = {\n  pre_shared_key = \"********\" # mine\n}\nb = 1\n"},
		{"comment", "# pre_shared_key = \"hunter2\"\nb = 1\n", "# pre_shared_key = ********\nb = 1\n"},
		{"comment behind", "key = \"a\" // secret: hunter2\nb = 1\n",
			"key = \"********\" // secret: ********\nb = 1\n"},
		{"misspelt", `pre_shraed_key = "hunter2"`, `pre_shraed_key = "********"`},
		{"keys of identities",
			"remote_authentication = {\n  pre_shared_keys = { \"a@x\" = \"hunter2\", \"b@x\" : { file = \"b.psk\" } " +
				"}\n  \"hunter3\" = 1\n}\n",
			"remote_authentication = {\n  pre_shared_keys = { \"a@x\" = \"********\", \"b@x\" : { file = \"b.psk\" } " +
				"}\n  \"********\" = \"********\"\n}\n"},
		{"not finished", "key = \"hunter2", "key = \"********\""},
		{"not text", "key = \"hunter2\xff\"", "# ********\n"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(Redact([]byte(tt.in), "x.hcl"))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(got, "hunter") {
				t.Errorf("the secret is there: %s", got)
			}
			if again := string(Redact([]byte(got), "x.hcl")); again != got {
				t.Errorf("redacted again: %q, first %q", again, got)
			}
		})
	}
}

// TestMaskComment: a snippet shows no secret of a line that was switched off.
func TestMaskComment(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"line", "# pre_shared_key = \"hunter2\"\nb = 1 // why\n", "# pre_shared_key =********  \nb = 1 // why\n"},
		{"slashes", "// passphrase: hunter2\n", "// passphrase:********\n"},
		{"block", "/* psk = hunter2\n b = 1 */\n", "/* psk =********\n b = 1 */\n"},
		{"behind a value", "key = \"hunter2\" # token = hunter2\nb = 1\n",
			"key = \"*******\" # token =********\nb = 1\n"},
		{"in an object", "key = {\n  # file = \"x\", secret = \"hunter2\"\n  file = \"y\"\n}\n",
			"key = {\n  # file = \"x\", secret =********  \n  file = \"y\"\n}\n"},
	} {
		if got := string(mask([]byte(tt.in), "x.hcl")); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestSuggestAlgorithm: what other products call an algorithm.
func TestSuggestAlgorithm(t *testing.T) {
	for _, tt := range []struct {
		text string
		kind sa.TransformType
		want string
	}{
		{"14", sa.KeyExchange, ` Did you mean "modp2048"?`},
		{"group19", sa.KeyExchange, ` Did you mean "ecp256"?`},
		{"dh31", sa.KeyExchange, ` Did you mean "x25519"?`},
		{"2", sa.KeyExchange, ` Did you mean "modp1024"?`},
		{"aes256", sa.Encryption, ` Did you mean "aes-256-gcm" or "aes-256-cbc"?`},
		{"esp-aes-128-gcm", sa.Encryption, ` Did you mean "aes-128-gcm"?`},
		{"aes256gcm16", sa.Encryption, ` Did you mean "aes-256-gcm"?`},
		{"sha2-256", sa.Integrity, ` Did you mean "sha256"?`},
		{"HMAC_SHA384", sa.PRF, ` Did you mean "sha384"?`},
		{"ecp265", sa.KeyExchange, ` Did you mean "ecp256"?`},
		{"99", sa.KeyExchange, ` Possible here: ecp256, ecp384, ecp521, modp2048, modp3072, modp4096, x25519.`},
	} {
		if got := suggestAlgorithm(tt.text, tt.kind); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// FuzzRedact: what could be parsed can still be.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{baseSystem, "key = <<EOT\nx\nEOT\n", `key = "a${"b"}"`, "key = [\"a\", {b = 1}]",
		"/* key = 1 */ a = 2", "key = a ? b : \"c\"\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		out := Redact(src, "x.hcl")
		r := newReader(nil, Machine{})
		if !r.isText(src, Location{}) || !r.bounded(src, "") {
			return
		}
		f, before := hclsyntax.ParseConfig(src, "x.hcl", hcl.InitialPos)
		if before.HasErrors() || !evaluates(f) {
			return
		}
		if _, after := hclsyntax.ParseConfig(out, "x.hcl", hcl.InitialPos); after.HasErrors() {
			t.Errorf("%q becomes %q: %v", src, out, after)
		}
	})
}

// evaluates tells whether every attribute is a value, as in all that Load
// accepts.
func evaluates(f *hcl.File) bool {
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok {
		return false
	}
	var all func(*hclsyntax.Body) bool
	all = func(b *hclsyntax.Body) bool {
		for _, a := range b.Attributes {
			if !isValue(a.Expr) {
				return false
			}
		}
		for _, inner := range b.Blocks {
			if !all(inner.Body) {
				return false
			}
		}
		return true
	}
	return all(body)
}

// isValue tells whether an expression is a value, with values in it.
func isValue(e hclsyntax.Expression) bool {
	switch e := e.(type) {
	case *hclsyntax.TemplateExpr, *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TupleConsExpr:
		return !slices.ContainsFunc(e.Exprs, func(e hclsyntax.Expression) bool { return !isValue(e) })
	case *hclsyntax.ObjectConsExpr:
		return !slices.ContainsFunc(e.Items, func(i hclsyntax.ObjectConsItem) bool { return !isValue(i.ValueExpr) })
	}
	return false
}

func TestCompare(t *testing.T) {
	const before = `
interface "outside" { address = "198.51.100.1/24" } # a comment
ip_pool "staff" { range = "10.0.0.1-10.0.0.9" }
ip_pool "guests" { range = "10.1.0.1-10.1.0.9" }
dataplane { mtu = 1400 }
tunnel_group "staff" {
  type = "remote-access"
  ikev2 {
    local_authentication = { pre_shared_key = "hunter2" }
  }
}
`
	const after = `
tunnel_group "staff" {
  type = "remote-access"
  dpd  = "30s"
  ikev2 {
    local_authentication = { pre_shared_key = "hunter3" }
  }
}
ip_pool "staff" { range = "10.0.0.1-10.0.0.99" }
interface "outside" {
  address   =   "198.51.100.1/24"
}
ip_pool "visitors" { range = "10.2.0.1-10.2.0.9" }
dataplane {}
`
	masked := `{ pre_shared_key = "********" }`
	want := []Change{
		{Blocks: []string{`tunnel_group "staff"`}, Attribute: "dpd", New: `"30s"`, Added: true},
		{Blocks: []string{`tunnel_group "staff"`, "ikev2"}, Attribute: "local_authentication", Old: masked,
			New: masked},
		{Blocks: []string{`ip_pool "staff"`}, Attribute: "range", Old: `"10.0.0.1-10.0.0.9"`,
			New: `"10.0.0.1-10.0.0.99"`},
		{Blocks: []string{`ip_pool "visitors"`}, Added: true},
		{Blocks: []string{`ip_pool "guests"`}, Removed: true},
		{Blocks: []string{"dataplane"}, Attribute: "mtu", Old: "1400", Removed: true},
	}
	if diff := cmp.Diff(want, Compare([]byte(before), []byte(after))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Compare([]byte(after), []byte(after)); len(got) > 0 {
		t.Errorf("with itself: %v", got)
	}
	for _, broken := range []string{"", "ip_pool {", "\xff", strings.Repeat("a {", 100)} {
		if got := Compare([]byte(broken), []byte("a = 1")); len(got) != 1 || !got[0].Added {
			t.Errorf("from %.20q: %v", broken, got)
		}
	}
}
