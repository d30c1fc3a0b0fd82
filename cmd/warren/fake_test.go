package main

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pcapng"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/api/apitest"
	"github.com/warrenvpn/warren/system/fault"
)

// now is the time of every transcript.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// two is a backend with two contexts that answer, one that hangs and one that
// failed.
type two struct {
	apitest.Files
	apitest.Certificates
	apitest.Policies
	apitest.Configurations
	apitest.Orphans
	apitest.Backups
	apitest.Pairs
	apitest.Operations
	apitest.Streams
}

// paired is two as one node of a pair.
func paired() *two {
	b := withFiles()
	b.Pairs.Now, b.Paired = now, true
	return b
}

// withFiles is two with files on the disks of blue and red, and in shared
// storage.
func withFiles() *two {
	b := &two{}
	b.Files.Now, b.Configurations.Now, b.Streams.Now, b.Limit = now, now, now, 1000
	b.Put("blue:disk0:/certs/ca.pem", "a certificate\n")
	b.Put("blue:disk0:/certs/broken/short", "cut off\n")
	b.Put("blue:disk0:/banner", "two\nlines\n")
	b.Put("red:disk0:/x", "red's\n")
	b.Put("images:/client.pkg", "\x00\x1b[31m\n")
	return b
}

func (b *two) Status() api.Status {
	if b.Paired {
		return api.Status{
			Name: "warren", Version: "v0.0.0", PID: 4711, Started: now.Add(-time.Hour), Total: 2,
			ReadyContexts: 2, Ready: true,
			Redundancy: []string{"failover link second: no carrier"},
			Changing:   "bringing the other unit along by warrend since 12:59:58 UTC",
		}
	}
	return api.Status{
		Name: "warren", Version: "v0.0.0", PID: 4711, Started: now.Add(-25 * time.Hour), Total: 4, ReadyContexts: 2,
		Waiting: []fault.ContextError{
			{Context: "green", Error: "its worker starts"},
			{Context: "grey", Error: "device wg-out is not there", Hint: "ip link show lists the devices"},
		},
	}
}

func (*two) Contexts() []api.Tenant {
	return []api.Tenant{
		{
			Name: "red", State: api.StateReady, Class: "bronze", Role: "active", PID: 4713, Restarts: 1,
			Started:   now.Add(-time.Minute),
			ConfigURL: "file:red.hcl", Namespace: "warren-red",
			Interfaces: []api.Interface{{Name: "outside", Allocated: "Ethernet2/1", Device: "wr-out", MTU: 1500,
				Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24"),
					netip.MustParsePrefix("2001:db8::1/64")}}},
		},
		{
			Name: "blue", State: api.StateReady, Class: "default", Role: "active", PID: 4712,
			Started:   now.Add(-time.Hour),
			ConfigURL: "file:blue.hcl", Namespace: "warren-blue",
			Interfaces: []api.Interface{
				{Name: "outside", Allocated: "Ethernet1/1", Device: "wb-out",
					Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}},
				{Name: "inside", Allocated: "Ethernet1/2", Device: "wb-in", Shared: true, MAC: "02:00:00:00:00:01"},
			},
			Problems: []fault.ContextError{{Context: "blue", Error: "interface inside: its device is gone"}},
		},
		{Name: "green", State: api.StateStarting, Class: "default", Role: "active", PID: 4714,
			ConfigURL: "file:green.hcl"},
		{Name: "grey", State: api.StateFailed, Reason: "device wg-out is not there", Class: "default", Role: "active",
			ConfigURL: "disk0:/grey.hcl"},
	}
}

// facts are what a context answers.
type facts struct {
	IKESAs    []control.IKESA
	Sessions  []control.Session
	Resources []control.Resource
	Servers   []control.AAAServer
	IPsec     control.IPsecStats
}

func (*two) IKESAs(ctx context.Context, name string) ([]control.IKESA, error) {
	f, err := factsOf(ctx, name)
	return f.IKESAs, err
}

func (*two) Sessions(ctx context.Context, name string) ([]control.Session, error) {
	f, err := factsOf(ctx, name)
	return f.Sessions, err
}

