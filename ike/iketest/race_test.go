package iketest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// disturbances are what happens in the middle of a race.
var disturbances = map[string]func(s *Scenario){
	"the worker of the gateway dies": func(s *Scenario) { s.gateway.Kill() },
	"the worker of the client dies":  func(s *Scenario) { s.client.Kill() },
	"both are taken over": func(s *Scenario) {
		s.gateway.Takeover(s.gateway.Epoch+1, 0)
		s.client.Takeover(s.client.Epoch+1, 0)
	},
}

// race plays the commands of a scenario file, printing nothing, and then ten
// minutes more. Once both ends are connected, disturb is called before each
// datagram arrives, with its number.
func race(t *testing.T, file string, disturb func(s *Scenario, step int)) (*Scenario, string) {
	t.Helper()
	s := NewScenario()
	step, connected := 0, false
	next := func() {
		if connected {
			step++
			disturb(s, step)
		}
	}
	s.lab.Before = next
	for block := range strings.SplitSeq(file, "\n\n") {
		commands, _, _ := strings.Cut(block, "----")
		for line := range strings.Lines(commands) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if err := s.run(strings.Fields(line)); err != nil {
				t.Fatalf("step %d: %s: %v", step, line, err)
			}
			connected = connected || line == "connect"
		}
	}
	s.lab.Run(10 * time.Minute)
	for _, n := range s.lab.Nodes {
		n.CheckSnapshot()
	}
	return s, fmt.Sprintf("%d IKE SAs and %d child SAs at the client, %d and %d at the gateway, in use %v, %d ended",
		len(s.client.Engine.Status()), len(s.client.Plane), len(s.gateway.Engine.Status()), len(s.gateway.Plane),
		Up(s.client, s.gateway), tally[exchange.IKEDown](s.client.Events))
}

// TestRaces plays the files of testdata/races, and each again with a worker that dies, or
// is taken over, before each datagram in turn: they end as they do without that.
func TestRaces(t *testing.T) {
	files, err := filepath.Glob("testdata/races/*.txt")
	if err != nil || len(files) < 48 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			steps := 0
			_, want := race(t, string(text), func(_ *Scenario, step int) { steps = step })
			for what, disturb := range disturbances {
				for at := 1; at <= steps; at++ {
					s, got := race(t, string(text), func(s *Scenario, step int) {
						if step == at {
							disturb(s)
						}
					})
					if got != want || len(s.lab.Trouble) > 0 {
						t.Errorf("%s before datagram %d of %d: %s, want %s: %v", what, at, steps, got, want,
							s.lab.Trouble)
					}
				}
			}
		})
	}
}
