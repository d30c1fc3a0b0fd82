package plane_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/internal/roottest"
)

// The tests in this file run two planes over real sockets and TUN devices, each
// in a network namespace of its own, joined by a veth pair.

// space is a network namespace that ends with the test.
type space struct {
	t    testing.TB
	file *os.File
}

// newSpace makes a namespace. The thread that made it is thrown away.
func newSpace(t testing.TB) *space {
	t.Helper()
	type result struct {
		f   *os.File
		err error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		var f *os.File
		if err == nil {
			f, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- result{f, err}
	}()
	r := <-made
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.f.Close() })
	s := &space{t, r.f}
	s.run("ip", "link", "set", "lo", "up")
	return s
}

// do calls fn on a thread in the namespace.
func (s *space) do(fn func() error) {
	s.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
}

// run runs a program in the namespace.
func (s *space) run(args ...string) {
	s.t.Helper()
	s.do(func() error {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	})
}

// udp opens a UDP or raw socket in the namespace.
func (s *space) socket(kind plane.Kind, local netip.AddrPort) *os.File {
	s.t.Helper()
	var f *os.File
	s.do(func() error {
		typ, proto, family := unix.SOCK_DGRAM, 0, unix.AF_INET
		if kind == plane.KindESP {
			typ, proto = unix.SOCK_RAW, 50
		}
		var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(local.Port()), Addr: [4]byte(local.Addr().AsSlice()[:4])}
		if local.Addr().Is6() {
			family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(local.Port()), Addr: local.Addr().As16()}
		}
		fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
		if err != nil {
			return err
		}
		if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
			unix.Bind(fd, to)); err != nil {
			unix.Close(fd)
			return err
		}
		f = os.NewFile(uintptr(fd), "socket")
		return nil
	})
	return f
}

// real is a gateway in a namespace.
type real struct {
	*space
	*plane.Plane
}

// shared has several sockets share the address of UDP 4500 in every lab.
var shared = false

var outerNet = [2][2]string{{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}}

// lab makes two gateways that are connected by a child SA of each kind that is
// asked for.
func lab(t testing.TB, p esptest.Pair, change func(*plane.Config)) (a, b *real) {
	t.Helper()
	roottest.Need(t)
	v6 := strings.HasPrefix(p.AddrA, "[")
	out := outerNet[0]
	if v6 {
		out = outerNet[1]
	}
	sa1, sb1 := newSpace(t), newSpace(t)
	sa1.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns",
		fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), sb1.file.Fd()))
	spaces := [2]*space{sa1, sb1}
	var gs [2]*real
	ca, cb := p.Children()
	for i, s := range spaces {
		for _, n := range outerNet {
			bits := "/24"
			if strings.Contains(n[i], ":") {
				bits = "/64"
			}
			s.run("ip", "addr", "add", n[i]+bits, "dev", "v0", "nodad")
		}
		s.run("ip", "link", "set", "v0", "up")
		var files []*os.File
		s.do(func() (err error) { files, err = tun.Open("tun0", 1400, 1); return err })
		s.run("ip", "addr", "add", fmt.Sprintf("10.%d.0.1/16", i+1), "dev", "tun0")
		s.run("ip", "addr", "add", fmt.Sprintf("2001:db8:%d::1/48", i+1), "dev", "tun0", "nodad")
		s.run("ip", "link", "set", "tun0", "up")
		s.run("ip", "route", "add", fmt.Sprintf("10.%d.0.0/16", 2-i), "dev", "tun0", "src",
			fmt.Sprintf("10.%d.0.1", i+1))
		s.run("ip", "route", "add", fmt.Sprintf("2001:db8:%d::/48", 2-i), "dev", "tun0")
		dev, err := tun.NewDevice(files[0])
		if err != nil {
			t.Fatal(err)
		}
		c := &plane.Config{Devices: []tun.Device{dev}, Counters: esptest.Counters(8)}
		for _, k := range []plane.Kind{plane.KindIKE, plane.KindNATT, plane.KindESP} {
			local := netip.AddrPortFrom(netip.MustParseAddr(out[i]),
				map[plane.Kind]uint16{plane.KindIKE: 500, plane.KindNATT: 4500}[k])
			c.Sockets = append(c.Sockets, plane.Socket{Kind: k, Local: local, MTU: 1500, File: s.socket(k, local)})
		}
		if shared { // four sockets share the address
			local := c.Sockets[1].Local
			for range 3 {
				c.Sockets = append(c.Sockets, plane.Socket{Kind: plane.KindNATT, Local: local, MTU: 1500,
					File: s.socket(plane.KindNATT, local)})
			}
		}
		c.Crew = crewSize
		if change != nil {
			change(c)
		}
		pl, err := plane.New(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- pl.Run(ctx) }()
		<-pl.Ready()
		t.Cleanup(func() { cancel(); <-done })
		child := ca
		if i == 1 {
			child = cb
		}
		if err := pl.Apply(&sa.Change{Op: sa.OpAdd, Child: child}); err != nil {
			t.Fatal(err)
		}
		gs[i] = &real{s, pl}
	}
	return gs[0], gs[1]
}