func (*two) Resources(ctx context.Context, name string) ([]control.Resource, error) {
	f, err := factsOf(ctx, name)
	return f.Resources, err
}

func (*two) AAAServers(ctx context.Context, name string) ([]control.AAAServer, error) {
	f, err := factsOf(ctx, name)
	return f.Servers, err
}

func (*two) IPsecStats(ctx context.Context, name string) (control.IPsecStats, error) {
	f, err := factsOf(ctx, name)
	return f.IPsec, err
}

func factsOf(ctx context.Context, name string) (facts, error) {
	switch name {
	case "blue":
		return blueFacts(), nil
	case "red":
		return facts{Resources: []control.Resource{
			{Resource: "vpn_anyconnect", Unit: resource.Count, Current: 2, Peak: 2, Limit: 2, Denied: 17},
			{Resource: "vpn_burst_anyconnect", Unit: resource.Count, Limit: -1},
			{Resource: "bandwidth_in", Unit: resource.Bits, Current: 999, Peak: 1_250_000_000,
				Limit: 1_500_000_000, Denied: 3},
			{Resource: "packets", Unit: resource.Rate, Current: 12, Peak: 90_000},
			{Resource: "cpu", Unit: resource.Cores, Current: 15, Peak: 1250, Limit: 2000, Denied: 7},
			{Resource: "memory", Unit: resource.Bytes, Current: 3_100_000, Peak: 4_200_000, Limit: 256 << 20},
		}}, nil
	case "green":
		<-ctx.Done()
		return facts{}, ctx.Err()
	case "grey":
		return facts{}, fault.NotReady(name, "device wg-out is not there")
	}
	return facts{}, fault.NoContext(name)
}

func blueFacts() facts {
	pool := netip.MustParseAddr("10.99.0.10")
	return facts{
		IKESAs: []control.IKESA{
			{
				SPIi: "0x1122334455667788", SPIr: "0x99aabbccddeeff00", Role: "responder",
				Local: "198.51.100.1:4500", Remote: "198.51.100.77:4500", LocalID: "gw.blue.example",
				RemoteID: "alice@blue.example",
				State:    "established", TunnelGroup: "DefaultRAGroup",
				Encryption: "aes-256-gcm", PRF: "sha384", KeyExchange: "x25519", NATT: true,
				Assigned: []netip.Addr{pool}, Established: now.Add(-880 * time.Second),
				ChildSAs: []control.ChildSA{{
					SPIIn: "0xfeedbeef", SPIOut: "0xc0decafe", Local: "198.51.100.1:4500", Remote: "198.51.100.77:4500",
					Encapsulation: "udp", Encryption: "aes-256-gcm", ESN: true, ReplayWindow: 1024,
					LocalTS: []string{"10.10.0.0/24"}, RemoteTS: []string{"10.99.0.10/32"},
					BytesIn: 84000, BytesOut: 168000, PacketsIn: 1000, PacketsOut: 2000, ReplayDropped: 3,
					SequenceOut: 2000,
					Expires:     now.Add(7 * time.Hour),
				}},
			},
			{
				SPIi: "0x0000000000000001", SPIr: "0x0000000000000002", Role: "initiator",
				Local: "198.51.100.1:500", Remote: "203.0.113.9:500", LocalID: "gw.blue.example",
				RemoteID: "evil\x1b[2Jpeer",
				State:    "established", TunnelGroup: "branch", Encryption: "aes-256-cbc", Integrity: "sha256-128",
				PRF:         "sha256",
				KeyExchange: "ecp256", Established: now.Add(-time.Second),
			},
		},
		Sessions: []control.Session{{
			User: "alice@blue.example", TunnelGroup: "DefaultRAGroup", GroupPolicy: "staff",
			Assigned: []netip.Addr{pool},
			Public:   "198.51.100.77", Protocol: "IKEv2 IPsecOverNatT", BytesIn: 84000, BytesOut: 168000,
			LoginTime: now.Add(-880 * time.Second), Duration: 880.5,
		}},
		Servers: []control.AAAServer{
			{ServerGroup: "ISE", Server: "10.10.0.100:1812", State: control.ServerDead, RetryAt: now.Add(time.Minute),
				Requests: 3, Retransmissions: 6, Timeouts: 3},
			{ServerGroup: "ISE", Server: "10.10.0.101:1812", State: control.ServerUp, Requests: 8, Accepts: 2,
				Challenges: 6, Outstanding: 1},
		},
		Resources: []control.Resource{{Resource: "vpn_anyconnect", Unit: resource.Count, Current: 1, Peak: 5}},
		IPsec: control.IPsecStats{Since: now.Add(-time.Hour), Offloads: []string{"gso", "tun_tcp"},
			Counts: stats.Counts{
				stats.PacketsIn: {N: 1000, Bytes: 84000}, stats.PacketsOut: {N: 2000, Bytes: 168000},
				stats.IKEIn:      {N: 4},
				stats.IKEOut:     {N: 4},
				stats.DropReplay: {N: 3, Bytes: 360}, stats.DropSelector: {N: 1, Bytes: 120},
			}},
	}
}

