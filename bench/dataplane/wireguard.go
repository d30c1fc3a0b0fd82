package main

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// wireguardMTU is the inner MTU that wireguard-go has by itself.
const wireguardMTU = 1420

// wireguards numbers the devices of this process: their control sockets lie in
// one folder of the host.
var wireguards atomic.Int32

// wireguardKey is the private key of end n of a tunnel; 0 is the gateway. These
// keys protect nothing.
func wireguardKey(n int) *ecdh.PrivateKey {
	k, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{byte(n + 1)}, 32))
	if err != nil {
		panic("dataplane: internal error: " + err.Error())
	}
	return k
}

// makeWireguard is wireguard-go at both ends.
func makeWireguard(l *lab.Lab, m maker) *site {
	s := layOut(l, m, false)
	var peers strings.Builder
	for n := range s.clients {
		fmt.Fprintf(&peers, "public_key=%s\nallowed_ip=%s/32\n", publicKey(n+1), inside(n+1))
	}
	s.pids = []int{wireguard(l, s.gatewayNS, 0, lab.InsideGateway, "10.99.0.0/24", peers.String())}
	for n, c := range s.clients {
		wireguard(l, c.ns, n+1, inside(n+1), "10.10.0.0/24",
			fmt.Sprintf("public_key=%s\nallowed_ip=10.10.0.0/24\nendpoint=%s:51820\n", publicKey(0),
				lab.OutsideGateway))
	}
	return s
}

func publicKey(n int) string { return hex.EncodeToString(wireguardKey(n).PublicKey().Bytes()) }

// wireguard starts one end and returns its process. What is for the route goes
// into the tunnel.
func wireguard(l *lab.Lab, ns *lab.Namespace, n int, address, route, peers string) int {
	device := fmt.Sprintf("wg%d-%d", os.Getpid(), wireguards.Add(1))
	p := ns.Start(lab.Command{Args: []string{filepath.Join(lab.Bin(), wireguardGo), "-f", device}})
	socket := "/var/run/wireguard/" + device + ".sock"
	l.Eventually("wireguard-go to take its keys", 10*time.Second, func() error {
		return configureWireguard(socket, fmt.Sprintf("private_key=%s\nlisten_port=51820\n%s",
			hex.EncodeToString(wireguardKey(n).Bytes()), peers))
	})
	if address != lab.InsideGateway {
		ns.Address(device, address+"/32")
	}
	ns.MTU(device, wireguardMTU)
	ns.Up(device)
	ns.MustRun("ip", "route", "add", route, "dev", device)
	return service.add(p.PID())
}

// configureWireguard speaks wireguard-go's configuration protocol.
func configureWireguard(socket, text string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "set=1\n%s\n", text); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && answer != "errno=0\n" {
		err = fmt.Errorf("wireguard-go answers %q", answer)
	}
	return err
}
