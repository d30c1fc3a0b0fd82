package texts_test

import (
	"slices"
	"testing"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/texts"
)

// at is a file of the host.
func at(name string) configs.Location {
	return configs.Location{Scheme: configs.SchemeFile, Path: "/warren/" + name}
}

const (
	systemFile = `
interface "Ethernet1/1" { device = "wt-out" }
context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
`
	contextFile = `
interface "outside" { address = "198.51.100.1/24" }
ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }
tunnel_group "staff" {
  type          = "remote-access"
  address_pools = ["staff"]
  ikev2 {
    local_authentication  = { pre_shared_key = { file = "blue.psk" } }
    remote_authentication = { pre_shared_key = { env = "BLUE" } }
  }
}
`
)

// small is a configuration: a system file, a context, and two secrets of it.
func small() *texts.Set {
	return &texts.Set{Path: "/warren/system.hcl", List: []texts.Text{
		{At: at("system.hcl"), Body: []byte(systemFile)},
		{At: at("blue.hcl"), Body: []byte(contextFile)},
		{At: at("blue.psk"), Body: []byte("a key of some length\n")},
		{At: configs.Location{Scheme: texts.SchemeEnv, Path: "BLUE"}, Body: []byte("another key of some length")},
	}}
}

// load reads a configuration through a Recorder, and returns what that has kept.
func load(t *testing.T, from configs.Loader) *texts.Set {
	t.Helper()
	rec := texts.NewRecorder(from)
	conf, diags := configs.Load(rec, "/warren/system.hcl", configs.Machine{Cores: 1})
	if diags.HasErrors() {
		t.Fatal(diags.Mistakes())
	}
	return rec.Texts("/warren/system.hcl", conf)
}

// TestReadAgain: what a Recorder has kept is enough to read the same configuration
// without the host, and says for whom each text was read.
func TestReadAgain(t *testing.T) {
	first := load(t, small())
	second := load(t, first)
	if first.Digest() != second.Digest() || first.Digest() != small().Digest() {
		t.Error("what was read again is another configuration")
	}
	for _, one := range first.List {
		config := one.At == at("system.hcl") || one.At == at("blue.hcl")
		var contexts []string
		if one.At != at("system.hcl") {
			contexts = []string{"blue"}
		}
		if one.Config != config || !slices.Equal(one.Contexts, contexts) {
			t.Errorf("%s: config %t, contexts %v", one.Name(), one.Config, one.Contexts)
		}
	}
}

// TestDigest: the digest changes with every text and with no order.
func TestDigest(t *testing.T) {
	was := small()
	slices.Reverse(was.List)
	if was.Digest() != small().Digest() {
		t.Error("the order of reading counts")
	}
	for i := range was.List {
		other := small()
		other.List[i].Body = append(other.List[i].Body, '#')
		if other.Digest() == was.Digest() {
			t.Errorf("a change of %s does not count", other.List[i].Name())
		}
	}
}

// TestOnlyThisVersion: a Set is a Loader of what is in it, and of nothing else.
func TestOnlyThisVersion(t *testing.T) {
	s := small()
	if _, err := s.ReadFile(at("red.hcl")); err == nil {
		t.Error("a file of another version was read")
	}
	if _, ok := s.LookupEnv("RED"); ok {
		t.Error("a variable of another version was read")
	}
	b, err := s.ReadFile(at("blue.psk"))
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if string(s.Body(at("blue.psk"))) != "a key of some length\n" {
		t.Error("who clears what he has read changes the version")
	}
	if got := s.List[3].Name(); got != "environment variable BLUE" {
		t.Errorf("a variable is called %q", got)
	}
}
