package netns

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// awaitSound waits until the Gateway knows that its namespace is as it must be.
func awaitSound(t *testing.T, g *Gateway) {
	t.Helper()
	for limit := time.Now().Add(patience); !g.Sound(g.tenant); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("nothing is known of the namespace")
		}
	}
}

// TestKnownFromTheStart: of a network that was just built nothing has to be looked at.
func TestKnownFromTheStart(t *testing.T) {
	g := buildWith(t, scratch(t), dualTenant())
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.known.net || !g.known.settings {
		t.Errorf("the network is known: %v, its settings: %v", g.known.net, g.known.settings)
	}
}

// TestLinksAreKnown: a change of a device is looked at further only where that is not as
// it was.
func TestLinksAreKnown(t *testing.T) {
	g := buildWith(t, scratch(t), dualTenant())
	awaitSound(t, g)
	if !g.linksAreKnown() {
		t.Error("nothing has changed, and everything is to be looked at")
	}
	g.mu.Lock() // it looks at nothing from here on
	defer g.mu.Unlock()
	for _, script := range []string{"ip link set outside mtu 1380", "ip link set ipsec0 down",
		"ip link set inside address 02:00:00:00:00:77", "ip link set inside name other", "ip link del other"} {
		before := g.known.links
		inside(t, g.ns, script)
		if err := g.lookLocked(); err != nil || g.known.links == before {
			t.Errorf("%s: the devices are said to be as before; %v", script, err)
		}
	}
}

// TestKind: what a message says by its headers.
func TestKind(t *testing.T) {
	const own, idle = 4711, 5
	w := &watch{own: own, idle: idle}
	message := func(typ uint16, port uint32, rest ...byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(rest)))
		b = binary.NativeEndian.AppendUint16(b, typ)
		b = append(b, make([]byte, 6)...)
		return append(binary.NativeEndian.AppendUint32(b, port), rest...)
	}
	device := func(index, flags uint32) []byte {
		b := binary.NativeEndian.AppendUint32(make([]byte, 4), index)
		b = binary.NativeEndian.AppendUint32(b, flags)
		return append(b, make([]byte, 4)...)
	}
	const up, carrier = unix.IFF_UP, unix.IFF_LOWER_UP
	for _, tt := range []struct {
		name    string
		message []byte
		want    change
	}{
		{"a device that is up", message(unix.RTM_NEWLINK, 0, device(3, up|carrier)...), linkChange},
		{"one that we have set up", message(unix.RTM_NEWLINK, own, device(3, up|carrier)...), linkChange},
		{"one without a carrier", message(unix.RTM_NEWLINK, 0, device(3, up)...), linkChange | lossChange},
		{"one that never has a carrier", message(unix.RTM_NEWLINK, 0, device(idle, up)...), linkChange},
		{"the same, and it is down", message(unix.RTM_NEWLINK, 0, device(idle, 0)...), linkChange | lossChange},
		{"one that is down", message(unix.RTM_NEWLINK, 1, device(3, 0)...), linkChange | lossChange},
		{"one that is gone", message(unix.RTM_DELLINK, 0, device(3, up|carrier)...), linkChange | lossChange},
		{"half a device", message(unix.RTM_NEWLINK, 0, device(3, up|carrier)[:11]...), linkChange | lossChange},
		{"an address of ours", message(unix.RTM_NEWADDR, own), 0},
		{"an address of the kernel's", message(unix.RTM_NEWADDR, 0), 0},
		{"an address of somebody else's", message(unix.RTM_NEWADDR, 1), netChange},
		{"an address that the kernel takes away", message(unix.RTM_DELADDR, 0), netChange},
		{"a route of the kernel's", message(unix.RTM_NEWROUTE, 0, 2, 24, 0, 0, 254, unix.RTPROT_KERNEL), 0},
		{"a route that the kernel takes away", message(unix.RTM_DELROUTE, 0, 2, 24, 0, 0, 254, 87), netChange},
		{"a rule", message(unix.RTM_DELRULE, 1), netChange},
		{"a setting", message(unix.RTM_NEWNETCONF, 0), settingChange},
		{"no header", make([]byte, unix.SizeofNlMsghdr-1), 0},
	} {
		if got := w.kind(tt.message[:min(len(tt.message), readOfMessage)]); got != tt.want {
			t.Errorf("%s: %04b, want %04b", tt.name, got, tt.want)
		}
	}
}

// TestKnown: a Gateway that knows its namespace looks all the same at what somebody
// else has just changed.
func TestKnown(t *testing.T) {
	h := scratch(t)
	g := buildWith(t, h, dualTenant())
	awaitSound(t, g)
	before := everything(t, g)
	for _, breakage := range breakages {
		wantPutBack(t, g, before, breakage)
		awaitSound(t, g)
	}
	inside(t, g.ns, "echo 0 > /proc/sys/net/ipv4/ip_forward")
	if err := g.Update(g.tenant); err != nil {
		t.Error(err)
	}
	if got := inside(t, g.ns, "cat /proc/sys/net/ipv4/ip_forward"); got != "1\n" && got != "1" {
		t.Errorf("forwarding is %q", got)
	}
}

// TestAdapt: where the namespace is known, another configuration comes to the same as
// where everything is looked at.
func TestAdapt(t *testing.T) {
	h := scratch(t)
	g := buildWith(t, h, dualTenant())
	routed(t, g)
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	for _, tt := range []struct {
		name   string
		change func(*spec.Tenant)
	}{
		{"nothing", func(*spec.Tenant) {}},
		{"a pool is larger", func(tn *spec.Tenant) { tn.Pools[0].End = addr("10.99.3.200") }},
		{"a pool within the inside", func(tn *spec.Tenant) {
			tn.Pools = append(tn.Pools, spec.Pool{Name: "near", Start: addr("10.10.0.64"), End: addr("10.10.0.80")})
		}},
		{"another static route", func(tn *spec.Tenant) {
			tn.Routes = append(tn.Routes, spec.Route{Destination: prefix("10.40.0.0/16"), Interface: "inside",
				Gateway: addr("10.10.0.253")})
		}},
		{"another remote network", func(tn *spec.Tenant) {
			e := &tn.CryptoMaps[0].Entries[0]
			e.Remote = append(e.Remote, prefix("10.66.0.0/16"))
		}},
		{"no crypto map", func(tn *spec.Tenant) { tn.CryptoMaps = nil }},
		{"an interface is shut down", func(tn *spec.Tenant) { tn.Interfaces[1].Shutdown = true }},
		{"all as it was", func(*spec.Tenant) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			awaitSound(t, g)
			tn := dualTenant()
			tt.change(tn)
			if err := g.Update(tn); err != nil {
				t.Fatal(err)
			}
			got := everything(t, g)
			g.mu.Lock()
			g.known.net = false
			g.mu.Unlock()
			if err := g.Update(tn); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(everything(t, g), got); diff != "" {
				t.Errorf("where the namespace is known it is not what it is otherwise (-otherwise +known)\n%s", diff)
			}
		})
	}
}

// TestSoundAgain: what was changed meanwhile is not known to be there.
func TestSoundAgain(t *testing.T) {
	g := buildWith(t, scratch(t), dualTenant())
	awaitSound(t, g)
	g.mu.Lock() // the Gateway looks at nothing meanwhile
	inside(t, g.ns, "ip rule add pref 5 lookup main")
	sound := g.soundLocked()
	g.mu.Unlock()
	if sound {
		t.Error("a rule was added, and the namespace is said to be as before")
	}
	if g.Sound(dualTenant()) {
		t.Error("it is said to be what another tenant needs")
	}
}
