package iketest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// command is one command of a scenario file. Words of its form in capitals are
// the arguments of run. With started it needs the nodes.
type command struct {
	form    string
	started bool
	run     func(s *Scenario, args []string) error
}

// commands are all of them. NODE is gateway or client, KIND is ike, child (the newest
// one), or old (the oldest one).
var commands = []command{
	// Before start: the options are those of table options.
	{"configure NODE OPTION VALUE...", false, (*Scenario).configure},
	// Another number gives other nonces.
	{"seed NUMBER", false, (*Scenario).seed},
	// Both nodes come up; nobody connects.
	{"start", false, (*Scenario).start},
	// As start and initiate, until both ends have a child SA: prints the outcome only.
	{"connect", false, (*Scenario).connect},
	{"initiate", true, (*Scenario).initiate},
	// Time passes, in Go's notation: 1s, 10ms. The second form prints nothing.
	{"advance DURATION", true, func(s *Scenario, a []string) error { return s.advance(a[0]) }},
	{"skip DURATION", true, func(s *Scenario, a []string) error {
		return s.quietly(func() error { return s.advance(a[0]) })
	}},
	{"rekey KIND by NODE", true, (*Scenario).rekey},
	{"delete KIND by NODE", true, (*Scenario).delete},
	// The next messages of a node are lost; or are on their way until release, of which
	// the second form is about one node.
	{"drop COUNT from NODE", true, func(s *Scenario, a []string) error { return s.keep(s.lose, a) }},
	{"hold COUNT from NODE", true, func(s *Scenario, a []string) error { return s.keep(s.hold, a) }},
	{"release", true, (*Scenario).release},
	{"release from NODE", true, (*Scenario).releaseFrom},
	// The newest message of a node comes a second time.
	{"repeat NODE", true, (*Scenario).repeat},
	// The gateway's driver refuses the next sessions: see refusals.
	{"refuse REASON", true, (*Scenario).refuse},
	// A message that no engine sends arrives: see forgeries.
	{"forge MESSAGE to NODE", true, (*Scenario).forge},
	// The worker of a node dies, now or when it has journalled something and not yet
	// sent anything, and another one goes on with the journal.
	{"kill NODE", true, (*Scenario).kill},
	{"crash NODE", true, (*Scenario).crashNext},
	// A node loses its journal, too: it starts without any SA.
	{"forget NODE", true, (*Scenario).forget},
	// The twin of a node goes on with the journal, but for the last COUNT records.
	{"takeover NODE losing COUNT", true, (*Scenario).takeover},
	// The client is behind a NAT, which adds PORT to its ports.
	{"translate PORT", false, (*Scenario).translate},
	{"show", true, (*Scenario).show},
	// Prints which was the lowest nonce of CREATE_CHILD_SA so far.
	{"lowest", true, func(s *Scenario, _ []string) error { s.transcript.lowest(); return nil }},
}

// node returns the node called name.
func (s *Scenario) node(name string) (*Node, error) {
	switch name {
	case "gateway":
		return s.gateway, nil
	case "client":
		return s.client, nil
	}
	return nil, fmt.Errorf("nodes are gateway and client")
}

func (s *Scenario) configure(args []string) error {
	set, ok := options[args[1]]
	if !ok {
		return fmt.Errorf("options are %v", slices.Sorted(maps.Keys(options)))
	}
	if s.client != nil {
		return errors.New("this comes before start")
	}
	if !slices.Contains([]string{"client", "gateway", "both"}, args[0]) {
		return errors.New("NODE is client, gateway or both")
	}
	var err error
	s.tune = append(s.tune, func(g, c *exchange.Config) {
		if args[0] != "client" {
			err = errors.Join(err, set(g, args[2]))
		}
		if args[0] != "gateway" {
			err = errors.Join(err, set(c, args[2]))
		}
	})
	g, c := GatewayConfig(), ClientConfig()
	s.tune[len(s.tune)-1](&g, &c)
	return err
}

func (s *Scenario) start([]string) error {
	if s.client != nil {
		return errors.New("both nodes are there already")
	}
	s.gateway, s.client = s.lab.Pair(func(g, c *exchange.Config) {
		c.Entries[0].Initiate = false
		for _, tune := range s.tune {
			tune(g, c)
		}
	})
	return nil
}

func (s *Scenario) seed(args []string) error {
	n, err := strconv.ParseUint(args[0], 10, 64)
	if err == nil && s.client != nil {
		return errors.New("this comes before start")
	}
	s.lab.rng = source(n)
	return err
}

// quietly does something of which nothing is printed.
func (s *Scenario) quietly(do func() error) error {
	before := s.transcript.Text()
	err := do()
	s.transcript.Text()
	s.transcript.text.WriteString(before)
	return err
}