// transfer sends n bytes through TCP from a to b.
func transfer(t testing.TB, a, b *real, addr string, n int) {
	t.Helper()
	var ln net.Listener
	b.do(func() (err error) { ln, err = net.Listen("tcp", addr); return err })
	defer ln.Close()
	want := bytes.Repeat(random(1<<20), n>>20)
	sent := make(chan error, 1)
	var conn net.Conn
	a.do(func() (err error) {
		conn, err = net.DialTimeout("tcp", ln.Addr().String(), patience)
		return err
	})
	go func() {
		_, err := conn.Write(want)
		sent <- errors.Join(err, conn.(*net.TCPConn).CloseWrite())
	}()
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer conn.Close()
	in.SetDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(in)
	if err := errors.Join(err, <-sent); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d of %d bytes, right: %v, %v; stats %+v and %+v", len(got), len(want), bytes.Equal(got, want),
			err, a.Stats(), b.Stats())
	}
}

// echo sends datagrams of many sizes, fragmented ones too, from a to b and back.
func echo(t testing.TB, a, b *real, addr string) {
	t.Helper()
	var near net.Conn
	var ln *net.UDPConn
	b.do(func() (err error) {
		ln, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		return err
	})
	defer ln.Close()
	a.do(func() (err error) { near, err = net.Dial("udp", addr); return err })
	defer near.Close()
	go func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := ln.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = ln.WriteToUDPAddrPort(buf[:n], from)
			}
		}
	}()
	buf := make([]byte, 65535)
	for _, n := range []int{0, 1, 56, 800, 1200, 1350, 1372, 1373, 1400, 2000, 8000, 40000, 65000} {
		want := random(n)
		var got int
		var err error
		// The first try may only find out how large packets may be.
		for try := range 6 {
			near.SetDeadline(time.Now().Add(time.Second << try))
			if _, err = near.Write(want); err != nil {
				continue
			}
			got, err = near.Read(buf)
			for err == nil && !bytes.Equal(buf[:got], want) { // late answers to earlier tries
				got, err = near.Read(buf)
			}
			if err == nil {
				break
			}
		}
		if err != nil || !bytes.Equal(buf[:got], want) {
			t.Fatalf("%d bytes: %d came back, %v; stats %+v and %+v", n, got, err, a.Stats(), b.Stats())
		}
	}
}

