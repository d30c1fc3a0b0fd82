package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// test is one kind of traffic.
type test struct {
	name      string
	args      []string // for the iperf3 of each client
	udp       bool
	oneClient bool
}

var tests = []test{
	{name: "tcp_up"},
	{name: "tcp_down", args: []string{"--reverse"}},
	{name: "tcp_4", args: []string{"--parallel", "4"}, oneClient: true},
	{name: "udp_1300", args: []string{"--udp", "--length", "1300", "--bitrate", "400M"}, udp: true, oneClient: true},
	{name: "udp_128", args: []string{"--udp", "--length", "128", "--bitrate", "0"}, udp: true, oneClient: true},
}

// measurement is what one test gave. Bits and packets are those of the payload
// that arrived; for TCP, packets are not known.
type measurement struct {
	Gateway string `json:"gateway"`
	Client  string `json:"client"`
	Clients int    `json:"clients"`
	Test    string `json:"test"`
	Round   int    `json:"round"`

	Gbps          float64  `json:"gbps"`
	PPS           *float64 `json:"pps"`
	CPUPerGbit    *float64 `json:"cpu_s_per_gbit"`    // of the gateway's processes
	CPUPerMPacket *float64 `json:"cpu_s_per_mpacket"` // the same
	LostPercent   float64  `json:"lost_percent"`
	Retransmits   float64  `json:"retransmits"` // of TCP
	// AllPerGbit is the time that all processors of the machine were busy,
	// whoever for: the generator, the clients, the gateway and the kernel.
	AllPerGbit float64 `json:"machine_cpu_s_per_gbit"`
}

// received is what one client's traffic came to.
type received struct {
	bits, packets, sent, retransmits float64
	err                              error
}

// measure has every client send at the same time.
func (s *site) measure(t test, seconds int) (*measurement, error) {
	results := make([]received, len(s.clients))
	servers := make([]*lab.Process, len(s.clients))
	for i := range s.clients {
		servers[i] = s.host.Start(lab.Command{Args: []string{"iperf3", "--server", "--one-off", "--forceflush",
			"--bind", lab.InsideHost, "--port", port(i)}})
		defer servers[i].Kill()
		servers[i].WaitLog("Server listening", 5*time.Second)
	}
	before, err := lab.SettledCPU(s.pids...)
	if err != nil {
		return nil, err
	}
	allBefore := machineCPU()
	var wg sync.WaitGroup
	for i, c := range s.clients {
		wg.Go(func() {
			args := append([]string{"iperf3", "--json", "--client", lab.InsideHost, "--port", port(i), "--bind", c.from,
				"--time", strconv.Itoa(seconds), "--connect-timeout", "3000"}, t.args...)
			results[i] = t.read(c.ns.Output(lab.Command{Args: args}))
		})
	}
	wg.Wait()
	all := machineCPU() - allBefore
	after, err := lab.SettledCPU(s.pids...)
	if err != nil {
		return nil, err
	}
	var sum received
	for _, r := range results {
		if r.err != nil {
			return nil, r.err
		}
		sum.bits += r.bits
		sum.packets += r.packets
		sum.sent += r.sent
		sum.retransmits += r.retransmits
	}
	return s.judge(t, seconds, sum, (after - before).Seconds(), all.Seconds())
}

func port(client int) string { return strconv.Itoa(5201 + client) }

// judge makes figures of what arrived.
func (s *site) judge(t test, seconds int, sum received, cpu, all float64) (*measurement, error) {
	if sum.bits == 0 {
		return nil, fmt.Errorf("nothing arrived")
	}
	m := &measurement{Gateway: s.gateway, Client: s.client, Clients: len(s.clients), Test: t.name,
		Retransmits: sum.retransmits,
		Gbps:        sum.bits / 1e9 / float64(seconds), AllPerGbit: all / (sum.bits / 1e9)}
	if len(s.pids) > 0 {
		m.CPUPerGbit = of(cpu / (sum.bits / 1e9))
	}
	if t.udp {
		m.PPS = of(sum.packets / float64(seconds))
		m.LostPercent = 100 * (1 - sum.packets/sum.sent)
		if len(s.pids) > 0 {
			m.CPUPerMPacket = of(cpu / (sum.packets / 1e6))
		}
	}
	return m, nil
}

func of(v float64) *float64 { return &v }

// machineCPU is the time that all processors have been busy.
func machineCPU() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	var ticks int64
	for i, f := range fields[1:min(len(fields), 9)] {
		if i == 3 || i == 4 { // idle and waiting for a disk
			continue
		}
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// read reads what iperf3 says.
func (t test) read(out, _ string, err error) received {
	var report struct {
		Error string `json:"error"`
		End   struct {
			Sum         iperfSum `json:"sum"`
			SumSent     iperfSum `json:"sum_sent"`
			SumReceived iperfSum `json:"sum_received"`
		} `json:"end"`
	}
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil && err == nil {
		err = fmt.Errorf("reading iperf3's report: %w", jsonErr)
	}
	if report.Error != "" {
		err = fmt.Errorf("iperf3: %s", report.Error)
	}
	if !t.udp {
		return received{bits: report.End.SumReceived.Bytes * 8, retransmits: report.End.SumSent.Retransmits, err: err}
	}
	s := report.End.Sum
	got := s.Packets - s.Lost
	if s.Packets > 0 {
		s.Bytes *= got / s.Packets
	}
	return received{bits: s.Bytes * 8, packets: got, sent: s.Packets, err: err}
}

type iperfSum struct {
	Bytes   float64 `json:"bytes"`
	Packets float64 `json:"packets"`
	Lost    float64 `json:"lost_packets"`
	// Retransmits are of TCP.
	Retransmits float64 `json:"retransmits"`
}
