package main

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// fairness is what a client keeps while another one floods the gateway.
type fairness struct {
	Gateway string  `json:"gateway"`
	Client  string  `json:"client"`
	Flood   string  `json:"flood"`
	Alone   float64 `json:"alone_gbps"`  // one TCP flow of the second client, nobody else there
	Beside  float64 `json:"beside_gbps"` // the same beside the flood
	// Share is Beside in parts of the fair share, which is half of Alone.
	Share float64 `json:"share"`
	Pings int     `json:"pings_lost"` // of 20 that the second client sent beside the flood
}

// floods are the ways in which the first client floods.
var floods = []test{
	{name: "udp_1300", args: []string{"--udp", "--length", "1300", "--bitrate", "0"}, udp: true},
	{name: "udp_128", args: []string{"--udp", "--length", "128", "--bitrate", "0"}, udp: true},
	{name: "tcp_32", args: []string{"--parallel", "32"}},
}

// fairness measures the second client alone and beside each flood of the first.
func (s *site) fairness(seconds int) ([]*fairness, error) {
	second := *s
	second.clients = s.clients[1:2]
	alone, err := second.measure(tests[0], seconds)
	if err != nil {
		return nil, err
	}
	var results []*fairness
	for _, flood := range floods {
		f := &fairness{Gateway: s.gateway, Client: s.client, Flood: flood.name, Alone: alone.Gbps}
		if err := s.beside(flood, seconds, f); err != nil {
			return nil, err
		}
		results = append(results, f)
	}
	return results, nil
}

// beside measures the second client while the first one floods.
func (s *site) beside(flood test, seconds int, f *fairness) error {
	server := s.host.Start(lab.Command{Args: []string{"iperf3", "--server", "--one-off", "--bind", lab.InsideHost,
		"--port", "5301", "--forceflush"}})
	defer server.Kill()
	server.WaitLog("Server listening", 5*time.Second)
	c := s.clients[0]
	flooder := c.ns.Start(lab.Command{Name: "flood",
		Args: append([]string{"iperf3", "--client", lab.InsideHost, "--port", "5301", "--bind", c.from,
			"--time", strconv.Itoa(seconds + 4), "--forceflush"}, flood.args...)})
	defer flooder.Kill()
	flooder.WaitLog("connected to", 5*time.Second)

	second := *s
	second.clients = s.clients[1:2]
	var lost int
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 20 {
			if _, err := second.clients[0].ns.Run("ping", "-c1", "-W1", "-I", second.clients[0].from,
				lab.InsideHost); err != nil {
				lost++
			}
		}
	})
	m, err := second.measure(tests[0], seconds)
	wg.Wait()
	if err != nil {
		return err
	}
	f.Beside, f.Share, f.Pings = m.Gbps, m.Gbps/(f.Alone/2), lost
	fmt.Printf("%-13s %-13s    beside a flood of %-9s %6.3f Gbit/s, alone %6.3f: %4.0f %% of its fair share, %d of "+
		"20 pings lost\n",
		f.Gateway, f.Client, f.Flood, f.Beside, f.Alone, 100*f.Share, f.Pings)
	return nil
}
