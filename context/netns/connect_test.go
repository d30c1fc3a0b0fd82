package netns

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
)

// TestConnect: a worker gets sockets to servers that its tenant names, from the address and
// over the interface that it names, and to no others.
func TestConnect(t *testing.T) {
	h := scratch(t)
	g, cfg := build(t, h)
	defer g.Remove()
	inside(t, h.ns, "ip addr add 10.10.0.100/24 dev p-in")
	server := netip.MustParseAddrPort("10.10.0.100:1812")
	changed := tenant()
	changed.AAAServers = []spec.AAAServerGroup{{Name: "ISE", Servers: []spec.AAAServer{
		{Address: server.Addr(), Port: server.Port(), Interface: "inside"},
		{Address: netip.MustParseAddr("fd00::1"), Port: 1812, Interface: "inside"},
		{Address: server.Addr(), Port: 1645},
	}}}
	cfg.Tenant = changed
	if err := g.Update(changed); err != nil {
		t.Fatal(err)
	}
	var listener *net.UDPConn
	err := h.ns.Do(func() (err error) {
		listener, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(server))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	files, err := g.Connect(control.Connect{Server: server, Sockets: 2})
	if err != nil || len(files) != 2 {
		t.Fatalf("%d sockets, %v", len(files), err)
	}
	ports := make(map[uint16]bool)
	for _, f := range files {
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		ports[local.Port()] = true
		if local.Addr() != netip.MustParseAddr("10.10.0.1") {
			t.Errorf("from %s", local)
		}
		if _, err := conn.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, from, err := listener.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != "request" || from != local {
			t.Errorf("%q from %s, %v", b[:n], from, err)
		}
		if _, err := listener.WriteToUDPAddrPort([]byte("answer"), from); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(b); err != nil || string(b[:n]) != "answer" {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
	if len(ports) != 2 {
		t.Errorf("ports %v", ports)
	}

	for _, tt := range []struct {
		server  string
		sockets int
		want    string // "": they are made
	}{
		{"10.10.0.100:1645", 1, ""},
		{"10.10.0.100:1813", 1, "no such server"},
		{"10.10.0.101:1812", 1, "no such server"},
		{"[fd00::1]:1812", 1, "interface inside has no address of the family"},
		{"10.10.0.100:1812", 0, "0 sockets"},
		{"10.10.0.100:1812", control.MaxSockets + 1, "1 to 4 are allowed"},
	} {
		files, err := g.Connect(control.Connect{Server: netip.MustParseAddrPort(tt.server), Sockets: tt.sockets})
		for _, f := range files {
			f.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %d sockets: %v", tt.server, tt.sockets, err)
		}
	}
}