func TestKernel(t *testing.T) {
	raw4, raw6, udp6, cbc := pair, pair, pair, pair
	raw4.Encap, raw4.AddrA, raw4.AddrB = sa.EncapRaw, "192.0.2.1:0", "192.0.2.2:0"
	udp6.AddrA, udp6.AddrB = "[2001:db8::1]:4500", "[2001:db8::2]:4500"
	raw6.Encap, raw6.AddrA, raw6.AddrB = sa.EncapRaw, "[2001:db8::1]:0", "[2001:db8::2]:0"
	cbc.Encryption, cbc.Integrity, cbc.ESN = "aes-256-cbc", "sha256", true
	for _, tt := range []struct {
		name   string
		pair   esptest.Pair
		change func(*plane.Config)
	}{
		{"udp4", pair, nil},
		{"udp6", udp6, nil},
		{"raw4", raw4, nil},
		{"raw6", raw6, nil},
		{"cbc", cbc, nil},
		{"no gso", pair, func(c *plane.Config) { c.Options.NoGSO = true }},
		{"no gro", pair, func(c *plane.Config) { c.Options.NoGRO = true }},
		{"no tun offload", pair, func(c *plane.Config) { c.Options.NoTUNOffload = true }},
		{"no batching", udp6, func(c *plane.Config) { c.Options.NoBatching = true }},
		{"gso refused", pair, func(c *plane.Config) { // the kernel segments nothing that has no checksum
			for _, s := range c.Sockets[1:2] {
				if err := unix.SetsockoptInt(int(s.File.Fd()), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
					panic(err)
				}
			}
		}},
		{"no offload", pair, func(c *plane.Config) {
			c.Options = plane.Options{NoGSO: true, NoGRO: true, NoTUNOffload: true, NoBatching: true}
		}},
		{"narrow path", pair, func(c *plane.Config) { c.MaxPathMTU = 900 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := lab(t, tt.pair, tt.change)
			t.Log(a.Offloads())
			echo(t, a, b, "10.2.0.1:7")
			echo(t, b, a, "[2001:db8:1::1]:7")
			transfer(t, a, b, "10.2.0.1:7000", 8<<20)
			transfer(t, b, a, "[2001:db8:1::1]:7000", 8<<20)
			for _, g := range []*real{a, b} {
				if s := g.Stats(); s.Sum(stats.DropIntegrity, stats.DropMalformed, stats.DropSelector, stats.DropSend,
					stats.DropDeliver, stats.DropReplay) > 0 {
					t.Errorf("drops: %+v", s)
				}
			}
		})
	}
}

// TestKernelSharedAddress: several sockets share an address, as they do on
// machines with many processors. Each SA has one of them.
func TestKernelSharedAddress(t *testing.T) {
	shared = true
	defer func() { shared = false }()
	a, b := lab(t, pair, nil)
	echo(t, a, b, "10.2.0.1:7")
	transfer(t, a, b, "10.2.0.1:7000", 8<<20)
	transfer(t, b, a, "[2001:db8:1::1]:7000", 8<<20)
	for _, g := range []*real{a, b} {
		if s := g.Stats(); s.Sum(stats.DropIntegrity, stats.DropMalformed, stats.DropSelector, stats.DropSend,
			stats.DropDeliver, stats.DropReplay) > 0 {
			t.Errorf("drops: %+v", s)
		}
	}
}

