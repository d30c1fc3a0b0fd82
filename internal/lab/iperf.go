package lab

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Iperf is one measurement of throughput with iperf3.
type Iperf struct {
	From, To string // From may be empty
	Seconds  int    // 0: 2
	Reverse  bool   // the server sends
	Flows    int    // 0: 1
	UDP      bool
	Rate     string // "100M"; empty: iperf3's default
	Length   int    // bytes of one UDP datagram
}

// IperfResult is what the receiver got.
type IperfResult struct {
	BitsPerSecond float64
	Bytes         int64
	LostPercent   float64 // UDP
	Retransmits   int     // TCP
}

func (r IperfResult) String() string {
	return fmt.Sprintf("%.1f Mbit/s, %.2f %% lost, %d retransmissions", r.BitsPerSecond/1e6, r.LostPercent,
		r.Retransmits)
}

// IperfRun is a measurement under way.
type IperfRun struct {
	udp    bool
	client chan struct{} // closed when it has ended
	out    string
	err    error
}

// StartIperf begins to measure from a client here to a server in the other
// namespace.
func (ns *Namespace) StartIperf(server *Namespace, i Iperf) *IperfRun {
	ns.lab.tb.Helper()
	p := server.Start(Command{Args: []string{"iperf3", "--server", "--one-off", "--forceflush", "--bind", i.To}})
	p.WaitLog("Server listening", Patience)

	args := []string{"iperf3", "--json", "--client", i.To, "--time", strconv.Itoa(max(i.Seconds, 2)),
		"--parallel", strconv.Itoa(max(i.Flows, 1)), "--connect-timeout", fmt.Sprint(Patience.Milliseconds())}
	if i.From != "" {
		args = append(args, "--bind", i.From)
	}
	if i.Reverse {
		args = append(args, "--reverse")
	}
	if i.Rate != "" {
		args = append(args, "--bitrate", i.Rate)
	}
	if i.UDP {
		args = append(args, "--udp", "--length", strconv.Itoa(i.Length))
	}
	r := &IperfRun{udp: i.UDP, client: make(chan struct{})}
	go func() {
		defer close(r.client)
		r.out, _, r.err = ns.Output(Command{Args: args})
		p.Kill()
	}()
	return r
}

// Wait waits for the end and returns what the receiver got.
func (r *IperfRun) Wait() (IperfResult, error) {
	<-r.client
	err := r.err
	var report iperfReport
	if jsonErr := json.Unmarshal([]byte(r.out), &report); jsonErr != nil && err == nil {
		err = fmt.Errorf("lab: reading iperf3's report: %w", jsonErr)
	}
	if report.Error != "" {
		err = fmt.Errorf("lab: iperf3: %s", report.Error)
	}
	if err != nil {
		return IperfResult{}, err
	}
	sum := report.End.SumReceived
	if r.udp {
		sum = report.End.Sum
	}
	return IperfResult{
		BitsPerSecond: sum.BitsPerSecond * (1 - sum.LostPercent/100), Bytes: sum.Bytes,
		LostPercent: sum.LostPercent, Retransmits: report.End.SumSent.Retransmits,
	}, nil
}

// Iperf measures to the end.
func (ns *Namespace) Iperf(server *Namespace, i Iperf) (IperfResult, error) {
	ns.lab.tb.Helper()
	return ns.StartIperf(server, i).Wait()
}

// MustIperf is Iperf that ends the test when the measurement fails.
func (ns *Namespace) MustIperf(server *Namespace, i Iperf) IperfResult {
	ns.lab.tb.Helper()
	r, err := ns.Iperf(server, i)
	if err != nil {
		ns.lab.tb.Fatalf("%s", strings.TrimSpace(err.Error()))
	}
	return r
}

// iperfReport is the part of iperf3's JSON that is of interest here.
type iperfReport struct {
	Error string `json:"error"`
	End   struct {
		Sum         iperfSum `json:"sum"`
		SumSent     iperfSum `json:"sum_sent"`
		SumReceived iperfSum `json:"sum_received"`
	} `json:"end"`
}

type iperfSum struct {
	Bytes         int64   `json:"bytes"`
	BitsPerSecond float64 `json:"bits_per_second"`
	LostPercent   float64 `json:"lost_percent"`
	Retransmits   int     `json:"retransmits"`
}
