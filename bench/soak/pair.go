package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// soakClients is how many strongSwan clients connect, with its default
// proposals.
const soakClients = 40

// The rhythm of manyClients.
const (
	switchEvery = 150 * time.Second
	killEvery   = 200 * time.Second
	childRekey  = "50s"
	lifetimes   = "\nikev2_policy \"10\" { lifetime = \"2m\" }\n"
)

// longestOutage is what a switch or a new worker may cost a client while forty
// strongSwan daemons share the machine; what it costs on a quiet machine is
// measured by bench-failover.
const longestOutage = 5 * time.Second

func logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// overloaded has a client of a pair ping while others take every processor: no
// role may change.
func overloaded(length time.Duration) (result string, err error) {
	err = lab.Run(logf, func(l *lab.Lab) error {
		p := l.StartPair(lab.PairConfig{})
		site := p.Sites[0]
		ns := site.Client()
		swan := ns.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{site.Conn("alice")}})
		swan.MustInitiate("alice")
		before, err := epochs(p)
		if err != nil {
			return err
		}
		ping := ns.StartPing(lab.Ping{From: swan.VIPs()[0], To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
		<-time.After(length)
		r := ping.Stop()
		after, err := epochs(p)
		if err != nil {
			return err
		}
		result = r.String()
		if before != after {
			return fmt.Errorf("roles have changed: epochs were %s, are %s; %s; %v", before, after, changes(p), r)
		}
		if r.Received == 0 {
			return fmt.Errorf("nothing came through: %v", r)
		}
		return nil
	})
	return result, err
}

// epochs are the activations of all groups, as both nodes know them.
func epochs(p *lab.Pair) (string, error) {
	var list []string
	for _, n := range p.Nodes {
		s, err := n.Failover()
		if err != nil {
			return "", err
		}
		for _, g := range s.Groups {
			list = append(list, fmt.Sprintf("%s/%s=%d %s", n.Port, g.Name, g.Epoch, g.Role))
		}
	}
	return strings.Join(list, ", "), nil
}

// changes are the changes of roles that both nodes remember, and why.
func changes(p *lab.Pair) string {
	var list []string
	for _, n := range p.Nodes {
		s, err := n.Failover()
		if err != nil {
			list = append(list, err.Error())
			continue
		}
		for _, c := range s.History {
			at := c.At.Format(time.TimeOnly)
			list = append(list, fmt.Sprintf("%s %s %s %s: %s", n.Port, at, c.Group, c.To, c.Reason))
		}
	}
	return strings.Join(list, ", ")
}

// manyClients has strongSwan clients ping through a pair with short lifetimes,
// while the roles are switched and workers are killed: no session is lost, and
// nobody connects again.
func manyClients(length time.Duration) (result string, err error) {
	err = lab.Run(logf, func(l *lab.Lab) error {
		p := l.StartPair(lab.PairConfig{Context: lifetimes})
		site := p.Sites[0]
		var pings []*lab.Pinger
		for i := range soakClients {
			ns := site.Client()
			conn := site.Conn(fmt.Sprintf("client-%d", i))
			conn.Rekey = childRekey
			swan := ns.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
			swan.MustInitiate(conn.Name)
			pings = append(pings, ns.StartPing(lab.Ping{From: swan.VIPs()[0], To: lab.PairInsideHost}))
		}
		var wires []*lab.Capture
		for _, n := range p.Nodes {
			wires = append(wires, site.Outside.CaptureHeaders(n.Port))
		}
		began := time.Now()
		switches, kills, err := disturb(p, length)
		if err != nil {
			return err
		}
		inits := 0
		for _, w := range wires {
			w.Stop()
			inits += w.Inits(began)
		}
		active, _ := p.Active(site.Group)
		sessions := len(active.WaitSAs(site.Context, soakClients))
		list, lost, sent, longest := []error(nil), 0, 0, time.Duration(0)
		for i, ping := range pings {
			had := ping.Received()
			l.Eventually(fmt.Sprintf("client %d to be answered", i), 10*time.Second, func() error {
				if ping.Received() < had+5 {
					return errors.New("silence")
				}
				return nil
			})
			r := ping.Stop()
			lost, sent, longest = lost+r.Lost(), sent+r.Sent, max(longest, r.Outage)
			if r.Outage > longestOutage {
				list = append(list, fmt.Errorf("client %d: %v", i, r))
			}
		}
		if inits > 0 {
			list = append(list, fmt.Errorf("%d IKE_SA_INITs: clients had to connect again", inits))
		}
		result = fmt.Sprintf("%d sessions after %d switches and %d kills; %d of %d pings lost, longest outage %v",
			sessions, switches, kills, lost, sent, longest.Round(time.Millisecond))
		return errors.Join(list...)
	})
	return result, err
}

// disturb switches the roles and kills workers of the active node until the time
// is over.
func disturb(p *lab.Pair, length time.Duration) (switches, kills int, err error) {
	site := p.Sites[0]
	swap, kill := time.NewTicker(switchEvery), time.NewTicker(killEvery)
	defer swap.Stop()
	defer kill.Stop()
	for end := time.After(length); ; {
		select {
		case <-swap.C:
			p.Whole()
			p.Switch(site.Group)
			switches++
		case <-kill.C:
			active, _ := p.Active(site.Group)
			if err := syscall.Kill(active.Context(site.Context).PID, syscall.SIGKILL); err != nil {
				return switches, kills, err
			}
			kills++
		case <-end:
			return switches, kills, nil
		}
	}
}