func (s *Scenario) connect([]string) error {
	err := s.quietly(func() error {
		if err := s.start(nil); err != nil {
			return err
		}
		if err := s.initiate(nil); err != nil {
			return err
		}
		if !s.lab.Until(time.Minute, func() bool { return Up(s.gateway, s.client) }) {
			return errors.New("they did not connect")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.show(nil)
}

func (s *Scenario) initiate([]string) error {
	return s.client.Command(exchange.Initiate{Entry: s.client.Config.Entries[0].Name})
}

func (s *Scenario) advance(text string) error {
	d, err := time.ParseDuration(text)
	if err == nil {
		s.lab.Run(d)
	}
	return err
}

// newest returns the node called name and the IKE SA of it that was made last.
func (s *Scenario) newest(name string) (*Node, exchange.Status, error) {
	n, err := s.node(name)
	if err != nil {
		return nil, exchange.Status{}, err
	}
	up := n.Established()
	if len(up) == 0 {
		return nil, exchange.Status{}, errors.New("it has no established IKE SA")
	}
	return n, up[len(up)-1], nil
}

func (s *Scenario) rekey(args []string) error {
	n, status, err := s.newest(args[1])
	switch {
	case err != nil:
		return err
	case args[0] == "ike":
		return n.Command(exchange.RekeyIKE{SPI: status.Peer.SPI})
	case args[0] == "old" && len(status.Children) > 0:
		return n.Command(exchange.RekeyChild{ID: status.Children[0].ID})
	case args[0] == "child" && len(status.Children) > 0:
		return n.Command(exchange.RekeyChild{ID: status.Children[len(status.Children)-1].ID})
	}
	return errors.New("it has none")
}

func (s *Scenario) delete(args []string) error {
	n, status, err := s.newest(args[1])
	switch {
	case err != nil:
		return err
	case args[0] == "ike":
		return n.Command(exchange.DeleteIKE{SPI: status.Peer.SPI, Reason: "the operator's wish"})
	case args[0] == "old" && len(status.Children) > 0:
		return n.Command(exchange.DeleteChild{ID: status.Children[0].ID, Reason: "the operator's wish"})
	case args[0] == "child" && len(status.Children) > 0:
		return n.Command(exchange.DeleteChild{ID: status.Children[len(status.Children)-1].ID,
			Reason: "the operator's wish"})
	}
	return errors.New("it has none")
}

func (s *Scenario) keep(which map[string]int, args []string) error {
	count, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	n, err := s.node(args[1])
	if err == nil {
		which[n.Name] = count
	}
	return err
}

func (s *Scenario) release([]string) error {
	for _, d := range s.held {
		s.inject(d)
	}
	s.held = nil
	return nil
}

func (s *Scenario) releaseFrom(args []string) error {
	n, err := s.node(args[0])
	if err != nil {
		return err
	}
	s.held = slices.DeleteFunc(s.held, func(d exchange.Datagram) bool {
		theirs := d.Local.Addr() == n.Addr
		if theirs {
			s.inject(d)
		}
		return theirs
	})
	return nil
}

// inject has a message of a node arrive at its peer.
func (s *Scenario) inject(d exchange.Datagram) {
	d.Local, d.Remote, d.Payload = d.Remote, d.Local, slices.Clone(d.Payload)
	s.lab.Inject(s.lab.Now.Add(wireDelay), d)
}

func (s *Scenario) repeat(args []string) error {
	d, ok := s.last[args[0]]
	if !ok {
		return errors.New("it has sent nothing")
	}
	s.inject(d)
	return nil
}

// refusals are the answers of a driver that grants nothing.
var refusals = map[string]exchange.Refusal{
	"no-address": exchange.RefuseNoAddress, "limit": exchange.RefuseLimit, "unauthorised": exchange.RefuseUnauthorised,
}

func (s *Scenario) refuse(args []string) error {
	r, ok := refusals[args[0]]
	if !ok {
		return fmt.Errorf("reasons are %v", slices.Sorted(maps.Keys(refusals)))
	}
	s.gateway.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
		return exchange.AnswerSession{Question: q.Question, Refuse: r}
	}
	return nil
}

func (s *Scenario) kill(args []string) error {
	n, err := s.node(args[0])
	if err == nil {
		n.Kill()
	}
	return err
}

func (s *Scenario) crashNext(args []string) error {
	n, err := s.node(args[0])
	if err == nil {
		s.crash = n.Name
	}
	return err
}

func (s *Scenario) forget(args []string) error {
	n, err := s.node(args[0])
	if err == nil {
		n.Journal = nil
		clear(n.Plane)
		n.Kill()
	}
	return err
}

func (s *Scenario) takeover(args []string) error {
	n, err := s.node(args[0])
	if err != nil {
		return err
	}
	lost, err := strconv.Atoi(args[1])
	if err != nil || lost > len(n.Journal) {
		return errors.New("COUNT is at most the number of records")
	}
	n.Takeover(n.Epoch+1, lost)
	return nil
}

func (s *Scenario) translate(args []string) error {
	port, err := strconv.ParseUint(args[0], 10, 16)
	if err == nil {
		s.lab.Translate(uint16(port))
	}
	return err
}

// show prints the SAs of both nodes.
func (s *Scenario) show([]string) error {
	for _, n := range []*Node{s.client, s.gateway} {
		s.transcript.show(n)
	}
	return nil
}
