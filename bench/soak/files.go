package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/warrenvpn/warren/bench/generator"
	"github.com/warrenvpn/warren/internal/lab"
)

// filesEach is how many files are under way when a node is killed among them.
const filesEach = 1000

// manyFiles kills one node of a pair again and again, each time the other one of the two in
// turn, while operators write files beside sas clients: the other one has at once what both
// were said to have, and every SA; and when they are together again both have all that anybody
// was told of.
func manyFiles(kills, sas int) (result string, err error) {
	total := 0
	err = lab.Run(logf, func(l *lab.Lab) error {
		p := l.StartPair(lab.PairConfig{Edit: func(_, name, text string) string {
			if name == "system.hcl" {
				limits := fmt.Sprintf("\n    all           = 0\n    storage_files = %d\n ", 2*kills*filesEach)
				text = strings.Replace(generator.Unlimited, " all = 0", limits, 1) + text
			}
			return strings.Replace(text, "10.55.1.10-10.55.1.250", "10.56.0.1-10.59.255.254", 1)
		}})
		site := p.Sites[0]
		ns := site.Client()
		g, err := generator.New(ns, generator.OfPair(ns), sas)
		if err != nil {
			return err
		}
		defer g.Close()
		if _, err := g.Run(); err != nil {
			return err
		}
		g.Keep()
		acked := map[string]string{}
		for round := range kills {
			files, err := killAmongFiles(l, p, round, sas)
			if err != nil {
				return fmt.Errorf("kill %d: %w", round+1, err)
			}
			maps.Copy(acked, files)
		}
		total = len(acked)
		for _, n := range p.Nodes {
			if missing := n.MissingFiles(acked); len(missing) > 0 {
				return fmt.Errorf("%d of %d files are missing in the end, such as %s", len(missing), total, missing[0])
			}
		}
		return nil
	})
	return fmt.Sprintf("%d files beside %d SAs", total, sas), err
}

// killAmongFiles is one kill. It returns the files that somebody was told of.
func killAmongFiles(l *lab.Lab, p *lab.Pair, round, sas int) (acked map[string]string, err error) {
	p.Whole()
	active, standby := p.Active(p.Sites[0].Group)
	victim, survivor := active, standby
	if round%2 == 1 {
		victim, survivor = standby, active
	}
	a := p.KillAmongFiles(active, victim, fmt.Sprintf("acme:disk0:/%d", round), filesEach,
		20+rand.IntN(filesEach-100))
	if missing := survivor.MissingFiles(a.Both); len(missing) > 0 {
		return nil, fmt.Errorf("%d of %d files are lost, such as %s", len(missing), len(a.Both), missing[0])
	}
	p.Active(p.Sites[0].Group) // waits for it
	if n := len(survivor.IKESAs(p.Sites[0].Context)); n != sas {
		return nil, fmt.Errorf("node %s has %d of %d SAs", survivor.Port, n, sas)
	}
	acked = a.Both
	maps.Copy(acked, a.Pending)
	p.StartNode(victim)
	p.Whole()
	l.Eventually("all files on both nodes", time.Minute, func() error {
		for _, n := range p.Nodes {
			if missing := n.MissingFiles(acked); len(missing) > 0 {
				return fmt.Errorf("%d of %d files are missing, such as %s", len(missing), len(acked), missing[0])
			}
		}
		return nil
	})
	return acked, nil
}
