package tenants

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/roottest"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/plan"
)

// hastyPair changes a context while that is built, and notes with what it joins.
type hastyPair struct {
	alone
	during func()
	joined *plan.Wanted
}

func (p *hastyPair) Paired(*plan.Wanted) bool { p.during(); return false }

func (p *hastyPair) Join(w *plan.Wanted, _ *netns.Gateway, _ *spawn.Worker) { p.joined = w }

// versions are a context as two configurations want it: the second has another
// class, with room for seven routes instead of five.
func versions() (first, second *plan.Wanted) {
	want := func(pids, routes int) *plan.Wanted {
		conf := &configs.System{Name: fmt.Sprintf("wt-build-%d", os.Getpid()), Contexts: []configs.Tenant{
			{Name: "blue", Spec: &spec.Tenant{Name: "blue", Limits: spec.Limits{Routes: routes}}}}}
		w := plan.Want(conf, []byte("key"))[0]
		w.Limits = plan.Limits{PIDs: pids}
		return w
	}
	return want(20, 5), want(30, 7)
}

// TestChangeDuringTheBuild: what is wanted of a context changes while it waits for its
// turn, or while it is built, and what is built in the end is what is wanted last.
func TestChangeDuringTheBuild(t *testing.T) {
	roottest.Need(t)
	for _, when := range []string{"waiting", "building"} {
		t.Run(when, func(t *testing.T) {
			var log bytes.Buffer
			b, _ := loneTenant(&log)
			first, second := versions()
			host, err := netns.OpenHost("wt-build")
			if err != nil {
				t.Fatal(err)
			}
			defer host.Close()
			change := func() {
				if err := b.configure(t.Context(), second); err != nil {
					t.Error(err)
				}
			}
			p := &hastyPair{during: change}
			b.want, b.uid = first, 1<<20
			b.env.Host, b.env.Records, b.env.Pair, b.env.Stderr = host, t.TempDir(), p, os.Stderr
			b.env.Groups = cgroup.Detect("wt-build")
			defer b.env.Groups.Close()
			if when == "waiting" {
				p.during = func() {}
				for range builders {
					b.env.slots <- struct{}{}
				}
			}
			built := make(chan error, 1)
			go func() { built <- b.build(t.Context()) }()
			if when == "waiting" {
				change()
				for range builders {
					<-b.env.slots
				}
			}
			if err := <-built; err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := b.takeApart(); err != nil {
					t.Error(err)
				}
			}()
			if p.joined != second || b.view().want != second {
				t.Error("it joins the pair as it was wanted before")
			}
			if got := b.gateway.RouteUse().Limit; got != 7 {
				t.Errorf("it has room for %d routes, want 7", got)
			}
		})
	}
}

// TestFailedChangeIsTriedAgain: a change that has failed is told again although nothing else
// is wanted than before, until it is done.
func TestFailedChangeIsTriedAgain(t *testing.T) {
	roottest.Need(t)
	var log bytes.Buffer
	b, _ := loneTenant(&log)
	first, second := versions()
	host, err := netns.OpenHost("wt-again")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	b.want, b.uid = first, 1<<20
	b.env.Host, b.env.Records, b.env.Pair, b.env.Stderr = host, t.TempDir(), alone{}, os.Stderr
	b.env.Groups = cgroup.Detect("wt-again")
	defer b.env.Groups.Close()
	if err := b.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.takeApart(); err != nil {
			t.Error(err)
		}
	}()
	steps := []struct {
		name    string
		missing bool // its control group is
		fails   bool
	}{
		{"without its control group", true, true},
		{"again", true, true},
		{"when the group is back", false, false},
		{"when nothing is left to do", true, false},
	}
	for _, s := range steps {
		if s.missing {
			err = deleteGroup(b.group)
		} else {
			_, err = b.env.Groups.Create("blue", cgroup.Limits(first.Limits))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := b.configure(t.Context(), second); (err != nil) != s.fails {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}
