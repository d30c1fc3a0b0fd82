package netns

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLinks: the devices of a namespace are as the library lists them.
func TestLinks(t *testing.T) {
	_, g := dual(t)
	got, err := g.ns.links()
	if err != nil {
		t.Fatal(err)
	}
	list, err := g.ns.handle.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		Index, MTU int
		Name, MAC  string
		Up         bool
	}
	var is, want []facts
	for _, l := range got {
		if l.name == "lo" { // of which the library leaves the zeros out
			l.mac = ""
		}
		is = append(is, facts{l.index, l.mtu, l.name, net.HardwareAddr(l.mac).String(), l.up()})
	}
	for _, l := range list {
		a := l.Attrs()
		want = append(want, facts{a.Index, a.MTU, a.Name, a.HardwareAddr.String(), a.Flags&net.FlagUp != 0})
	}
	if diff := cmp.Diff(want, is); diff != "" || len(is) < 5 {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// FuzzAppendLinks: whatever comes, no link is read that is not there.
func FuzzAppendLinks(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 3, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(append([]byte{40, 0, 0, 0, 16, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 24)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _, err := appendLinks(nil, b)
		if err == nil && len(list) > len(b)/32 {
			t.Errorf("%d links of %d bytes", len(list), len(b))
		}
	})
}
