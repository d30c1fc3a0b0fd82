package pair

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
)

// TestAdopted: what a group is known to play follows from its workers of an earlier process, and
// it is all that was ever played only where each of its contexts has one that answers.
func TestAdopted(t *testing.T) {
	serves := func(epoch uint64) *fakeServant {
		return &fakeServant{adopted: true, role: control.Activation{Active: true, Epoch: epoch}}
	}
	follows := func(epoch uint64) *fakeServant {
		return &fakeServant{adopted: true, role: control.Activation{Epoch: epoch}}
	}
	mute := follows(7)
	mute.lost = true
	tests := []struct {
		name    string
		workers []*fakeServant
		adopted uint64
		active  bool
		known   bool
	}{
		{"nobody", []*fakeServant{nil, nil}, 0, false, false},
		{"both serve", []*fakeServant{serves(7), serves(7)}, 7, true, true},
		{"both follow", []*fakeServant{follows(7), follows(5)}, 7, false, true},
		{"one serves", []*fakeServant{follows(9), serves(7)}, 7, true, true},
		{"one serves, the other way round", []*fakeServant{serves(7), follows(9)}, 7, true, true},
		{"one serves what the other did before", []*fakeServant{serves(5), serves(7)}, 7, true, true},
		{"one is gone", []*fakeServant{serves(7), nil}, 7, true, false},
		{"one is new", []*fakeServant{serves(7), {role: control.Activation{Epoch: 11}}}, 7, true, false},
		{"one does not answer", []*fakeServant{serves(7), mute}, 7, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			names := []string{"acme", "blue"}
			conf := &configs.System{}
			for _, name := range names {
				conf.Contexts = append(conf.Contexts, configs.Tenant{Name: name, FailoverGroup: "1"})
			}
			s := newMembers(conf)
			for i, w := range tt.workers {
				if w != nil {
					s.add(&member{name: names[i], group: "1", worker: w, adopted: w.adopted})
				}
			}
			g := failover.GroupConfig{Name: "1"}
			s.adopted(&g)
			if g.Adopted != tt.adopted || g.Active != tt.active || g.Known != tt.known {
				t.Errorf("got epoch %d, active %v, known %v; want %d, %v, %v", g.Adopted, g.Active, g.Known,
					tt.adopted, tt.active, tt.known)
			}
		})
	}
}

// TestBeginWithAdopted: a worker of an earlier process plays on until the role machine begins,
// and nobody tells it anything; then its group goes on with what it played. An epoch that was
// written ahead and never used is the next one.
func TestBeginWithAdopted(t *testing.T) {
	tests := []struct {
		name   string
		played control.Activation
		next   uint64 // of the first activation that is new; 0: there is none
	}{
		{"it serves", control.Activation{Active: true, Epoch: 5}, 0},
		{"it follows", control.Activation{Epoch: 4}, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			store, err := openEpochs(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.set(map[string]uint64{"1": 7}); err != nil { // ahead of a takeover
				t.Fatal(err)
			}
			u := newPairUnit(t, failover.UnitPrimary, dir, nil)
			u.worker.adopted, u.worker.role = true, tt.played
			u.prepare()
			u.pair.do(func(now time.Time, out *failover.Output) {
				if u.pair.node != nil || u.worker.Activation() != tt.played || u.net.role() != failover.RoleInit {
					t.Errorf("before it begins: %+v, the network as %v", u.worker.Activation(), u.net.role())
				}
			})
			u.pair.Settled()
			u.until(failover.RoleActive)
			want := []uint64{tt.next}
			if tt.next == 0 {
				want = nil
			}
			if got := u.worker.epochsSeen(); len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
				t.Errorf("epochs that it was told: got %v, want %v", got, want)
			}
			if got := u.worker.Activation(); !got.Active || tt.next == 0 && got.Epoch != tt.played.Epoch {
				t.Errorf("in the end it plays %+v", got)
			}
		})
	}
}
