package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

const (
	// fileKills is how often a node is killed among files, each time the other one of the
	// two in turn, and filesEach how many files there are then: together less than a disk
	// may have.
	fileKills = 20
	filesEach = 450
)

// manyFiles kills one node of a pair again and again while operators write files: the other
// one has at once what both were said to have, and when they are together again both have
// all that anybody was told of.
func manyFiles() (result string, err error) {
	total := 0
	err = lab.Run(logf, func(l *lab.Lab) error {
		p := l.StartPair(lab.PairConfig{})
		acked := map[string]string{}
		for round := range fileKills {
			p.Whole()
			active, standby := p.Active(p.Sites[0].Group)
			victim, survivor := active, standby
			if round%2 == 1 {
				victim, survivor = standby, active
			}
			a := p.KillAmongFiles(active, victim, fmt.Sprintf("acme:disk0:/%d", round), filesEach,
				20+rand.IntN(filesEach-100))
			if missing := survivor.MissingFiles(a.Both); len(missing) > 0 {
				return fmt.Errorf("kill %d: %d of %d files are lost, such as %s", round+1, len(missing), len(a.Both),
					missing[0])
			}
			maps.Copy(acked, a.Both)
			maps.Copy(acked, a.Pending)
			p.StartNode(victim)
			p.Whole()
			l.Eventually("all files on both nodes", time.Minute, func() error {
				for _, n := range p.Nodes {
					if missing := n.MissingFiles(acked); len(missing) > 0 {
						return fmt.Errorf("kill %d: %d of %d files are missing, such as %s", round+1, len(missing),
							len(acked), missing[0])
					}
				}
				return nil
			})
		}
		total = len(acked)
		return nil
	})
	return fmt.Sprintf("%d files", total), err
}