// TestKernelSwitches switches everything off and on while data flows, but for
// GRO, which loses packets in that moment.
func TestKernelSwitches(t *testing.T) {
	a, b := lab(t, pair, nil)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		off := plane.Options{NoGSO: true, NoTUNOffload: true, NoBatching: true}
		for i := 0; ; i++ {
			for _, g := range []*real{a, b} {
				o := off
				if i%2 > 0 {
					o = plane.Options{}
				}
				if err := g.SetOptions(o); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	}()
	transfer(t, a, b, "10.2.0.1:7000", 32<<20)
	transfer(t, b, a, "[2001:db8:1::1]:7000", 32<<20)
	close(stop)
	<-done
	for _, g := range []*real{a, b} {
		if s := g.Stats(); s.Sum(stats.DropIntegrity, stats.DropMalformed, stats.DropSelector, stats.DropSend,
			stats.DropReplay) > 0 || s.Sum(stats.SuperPackets) == 0 {
			t.Errorf("drops: %+v", s)
		}
	}
	for _, tt := range []struct {
		options plane.Options
		want    string
	}{
		{plane.Options{}, "[gso gro tun_tcp tun_udp]"},
		{plane.Options{NoGSO: true}, "[gro tun_tcp tun_udp]"},
		{plane.Options{NoGRO: true, NoTUNOffload: true}, "[gso]"},
	} {
		if err := a.SetOptions(tt.options); err != nil || fmt.Sprint(a.Offloads()) != tt.want {
			t.Errorf("%+v: in use are %v, %v; want %v", tt.options, a.Offloads(), err, tt.want)
		}
	}
	if err := a.SetOptions(plane.Options{DF: "maybe"}); err == nil {
		t.Error("an unknown policy for DF is taken")
	}
}

// TestKernelPathMTU: a router's "too big" comes back through the error queue.
func TestKernelPathMTU(t *testing.T) {
	a, b := lab(t, pair, nil)
	a.run("ip", "link", "set", "v0", "mtu", "1000")
	transfer(t, a, b, "10.2.0.1:7000", 4<<20)
	if mtu, inner, _ := a.PathMTU(1); mtu != 1000 || inner != 938 {
		t.Errorf("path MTU is %d, inner %d; stats %+v", mtu, inner, a.Stats())
	}
}

// TestKernelPathMTUByStrangers: whoever has seen no packet of ours cannot make
// the path narrower, however little RFC 792 lets an ICMP message quote.
func TestKernelPathMTUByStrangers(t *testing.T) {
	a, b := lab(t, pair, nil)
	udp := func(quoted []byte) []byte { // a "too big" about a datagram of ours, of 1,000 bytes
		b := make([]byte, 8+20+8, 8+20+8+len(quoted))
		b[0], b[1] = 3, 4
		binary.BigEndian.PutUint16(b[6:], 600)
		inner := b[8:]
		inner[0], inner[8], inner[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(inner[2:], 1000)
		copy(inner[12:], net.IPv4(192, 0, 2, 1).To4())
		copy(inner[16:], net.IPv4(192, 0, 2, 2).To4())
		binary.BigEndian.PutUint16(inner[10:], tun.HeaderChecksum(inner[:20]))
		binary.BigEndian.PutUint16(inner[20:], 4500)
		binary.BigEndian.PutUint16(inner[22:], 4500)
		binary.BigEndian.PutUint16(inner[24:], 980)
		b = append(b, quoted...)
		binary.BigEndian.PutUint16(b[2:], tun.HeaderChecksum(b))
		return b
	}
	ca, _ := pair.Children()
	ours := binary.BigEndian.AppendUint32(nil, uint32(ca.Out.SPI))
	for _, tt := range []struct {
		name   string
		quoted []byte
		want   int
	}{
		{"nothing of ESP is quoted", nil, 1500},
		{"half an ESP header", ours, 1500},
		{"another SPI", make([]byte, 16), 1500},
		{"ours", append(ours, 0, 0, 0, 1), 600},
	} {
		seen := a.Stats().Sum(stats.ReceiveErrors)
		b.do(func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.Sendto(fd, udp(tt.quoted), 0, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}})
		})
		until(t, "the ICMP message: "+tt.name, func() bool { return a.Stats().Sum(stats.ReceiveErrors) > seen })
		until(t, tt.name, func() bool { mtu, _, _ := a.PathMTU(1); return mtu == tt.want })
	}
}

// BenchmarkKernelTCP is one TCP flow between two gateways on one machine, with
// crews of several sizes: what a crew costs where there are no processors for it,
// and brings where there are.
func BenchmarkKernelTCP(bm *testing.B) {
	for _, size := range []int{-1, 1, 2, 4} {
		bm.Run(fmt.Sprintf("crew=%d", max(size, 0)), func(bm *testing.B) {
			crewSize = size
			defer func() { crewSize = -1 }()
			kernelTCP(bm)
		})
	}
}

func kernelTCP(bm *testing.B) {
	a, b := lab(bm, pair, nil)
	var ln net.Listener
	b.do(func() (err error) { ln, err = net.Listen("tcp", "10.2.0.1:7000"); return err })
	defer ln.Close()
	var conn net.Conn
	a.do(func() (err error) { conn, err = net.Dial("tcp", ln.Addr().String()); return err })
	in, err := ln.Accept()
	if err != nil {
		bm.Fatal(err)
	}
	defer in.Close()
	defer conn.Close()
	block := make([]byte, 1<<20)
	buf := make([]byte, 1<<20)
	bm.SetBytes(1 << 20)
	go func() {
		for {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	}()
	for bm.Loop() {
		if _, err := io.ReadFull(in, buf); err != nil {
			bm.Fatal(err)
		}
	}
}
