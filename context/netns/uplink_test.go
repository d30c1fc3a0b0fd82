package netns

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUplinksOfAnEarlierProcess: what a process that was killed has made for failover links is
// kept, as it is, where the next one is to use it, and is given back where it is not; in the end
// the host has what it had before the first of them.
func TestUplinksOfAnEarlierProcess(t *testing.T) {
	h := scratch(t)
	dir := t.TempDir()
	link := func(name, host, address string) UplinkConfig {
		return UplinkConfig{Name: name, Host: host, Address: netip.MustParsePrefix(address), Records: dir}
	}
	used, moved := link("used", "wt-in", "192.168.255.1/30"), link("moved", "p-in", "192.168.254.1/30")
	given := link("given", "wt-out", "203.0.113.9/24") // the host's own address
	before := hostState(t, h)
	for _, c := range []UplinkConfig{used, moved, given} {
		u, err := h.OpenUplink(c)
		if err != nil {
			t.Fatal(err)
		}
		if u.Device() != c.Host {
			t.Errorf("%s is on %s", c.Name, u.Device())
		}
	}
	open := func(device string) string { // what the kernel has there
		return inside(t, h.ns, "ip -br link show "+device+"; ip -o -4 addr show "+device)
	}
	was := open("wt-in")
	if !strings.Contains(was, "192.168.255.1/30") {
		t.Fatalf("the link has no address: %s", was)
	}

	other := moved
	other.Address = netip.MustParsePrefix("192.168.254.5/30")
	if err := h.RecoverUplinks(dir, []UplinkConfig{used, other}); err != nil {
		t.Error(err)
	}
	if now := open("wt-in"); now != was {
		t.Errorf("what is to be kept: got %s, want %s", now, was)
	}
	if now := open("p-in"); strings.Contains(now, "192.168.254") {
		t.Errorf("what has another address now: %s", now)
	}
	if now := open("wt-out"); !strings.Contains(now, "203.0.113.9/24") {
		t.Errorf("an address of the host's own is taken away: %s", now)
	}
	records, err := filepath.Glob(filepath.Join(dir, "*"+uplinkSuffix))
	if err != nil || len(records) != 1 || records[0] != used.record() {
		t.Errorf("records: %v, %v", records, err)
	}

	u, err := h.OpenUplink(used)
	if err != nil {
		t.Fatal(err)
	}
	if now := open("wt-in"); now != was {
		t.Errorf("taken up: got %s, want %s", now, was)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if now := hostState(t, h); now != before {
		t.Errorf("in the end: got\n%s\nwant\n%s", now, before)
	}
}

// TestDamagedUplinkRecord: a record that cannot be read is told, and the others are undone.
func TestDamagedUplinkRecord(t *testing.T) {
	h := scratch(t)
	dir := t.TempDir()
	c := UplinkConfig{Name: "direct", Host: "wt-in", Address: netip.MustParsePrefix("192.168.255.1/30"), Records: dir}
	if _, err := h.OpenUplink(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a"+uplinkSuffix), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.RecoverUplinks(dir, nil); err == nil || !strings.Contains(err.Error(), "reading record") {
		t.Errorf("got %v", err)
	}
	if now := inside(t, h.ns, "ip -o -4 addr show wt-in"); strings.Contains(now, "192.168.255") {
		t.Errorf("the link of the other record: %s", now)
	}
}

// TestUplinkStays: what an earlier process has opened is what a configuration means where the
// device and the address are the same.
func TestUplinkStays(t *testing.T) {
	h := &Host{system: "gw"}
	plain := UplinkConfig{Host: "eth0", Address: netip.MustParsePrefix("192.168.255.1/30")}
	tagged := plain
	tagged.VLAN = 7
	own := savedUplink{Device: h.uplinkDevice(tagged), Made: true, Address: plain.Address}
	tests := []struct {
		name  string
		saved savedUplink
		cfg   UplinkConfig
		want  bool
	}{
		{"the same", savedUplink{Device: "eth0", Address: plain.Address}, plain, true},
		{"an address that was there", savedUplink{Device: "eth0"}, plain, true},
		{"another device", savedUplink{Device: "eth1", Address: plain.Address}, plain, false},
		{"another address", savedUplink{Device: "eth0", Address: netip.MustParsePrefix("192.168.255.2/30")}, plain,
			false},
		{"the same VLAN", own, tagged, true},
		{"no VLAN any more", own, plain, false},
		{"a VLAN now", savedUplink{Device: "eth0", Address: plain.Address}, tagged, false},
	}
	for _, tt := range tests {
		if got := h.stays(tt.saved, tt.cfg); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
