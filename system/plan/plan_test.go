package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/system/texts"
)

const twoContexts = `
interface "Ethernet1/1" { device = "wt-out" }
interface "Ethernet1/2" { device = "wt-in" }

class "bronze" {
  limits {
    vpn_anyconnect = 2
  }
}

context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
context "red" {
  member     = "bronze"
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/2" { name = "outside" }
}
`

const oneTenant = `
interface "outside" { address = "198.51.100.1/24" }
ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }
`

// box is a configuration: its texts by the names of their files.
type box struct {
	t     *testing.T
	texts map[string]string
}

func newBox(t *testing.T) *box {
	return &box{t, map[string]string{"system.hcl": twoContexts, "blue.hcl": oneTenant, "red.hcl": oneTenant}}
}

func (b *box) write(name, text string) { b.texts[name] = text }

// load reads the configuration as it is now.
func (b *box) load() (*configs.System, *texts.Set) {
	b.t.Helper()
	set := &texts.Set{Path: "/warren/system.hcl"}
	for name, text := range b.texts {
		at := configs.Location{Scheme: configs.SchemeFile, Path: "/warren/" + name}
		set.List = append(set.List, texts.Text{At: at, Body: []byte(text)})
	}
	rec := texts.NewRecorder(set)
	conf, diags := configs.Load(rec, set.Path, configs.Machine{Cores: 4})
	if diags.HasErrors() {
		b.t.Fatal(diags.Mistakes())
	}
	return conf, rec.Texts(set.Path, conf)
}

// wanted is what the configuration, as it is now, wants.
func (b *box) wanted(key []byte) []*Wanted {
	b.t.Helper()
	conf, _ := b.load()
	return Want(conf, key)
}

// TestPlan changes a configuration that runs: what is not touched has no step.
func TestPlan(t *testing.T) {
	replace := func(old, new string) func(string) string {
		return func(text string) string { return strings.Replace(text, old, new, 1) }
	}
	tests := []struct {
		name string
		file string
		edit func(string) string
		want []string
	}{
		{"nothing", "blue.hcl", func(s string) string { return s + "# a remark\n" }, nil},
		{"a pool", "red.hcl", replace("10.99.0.250", "10.99.0.99"),
			[]string{`configure context "red": its configuration has changed (ip_pool "staff")`}},
		{"an address", "blue.hcl", replace("198.51.100.1", "198.51.100.7"),
			[]string{`rebuild context "blue": its interfaces have changed`}},
		{"a class", "system.hcl", replace("vpn_anyconnect = 2", "vpn_anyconnect = 3"),
			[]string{`configure context "red": its configuration has changed`}},
		{"cpu of a class", "system.hcl", replace("vpn_anyconnect = 2", "vpn_anyconnect = 2\ncpu = 0.5"),
			[]string{`configure context "red": its limits have changed, its configuration has changed`}},
		{"a device", "system.hcl", replace("wt-in", "wt-dmz"),
			[]string{`rebuild context "red": its interfaces have changed`}},
		{"another name", "system.hcl", replace(`context "red"`, `context "green"`),
			[]string{`remove context "red": it is no longer configured; its disk0: is set aside`, `create context "green": it is new`}},
	}
	originals := map[string]string{"system.hcl": twoContexts, "blue.hcl": oneTenant, "red.hcl": oneTenant}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, key := newBox(t), []byte("key")
			is := b.wanted(key)
			if steps := Steps(nil, is); len(steps) != 2 || steps[0].Action != ActionCreate ||
				steps[1].Action != ActionCreate {
				t.Errorf("at the start: %v", steps)
			}
			b.write(tt.file, tt.edit(originals[tt.file]))
			var got []string
			for _, s := range Steps(is, b.wanted(key)) {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDevices: a whole device, one that is shared, and subinterfaces.
func TestDevices(t *testing.T) {
	b := newBox(t)
	b.write("system.hcl", `
interface "Ethernet1/1" {
  device = "wt-out"
  shared = true
}
interface "Ethernet1/2" { device = "wt-in" }
interface "Ethernet1/2.200" {}
interface "Ethernet1/2.7" { shared = true }

context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
  allocate_interface "Ethernet1/2.200" { name = "inside" }
  allocate_interface "Ethernet1/2.7" { name = "dmz" }
}
context "red" {
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
  allocate_interface "Ethernet1/2.7" { name = "dmz" }
}
`)
	b.write("red.hcl", `interface "outside" {
  address = "198.51.100.2/24"
  mac     = "02:00:5e:10:00:01"
}
`)
	list := b.wanted([]byte("key"))
	var got []string
	macs := map[string]bool{}
	for _, w := range list {
		for _, d := range w.Devices {
			got = append(got, fmt.Sprintf("%s %s %s %s.%d", w.Name, d.Interface, d.Kind, d.Host, d.VLAN))
			if d.Kind == spec.Macvlan {
				if d.MAC[0]&3 != 2 || macs[d.MAC.String()] {
					t.Errorf("%s %s has the MAC %s", w.Name, d.Interface, d.MAC)
				}
				macs[d.MAC.String()] = true
			}
		}
	}
	want := []string{
		"blue outside macvlan wt-out.0", "blue inside vlan wt-in.200", "blue dmz macvlan wt-in.7",
		"red outside macvlan wt-out.0", "red dmz macvlan wt-in.7",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if len(macs) != 4 || !macs["02:00:5e:10:00:01"] {
		t.Errorf("MACs: %v", macs)
	}
	if steps := Steps(list, b.wanted([]byte("key"))); len(steps) > 0 {
		t.Errorf("read again: %v", steps)
	}
}
