package configs

import (
	"strings"
	"testing"
)

const commonOwn = `system { name = "b" }

interface "Ethernet0/0" { device = "b-out" }

# everybody
class "default" {
  limits { vpn_anyconnect = 5 }
}
class "old" {
  limits { vpn_anyconnect = 1 }
}

failover {
  unit = "secondary"
  key  = "a key that only this unit writes so"
  group "1" { prefer = "primary" }
  group "2" { prefer = "primary" }
}

# ours
context "acme" {
  config_url = "file:/etc/b/acme.hcl"
  allocate_interface "Ethernet0/0" { name = "outside" }
}
context "gone" { config_url = "file:gone.hcl" }
`

const commonOther = `system { name = "a" }
interface "Ethernet0/0" { device = "a-out" }
class "default" {
  limits {
    vpn_anyconnect = 5
  }
}
# the newest
class "gold" {
  limits { vpn_anyconnect = 50 }
}
failover {
  unit = "primary"
  key  = { file = "failover.key" }
  group "1" { prefer = "secondary" }
  group "3" { prefer = "primary" }
}
context "acme" {
  member     = "gold"
  config_url = "file:/etc/a/acme.hcl"
  allocate_interface "Ethernet0/0" { name = "outside" }
}
context "new" { config_url = "file:new.hcl" }
`

const commonWant = `system { name = "b" }

interface "Ethernet0/0" { device = "b-out" }

# everybody
class "default" {
  limits { vpn_anyconnect = 5 }
}


failover {
  unit = "secondary"
  key  = "a key that only this unit writes so"
  group "1" { prefer = "secondary" }
  

  group "3" { prefer = "primary" }
}

context "acme" {
  member     = "gold"
  config_url = "file:/etc/b/acme.hcl"
  allocate_interface "Ethernet0/0" { name = "outside" }
}


# the newest
class "gold" {
  limits { vpn_anyconnect = 50 }
}

context "new" { config_url = "file:new.hcl" }
`

// TestCommon: classes, contexts and groups go from one unit to the other; all else stays.
func TestCommon(t *testing.T) {
	common, err := Common([]byte(commonOther))
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"a-out", "failover.key", `name = "a"`} {
		if strings.Contains(string(common), own) {
			t.Errorf("%s is a unit's own, and leaves it:\n%s", own, common)
		}
	}
	got, err := WithCommon([]byte(commonOwn), common)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != commonWant {
		t.Errorf("got:\n%s\nwant:\n%s", got, commonWant)
	}
	again, err := WithCommon(got, common)
	if err != nil || string(again) != string(got) {
		t.Errorf("a second time changes it: %v\n%s", err, again)
	}
	first, err := Common(got)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := WithCommon([]byte(commonOther), first); err != nil || string(back) != commonOther {
		t.Errorf("back to where it came from: %v\n%s", err, back)
	}
}

// TestCommonRefuses: what does not parse is an error with the line, and a unit alone has
// nothing in common with anybody.
func TestCommonRefuses(t *testing.T) {
	if _, err := Common([]byte("context \"acme\" {\n  member = \n}\n")); err == nil ||
		!strings.Contains(err.Error(), "2") {
		t.Errorf("got %v, want an error with its line", err)
	}
	if _, err := WithCommon([]byte("class \"a\" {}\n"), nil); err == nil {
		t.Error("a unit alone takes blocks of another one")
	}
	if _, err := WithCommon([]byte(commonOwn), []byte("}")); err == nil {
		t.Error("what does not parse is taken")
	}
}

// FuzzWithCommon: whatever the other unit sends, the result parses, and a second time
// changes nothing.
func FuzzWithCommon(f *testing.F) {
	f.Add([]byte(commonOther))
	f.Add([]byte("class \"a\" {}\nclass \"a\" {}\n# a\ncontext \"b\" {\n}"))
	f.Fuzz(func(t *testing.T, common []byte) {
		got, err := WithCommon([]byte(commonOwn), common)
		if err != nil {
			return
		}
		if _, diags := Format("x", got); diags.HasErrors() {
			t.Fatalf("it does not parse: %s\n%s", diags.ErrorIn("x"), got)
		}
		if again, err := WithCommon(got, common); err != nil || len(again) < len(got)/2 {
			t.Fatalf("a second time: %v\n%s", err, again)
		}
	})
}

// TestCommonOnce: a block that the other unit has twice is refused, whatever it says.
func TestCommonOnce(t *testing.T) {
	acme := commonOther[strings.Index(commonOther, `context "acme"`):]
	twice := commonOther + strings.Replace(acme, "gold", "default", 1)
	_, err := WithCommon([]byte(commonOwn), []byte(twice))
	if err == nil || !strings.Contains(err.Error(), `the other unit's system file has context "acme" twice`) {
		t.Errorf("got %v", err)
	}
}
