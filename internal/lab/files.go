package lab

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/warrenvpn/warren/system/client"
)

// filesAtOnce is how many operators KillAmongFiles has.
const filesAtOnce = 8

// Acked are files that somebody was told of: their contents by name.
type Acked struct {
	Both    map[string]string // both nodes were said to have them
	Pending map[string]string // the standby node was said not to have them yet
}

// KillAmongFiles has operators write files below dir, such as "acme:disk0:/d", on a node,
// and kills victim when so many are acknowledged by both nodes. It returns what was
// acknowledged until all are written, or the node that they are written on is dead.
func (p *Pair) KillAmongFiles(on, victim *PairNode, dir string, files, after int) Acked {
	p.lab.tb.Helper()
	var mu sync.Mutex // protects what follows
	acked := Acked{Both: map[string]string{}, Pending: map[string]string{}}
	next, full := 0, make(chan struct{})
	c := client.New(&client.Config{Socket: on.Socket()})
	defer c.Close()
	one := func() (more bool) {
		mu.Lock()
		n := next
		next++
		mu.Unlock()
		if n >= files {
			return false
		}
		name, text := fmt.Sprintf("%s/%d", dir, n), fmt.Sprintf("%s number %d", dir, n)
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		info, err := c.WriteFile(ctx, name, int64(len(text)), strings.NewReader(text))
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			next = files // it is dead
		case info.Pending:
			acked.Pending[name] = text
		default:
			if acked.Both[name] = text; len(acked.Both) == after {
				close(full)
			}
		}
		return err == nil
	}
	var operators sync.WaitGroup
	for range filesAtOnce {
		operators.Go(func() {
			for one() {
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); operators.Wait() }()
	select {
	case <-full:
		p.Kill(victim)
	case <-done:
		p.lab.tb.Errorf("%d of %d files were acknowledged by both nodes", len(acked.Both), files)
	}
	<-done
	return acked
}

// MissingFiles returns the names of the files that a node has not, or otherwise.
func (w *Warrend) MissingFiles(files map[string]string) (missing []string) {
	c := client.New(&client.Config{Socket: w.Socket()})
	defer c.Close()
	for name, want := range files {
		if got, err := readFile(c, name); err != nil || got != want {
			missing = append(missing, fmt.Sprintf("%s: %q, %v", name, got, err))
		}
	}
	return missing
}

func readFile(c *client.Client, name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	r, _, err := c.ReadFile(ctx, name)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}