func (*two) Logoff(_ context.Context, name string, which control.Logoff) (control.LogoffDone, error) {
	switch {
	case name != "blue":
		return control.LogoffDone{}, fault.NoContext(name)
	case which.User == "alice@blue.example", which.Address == netip.MustParseAddr("10.99.0.10"):
		return control.LogoffDone{Sessions: 1}, nil
	case which.All:
		return control.LogoffDone{Sessions: 2}, nil
	}
	return control.LogoffDone{}, nil
}

func (*two) Keys(_ context.Context, name string) (control.Keys, error) {
	if name != "blue" {
		return control.Keys{}, fault.NoContext(name)
	}
	return control.Keys{IKE: []string{"1122334455667788,99aabbccddeeff00,..."},
		ESP: []string{`"IPv4","a","b"`, `"IPv4","b","a"`}}, nil
}

// Capture is of one packet; of the interface "lost" it has no end.
func (*two) Capture(_ context.Context, name string, which control.Capture) (io.ReadCloser, error) {
	if name != "blue" {
		return nil, fault.NoContext(name)
	}
	b := pcapng.AppendHeader(nil, pcapng.LinkRaw, which.Interface, "test")
	b = pcapng.AppendPacket(b, now.UnixNano(), pcapng.Inbound, nil, nil, []byte{0x45})
	switch which.Interface {
	case "lost":
	case "evil":
		b = append(b, 6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)
	default:
		b = pcapng.AppendStatistics(b, now.UnixNano(), 3, 2)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (*two) Reload(context.Context, api.Author, api.Leniency) (api.Reload, error) {
	return api.Reload{
		Steps:    []string{"context blue: configure its worker", "context grey: create"},
		Warnings: []string{"blue.hcl:7: 3des is weak"},
		Errors: []fault.ContextError{{Context: "grey", Error: "device wg-out is not there",
			Hint: "ip link show lists the devices"}},
	}, nil
}

// empty is a backend without contexts.
type empty struct{ two }

func (*empty) Status() api.Status {
	return api.Status{Name: "warren", Version: "v0.0.0", PID: 1, Started: now, Ready: true}
}

func (*empty) Contexts() []api.Tenant { return nil }

func (*empty) Reload(context.Context, api.Author, api.Leniency) (api.Reload, error) {
	return api.Reload{}, nil
}

// refusing is a backend whose configuration is broken.
type refusing struct{ two }

// newRefusing returns a backend that refuses every change.
func newRefusing() *refusing {
	b := &refusing{}
	b.Configurations.Refusal = &fault.Error{
		Code:   fault.CodeRefused,
		Reason: "another change is under way, so nothing was changed: an apply by root since 11:59:58 UTC",
		Hint:   "try again when it has ended",
	}
	return b
}

func (*refusing) Reload(context.Context, api.Author, api.Leniency) (api.Reload, error) {
	return api.Reload{}, &fault.Error{
		Code: fault.CodeRefused, Reason: "the configuration has errors: nothing was changed",
		Hint: "`warren validate` finds them all", Detail: "blue.hcl:3: no such pool\nblue.hcl:9: no such interface\n",
	}
}
