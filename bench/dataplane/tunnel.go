package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/internal/lab"
)

// tunnelMTU is the inner MTU of ESP in UDP with AES-GCM through 1500 bytes.
const tunnelMTU = 1438

// makeStatic is esp/plane between processes that have nothing else.
func makeStatic(l *lab.Lab, m maker) *site {
	s := layOut(l, m, false)
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	start := func(ns *lab.Namespace, n int, address, route string) int {
		p := ns.Start(lab.Command{Name: "tunnel", Args: []string{self, "tunnel", "-end", strconv.Itoa(n), "-clients",
			strconv.Itoa(m.clients)}})
		p.WaitLog("ready", 5*time.Second)
		if n > 0 {
			ns.Address("tun0", address+"/32")
		}
		ns.Up("tun0")
		ns.MustRun("ip", "route", "add", route, "dev", "tun0")
		return service.add(p.PID())
	}
	s.pids = []int{start(s.gatewayNS, 0, "", "10.99.0.0/24")}
	for n, c := range s.clients {
		start(c.ns, n+1, inside(n+1), "10.10.0.0/24")
	}
	return s
}

// runTunnel is one end of a tunnel with fixed keys: end 0 is the gateway.
func runTunnel(args []string) error {
	f := flag.NewFlagSet("tunnel", flag.ContinueOnError)
	end := f.Int("end", 0, "which client this is; 0: the gateway")
	clients := f.Int("clients", 1, "how many clients there are")
	queues := f.Int("queues", 1, "queues of the TUN device")
	if err := f.Parse(args); err != nil {
		return err
	}
	files, err := tun.Open("tun0", tunnelMTU, *queues)
	if err != nil {
		return err
	}
	var devices []tun.Device
	for _, f := range files {
		d, err := tun.NewDevice(f)
		if err != nil {
			return err
		}
		devices = append(devices, d)
	}
	local := netip.MustParseAddrPort(lab.OutsideGateway + ":4500")
	if *end > 0 {
		local = netip.AddrPortFrom(netip.MustParseAddr(outside(*end)), 4500)
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return err
	}
	file, err := conn.File()
	if err != nil {
		return err
	}
	conn.Close()
	p, err := plane.New(&plane.Config{
		Devices: devices, Counters: esptest.Counters(*clients),
		Sockets: []plane.Socket{{Kind: plane.KindNATT, Local: local, File: file}},
	})
	if err != nil {
		return err
	}
	for n := 1; n <= *clients; n++ {
		at, far := staticPair(n)
		if *end == n {
			at = far
		} else if *end > 0 {
			continue
		}
		if err := p.Apply(&sa.Change{Op: sa.OpAdd, Child: at}); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		<-p.Ready()
		fmt.Println("ready")
	}()
	if err := p.Run(ctx); ctx.Err() == nil {
		return err
	}
	fmt.Printf("%+v\n", p.Stats())
	return nil
}

// staticPair is the tunnel of client n, as the gateway and the client see it.
func staticPair(n int) (gateway, client sa.Child) {
	return esptest.Pair{
		ID: uint64(2 * n), SlotA: uint32(n - 1), SlotB: 0, SPI: uint32(0x1000 + 2*n), Key: uint32(n),
		Encryption: "aes-256-gcm", Encap: sa.EncapUDP, Window: 1024,
		AddrA: lab.OutsideGateway + ":4500", AddrB: outside(n) + ":4500",
		BehindA: []string{"10.10.0.0/24"}, BehindB: []string{inside(n) + "/32"},
	}.Children()
}
