package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
)

// unit is one unit of a pair whose other one is in the same process. What it asks of that
// one is a step, and it can be killed between two of them.
type unit struct {
	*rig
	peer      *unit
	name      string
	active    bool
	unheard   bool // by the peer
	older     bool // its program knows nothing of what the peer asks
	tolerated int  // tolerances that were not released
	asked     []string
	step      func(where string) // is called between two steps; nil: nothing is
}

// killed is what ends a unit in the midst of a change.
type killed struct{}

var errKilled = errors.New("the unit has died")

// newUnits returns a pair of units with the same contexts, of which the first is active.
func newUnits(t *testing.T) (a, b *unit) {
	t.Helper()
	a, b = newUnit(t, "primary", 1), newUnit(t, "secondary", 2)
	a.peer, b.peer, a.active = b, a, true
	a.start()
	b.start()
	return a, b
}

func newUnit(t *testing.T, name string, number int) *unit {
	t.Helper()
	u := &unit{name: name, rig: &rig{t: t, dir: t.TempDir(), time: rigStart, disk: map[string]error{}}}
	u.other = u
	u.write("failover.key", "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n")
	u.write("system.hcl", rigSystem+fmt.Sprintf(`
interface "Ethernet0/9" { device = "wt-fo%d" }
failover {
  unit = %q
  key  = { file = "failover.key" }
  link "direct" {
    interface = "Ethernet0/9"
    address   = "192.168.255.%d/30"
    peer      = "192.168.255.%d"
  }
}
`, number, name, number, 3-number))
	u.write("blue.hcl", rigTenant)
	u.write("red.hcl", rigTenant)
	u.write("staff.psk", "everybody's key\n")
	return u
}

// between lets something happen between two steps.
func (u *unit) between(where string) {
	u.asked = append(u.asked, where)
	if u.step != nil {
		u.step(where)
	}
}

func (u *unit) Place() Place {
	return Place{Peer: u.peer.name, Alive: !u.peer.unheard, Elsewhere: u.peer.active && !u.active, Wins: u.active}
}

// ask asks the other unit, which may die meanwhile.
func (u *unit) ask(what string, do func() error) (err error) {
	u.between("before " + what)
	if u.peer.unheard {
		return errKilled
	}
	defer u.between("after " + what)
	if u.peer.older {
		return &fault.Error{Code: fault.CodeNoRoute, Reason: "there is no such path"}
	}
	return u.peer.survive(do)
}

// survive does something that the unit may die of.
func (u *unit) survive(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
			u.unheard, err = true, errKilled
		}
	}()
	return do()
}

func (u *unit) Take(ctx context.Context, c JointChange) (out Synced, err error) {
	what := "take"
	if c.Check {
		what = "check"
	}
	err = u.ask(what, func() (err error) {
		out, err = u.peer.Lifecycle.Take(ctx, c)
		return err
	})
	return out, err
}

func (u *unit) Settle(ctx context.Context, s Settlement) error {
	return u.ask(string(s.What), func() error { return u.peer.Lifecycle.Settle(ctx, s) })
}

func (u *unit) Common(_ context.Context, brief bool) (out CommonView, err error) {
	err = u.ask("common", func() (err error) {
		out, err = u.peer.Lifecycle.Common(brief)
		return err
	})
	return out, err
}

func (u *unit) Tolerate(...*configs.System) func() {
	u.tolerated++
	return func() { u.tolerated-- }
}

// revive starts a unit that has died again.
func (u *unit) revive() {
	u.step, u.changed, u.tolerated, u.unheard = nil, nil, 0, false
	u.start()
}

// takesOver makes a unit the active one, as the other one has died.
func (u *unit) takesOver() {
	u.active, u.peer.active = true, false
	u.rig.active, u.peer.rig.active = map[string]bool{"blue": true, "red": true}, nil
}

// later lets time pass on a unit: what waits to be confirmed goes.
func (u *unit) later(d time.Duration) {
	u.t.Helper()
	u.time = u.time.Add(d)
	if err := u.Expire(u.t.Context()); err != nil {
		u.t.Error(err)
	}
}

// digest is of what a unit has in common with the other one.
func (u *unit) digest() string {
	u.t.Helper()
	v, err := u.Lifecycle.Common(true)
	if err != nil {
		u.t.Fatal(err)
	}
	return v.Digest
}

// joins adds a context, changes one, and takes one away.
func (u *unit) joins() {
	u.t.Helper()
	u.edit("blue.hcl", "10.99.0.250", "10.99.0.200")
	u.edit("system.hcl", `context "red" {
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/2" { name = "outside" }
}`, `class "gold" {
  limits { vpn_anyconnect = 5 }
}
context "green" {
  config_url = "file:green.hcl"
  member     = "gold"
  allocate_interface "Ethernet1/3" { name = "outside" }
}`)
	u.write("green.hcl", rigTenant)
}

// aboutUnits are the warnings of a change that are about the other unit.
func aboutUnits(done Applied) (list []string) {
	for _, w := range done.Warnings {
		if strings.Contains(w, " unit ") {
			list = append(list, w)
		}
	}
	return list
}

// TestApplyReachesBothUnits: an apply on the active unit changes contexts, classes and files
// of both; what is a unit's own stays.
func TestApplyReachesBothUnits(t *testing.T) {
	a, b := newUnits(t)
	own := b.read("failover.key")
	before := b.host.now()
	a.joins()
	done := a.apply(0)
	if told := aboutUnits(done); len(told) > 0 {
		t.Errorf("it warns: %q", told)
	}
	if a.digest() != b.digest() {
		t.Error("the units differ")
	}
	now := b.host.now()
	if _, ok := now["green"]; !ok || len(now) != 2 {
		t.Errorf("the standby runs %v", now)
	}
	if now["blue"].number != before["blue"].number || now["blue"] == before["blue"] {
		t.Errorf("blue was not changed in place: %v, %v", before["blue"], now["blue"])
	}
	if !strings.Contains(b.read("blue.hcl"), "10.99.0.200") || b.read("green.hcl") != rigTenant {
		t.Error("its files do not say so")
	}
	text := b.read("system.hcl")
	if !strings.Contains(text, `unit = "secondary"`) || !strings.Contains(text, "wt-fo2") ||
		strings.Contains(text, `"red"`) || b.read("failover.key") != own {
		t.Errorf("its system file:\n%s", text)
	}
	if a.tolerated != 0 || b.tolerated != 0 {
		t.Errorf("%d and %d tolerances stay", a.tolerated, b.tolerated)
	}
	b.start() // again, from its files
	if a.digest() != b.digest() || len(b.Problems()) > 0 {
		t.Errorf("after a restart the units differ: %v", b.Problems())
	}
	n := len(a.asked)
	a.apply(0)
	a.edit("system.hcl", "wt-fo1", "wt-fo7")
	if _, err := a.Apply(t.Context(), operator, Apply{}); err == nil {
		t.Error("the device of the link has changed")
	}
	if len(a.asked) != n {
		t.Errorf("nothing of both has changed, and the other unit is asked: %q", a.asked[n:])
	}
}

// TestOtherUnitRefuses: what the other unit cannot run changes neither, and the words are
// those of that unit.
func TestOtherUnitRefuses(t *testing.T) {
	a, b := newUnits(t)
	text := b.read("system.hcl")
	write(t, b.path("system.hcl"), strings.Replace(text, `interface "Ethernet1/3" { device = "wt-dmz" }`, "", 1))
	b.start()
	a.joins()
	was := b.read("system.hcl")
	a.unchanged(func() error {
		_, err := a.Apply(t.Context(), operator, Apply{})
		return err
	}, "the secondary unit refuses")
	_, err := a.Apply(t.Context(), operator, Apply{})
	var e *fault.Error
	if !errors.As(err, &e) || !strings.Contains(e.Detail, "system.hcl:") || !strings.Contains(e.Detail, "Ethernet1/3") {
		t.Errorf("file and line are missing: %+v", e)
	}
	if b.read("system.hcl") != was || len(b.History()) != 2 {
		t.Error("the other unit has changed")
	}

	write(t, b.path("system.hcl"), text)
	b.start()
	b.host.fail["check green"] = errors.New("the device is not there")
	a.unchanged(func() error { _, err := a.Apply(t.Context(), operator, Apply{}); return err },
		"the secondary unit refuses", "the device is not there")
	delete(b.host.fail, "check green")

	a.host.fail["check green"] = errors.New("there is no room")
	a.unchanged(func() error { _, err := a.Apply(t.Context(), operator, Apply{}); return err }, "there is no room")
	delete(a.host.fail, "check green")
	if _, ok := b.host.now()["green"]; ok {
		t.Error("the other unit has what this one could not run")
	}

	a.host.fail["await green"] = errors.New("its worker ends")
	a.unchanged(func() error { _, err := a.Apply(t.Context(), operator, Apply{}); return err }, "its worker ends")
	delete(a.host.fail, "await green")
	if _, ok := b.host.now()["green"]; ok || a.tolerated+b.tolerated != 0 {
		t.Errorf("the other unit has not gone back: %v", b.host.now())
	}
	if strings.Contains(b.read("system.hcl"), "green") || !strings.Contains(b.read("blue.hcl"), "10.99.0.250") {
		t.Errorf("its files have not gone back:\n%s", b.read("system.hcl"))
	}
	a.apply(0)
	if a.digest() != b.digest() {
		t.Error("the units differ")
	}
}

// TestStandbyRefusesChanges: a change belongs on the active unit; --local makes it all the
// same, and nothing mends what was meant.
func TestStandbyRefusesChanges(t *testing.T) {
	a, b := newUnits(t)
	b.edit("blue.hcl", "10.99.0.250", "10.99.0.200")
	b.unchanged(func() error { _, err := b.Apply(t.Context(), operator, Apply{}); return err },
		"this unit is the standby", "the primary unit is active")
	b.unchanged(func() error { _, err := b.Reload(t.Context(), operator, Leniency{}); return err }, "standby")
	if _, err := b.Apply(t.Context(), operator, Apply{Leniency: Leniency{Local: true}}); err != nil {
		t.Fatal(err)
	}
	if a.digest() == b.digest() {
		t.Fatal("the units are the same")
	}
	if done, err := a.Mend(t.Context()); done || err != nil {
		t.Errorf("what differs on purpose is mended: %v, %v", done, err)
	}
	diff, err := a.DiffPeer(t.Context(), "blue")
	if err != nil || !strings.Contains(diff.Text, "-ip_pool \"staff\" { range = \"10.99.0.10-10.99.0.200\" }") ||
		strings.Contains(diff.Text, "everybody's") || strings.Contains(diff.Text, "own key") {
		t.Errorf("%v\n%s", err, diff.Text)
	}
	if diff, err := a.DiffPeer(t.Context(), "red"); err != nil || diff.Differs {
		t.Errorf("red differs: %v\n%s", err, diff.Text)
	}
	if _, err := a.DiffPeer(t.Context(), "nobody"); err == nil {
		t.Error("a context that nobody has is compared")
	}
	b.edit("system.hcl", "wt-dmz", "wt-dmy") // it is the unit's own
	if _, err := b.Apply(t.Context(), operator, Apply{}); err != nil {
		t.Errorf("the standby refuses what is its own: %v", err)
	}
	a.edit("blue.hcl", "10.99.0.250", "10.99.0.150")
	a.apply(0)
	if a.digest() != b.digest() || !strings.Contains(b.read("blue.hcl"), "10.99.0.150") {
		t.Error("an apply on the active unit does not bring the other one along")
	}
}

// TestRollbackAndReloadReachBothUnits: so does what waits to be confirmed.
func TestRollbackAndReloadReachBothUnits(t *testing.T) {
	a, b := newUnits(t)
	old := a.digest()
	a.edit("blue.hcl", "10.99.0.250", "10.99.0.200")
	if _, err := a.Reload(t.Context(), operator, Leniency{}); err != nil {
		t.Fatal(err)
	}
	next := a.digest()
	if b.digest() != next {
		t.Fatal("a reload does not reach the other unit")
	}
	if _, err := a.Rollback(t.Context(), operator, Rollback{Version: 1}); err != nil {
		t.Fatal(err)
	}
	if a.digest() != old || b.digest() != old {
		t.Fatal("a rollback does not reach both units")
	}
	if _, err := a.WriteMemory(t.Context(), operator); err != nil || !strings.Contains(b.read("blue.hcl"), "0.250") {
		t.Errorf("write memory does not reach the other unit: %v", err)
	}
	a.edit("blue.hcl", "10.99.0.250", "10.99.0.200")
	a.apply(60)
	if b.digest() != next || a.tolerated != 1 || b.tolerated != 1 {
		t.Fatalf("what waits: the same %v, tolerated %d and %d", b.digest() == next, a.tolerated, b.tolerated)
	}
	b.later(59 * time.Second)
	if b.digest() != next {
		t.Error("the other unit goes back too soon")
	}
	b.later(time.Second)
	a.later(time.Minute)
	if a.digest() != old || b.digest() != old || a.tolerated+b.tolerated != 0 {
		t.Fatalf("what was not confirmed goes on, or is tolerated: %d, %d", a.tolerated, b.tolerated)
	}
	a.apply(60)
	if _, err := a.Confirm(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	a.later(time.Hour)
	b.later(time.Hour)
	if a.digest() != next || b.digest() != next {
		t.Error("what was confirmed is rolled back")
	}
}

// TestHistoryAfterTakeover: the unit that takes over has the history of what was applied on the
// other one, and can go back to any of it; what it writes is what both start with.
func TestHistoryAfterTakeover(t *testing.T) {
	a, b := newUnits(t)
	digests := []string{a.digest()}
	for _, end := range []string{"10.99.0.200", "10.99.0.150", "10.99.0.100"} {
		a.edit("blue.hcl", a.pool("blue"), end)
		if _, err := a.Apply(t.Context(), operator, Apply{Comment: "to " + end}); err != nil {
			t.Fatal(err)
		}
		digests = append(digests, a.digest())
	}
	a.unheard = true
	b.takesOver()
	theirs, ours := a.History(), b.History()
	if len(ours) != len(theirs) || len(ours) != len(digests) {
		t.Fatalf("one unit has %d versions, the other one %d", len(theirs), len(ours))
	}
	for i, v := range ours {
		foreign := i == 0 || v.Author == "peer/"+operator.Name
		if v.Comment != theirs[i].Comment || v.Origin != theirs[i].Origin || !foreign {
			t.Errorf("version %d is %+v there, and %+v here", i+1, theirs[i], v)
		}
	}
	for i, v := range ours {
		_, err := b.Rollback(t.Context(), operator, Rollback{Version: v.Number})
		if err != nil || b.digest() != digests[i] {
			t.Errorf("version %d after the takeover: %v", v.Number, err)
		}
	}
	if _, err := b.Rollback(t.Context(), operator, Rollback{Version: ours[1].Number}); err != nil {
		t.Fatal(err)
	}
	_, err := b.WriteMemory(t.Context(), operator)
	if err != nil || !strings.Contains(b.read("blue.hcl"), "10.99.0.200") {
		t.Fatalf("write memory after the takeover: %v", err)
	}
	a.revive() // with what it was told last
	if done, err := b.Mend(t.Context()); !done || err != nil || a.digest() != digests[1] {
		t.Errorf("the unit that returns is not brought along: %v, %v", done, err)
	}
	a.start()
	b.start()
	if a.digest() != digests[1] || b.digest() != digests[1] || !strings.Contains(a.read("blue.hcl"), "10.99.0.200") {
		t.Error("the units start with something else than what was written")
	}
	last := theirs[len(theirs)-1].Number
	a.takesOver()
	if _, err := a.Rollback(t.Context(), operator, Rollback{Version: last}); err != nil || a.digest() != digests[3] ||
		b.digest() != digests[3] {
		t.Errorf("the unit that has returned has not its own history: %v", err)
	}
}

// TestWhatAServerHasReachesBothUnits: the unit where a change is made asks the server; the
// other one has the same, and a copy of it.
func TestWhatAServerHasReachesBothUnits(t *testing.T) {
	server, path := newConfServer(t)
	server.sends(green("203.0.113.1/24"))
	ca, err := os.ReadFile(filepath.Join(filepath.Dir(path), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	a, b := newUnits(t)
	b.write("ca.pem", string(ca))
	a.write("ca.pem", string(ca))
	a.edit("system.hcl", `context "red" {`, fmt.Sprintf(`context "green" {
  config_url = "%s/green.hcl"
  config_ca  = "ca.pem"
  allocate_interface "Ethernet1/3" { name = "outside" }
}
context "red" {`, server.URL))
	asked := 0
	count := func(text string) {
		server.does(func(w http.ResponseWriter, _ *http.Request) { asked++; fmt.Fprint(w, text) })
	}
	count(green("203.0.113.1/24"))
	a.apply(0)
	count(green("203.0.113.2/24"))
	a.apply(0)
	if a.digest() != b.digest() || asked != 2 {
		t.Errorf("the units are the same: %v; the server was asked %d times", a.digest() == b.digest(), asked)
	}
	c, _ := b.Running().Context("green")
	if got := c.Spec.Interfaces[0].Addresses[0].String(); got != "203.0.113.2/24" {
		t.Errorf("the other unit has %s", got)
	}
	server.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	b.start()
	if a.digest() != b.digest() {
		t.Error("the other unit has kept no copy")
	}
}

// TestOlderProgramOfTheOtherUnit: a program from before takes no configuration. The change
// is made on this unit, and the operator is told.
func TestOlderProgramOfTheOtherUnit(t *testing.T) {
	a, b := newUnits(t)
	b.older = true
	a.joins()
	done := a.apply(0)
	if told := aboutUnits(done); len(told) != 1 || !strings.Contains(told[0], "older") {
		t.Errorf("it says %q", told)
	}
	if a.digest() == b.digest() {
		t.Error("the other unit has it")
	}
	if done, err := a.Mend(t.Context()); done || err != nil {
		t.Errorf("it is mended: %v, %v", done, err)
	}
	b.older = false
	if done, err := a.Mend(t.Context()); !done || err != nil || a.digest() != b.digest() {
		t.Errorf("with the new program they stay different: %v, %v", done, err)
	}
}

// TestShare: what was changed on one unit alone is given to the other one, all of it; a standby
// gives nothing away, and what the other unit cannot run changes nothing.
func TestShare(t *testing.T) {
	a, b := newUnits(t)
	a.rig.active = map[string]bool{"blue": true, "red": true}
	a.joins()
	if _, err := a.Apply(t.Context(), operator, Apply{Leniency: Leniency{Local: true}}); err != nil {
		t.Fatal(err)
	}
	if done, err := a.Mend(t.Context()); done || err != nil || a.digest() == b.digest() {
		t.Fatalf("the units are not to be the same: %v, %v", done, err)
	}
	if _, err := b.Share(t.Context(), operator); err == nil || !strings.Contains(err.Error(), "nothing to copy") {
		t.Errorf("the standby: %v", err)
	}
	b.older = true
	if _, err := a.Share(t.Context(), operator); !IsOlder(err) {
		t.Errorf("an older program: %v", err)
	}
	b.older = false
	b.host.fail["check green"] = errors.New("the device is not there")
	_, err := a.Share(t.Context(), operator)
	if err == nil || !strings.HasPrefix(err.Error(), "the peer refuses: ") || a.digest() == b.digest() {
		t.Errorf("the other unit cannot: %v", err)
	}
	delete(b.host.fail, "check green")
	done, err := a.Share(t.Context(), operator)
	if err != nil || a.digest() != b.digest() || len(done.Files) < 3 || len(done.Steps) == 0 ||
		done.Version != b.snapshot().number {
		t.Errorf("got %+v, %v", done, err)
	}
	if !strings.Contains(b.read("blue.hcl"), "10.99.0.200") || !strings.Contains(b.read("system.hcl"), `class "gold"`) {
		t.Error("the files of the other unit do not say so")
	}
	a.edit("blue.hcl", "10.99.0.200", "10.99.0.199")
	if a.apply(0); a.digest() != b.digest() {
		t.Error("the next apply does not reach both")
	}
}

// TestUnitThatWasAwayIsMended: what was applied while the other unit was away is given to it
// when it returns; files of a standby that were edited by hand as well.
func TestUnitThatWasAwayIsMended(t *testing.T) {
	a, b := newUnits(t)
	b.unheard = true
	a.joins()
	if told := aboutUnits(a.apply(0)); len(told) != 1 || !strings.Contains(told[0], "when it returns") {
		t.Errorf("it says %q", told)
	}
	b.edit("blue.hcl", "10.99.0.250", "10.99.0.111")
	b.revive()
	if done, err := b.Mend(t.Context()); done || err != nil {
		t.Errorf("the standby gives its configuration away: %v, %v", done, err)
	}
	if done, err := a.Mend(t.Context()); !done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	if a.digest() != b.digest() || !strings.Contains(b.read("blue.hcl"), "10.99.0.200") {
		t.Error("they differ")
	}
	if done, err := a.Mend(t.Context()); done || err != nil {
		t.Errorf("it is given a second time: %v, %v", done, err)
	}
}

// TestKilledBetweenTwoSteps kills either unit between any two steps of a change, with and
// without a confirmation, or the standby and after its return the active one. The survivor is
// active, and takes changes at once. When the dead one has come back, both run one version:
// the one before, or the new one, and that if an operator was told so; and the files of both
// lead there, too.
func TestKilledBetweenTwoSteps(t *testing.T) {
	places := []string{"before check", "after check", "before take", "its files", "after take", "this unit",
		"before settle", "after settle"}
	for _, confirm := range []int{0, 60} {
		for _, dies := range []string{"the active unit", "the standby", "both"} {
			for _, where := range places {
				t.Run(fmt.Sprintf("%d %s %s", confirm, dies, where), func(t *testing.T) {
					t.Parallel()
					killBetween(t, confirm, dies != "the active unit", dies == "both", where)
				})
			}
		}
	}
}

func killBetween(t *testing.T, confirm int, standby, both bool, where string) {
	a, b := newUnits(t)
	die := func() {
		if standby {
			b.unheard = true // it is gone, and what it did stays on its disk
			return
		}
		panic(killed{})
	}
	died := false
	a.step = func(at string) {
		at = strings.Replace(strings.Replace(at, "confirm", "settle", 1), "await", "settle", 1)
		if at == where && !died {
			died = true
			die()
		}
	}
	switch where {
	case "its files": // the standby runs it, and its files do not say so
		b.changed = func(*configs.System) {
			if died = true; standby {
				panic(killed{})
			}
			a.step = func(string) { panic(killed{}) } // while the standby goes on
		}
	case "this unit": // the active one runs it, and nobody knows
		a.changed = func(*configs.System) {
			if !died {
				died = true
				die()
			}
		}
	}
	old := a.digest()
	a.joins()
	refused := a.survive(func() error {
		_, err := a.Apply(t.Context(), operator, Apply{Confirm: confirm})
		return err
	})
	if !died {
		t.Fatal("nobody has died")
	}
	a.step, b.changed = nil, nil
	if both {
		b.revive()
	}
	want := "" // what is to run in the end, where that is certain
	switch {
	case confirm > 0: // nobody confirms it
		want = old
	case refused == nil: // an operator was told that it is applied
		want = a.digest()
	}
	if standby && !both {
		b.revive()
	} else {
		a.unheard = true
		b.takesOver()
		b.decides(confirm, want)
		a.revive()
	}
	for range 3 { // what differs is mended
		if confirm > 0 {
			a.later(time.Minute)
			b.later(time.Minute)
		}
		for _, u := range []*unit{a, b} {
			if _, err := u.Mend(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	if a.digest() != b.digest() {
		t.Fatal("the units differ")
	}
	if want != "" && confirm == 0 && a.digest() != want {
		t.Error("what was applied is gone")
	}
	for _, u := range []*unit{a, b} {
		if err := decided(u.snapshot().pend); err != nil {
			t.Errorf("%s: %v", u.name, err)
		}
		if len(u.host.now()) != 2 {
			t.Errorf("%s runs %v", u.name, u.host.now())
		}
		u.start()
		for _, u := range []*unit{a, b} {
			if _, err := u.Mend(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if a.digest() != b.digest() {
			t.Errorf("%s was started again, and the units differ", u.name)
		}
	}
}

// decides looks after a unit has taken over: it runs one version for good, but what an
// operator is to confirm within so many seconds. want is the digest of that;
// "": any will do.
func (u *unit) decides(confirm int, want string) {
	u.t.Helper()
	if _, err := u.Mend(u.t.Context()); err != nil {
		u.t.Fatal(err)
	}
	if confirm > 0 {
		u.later(time.Duration(confirm) * time.Second)
	}
	if want != "" && u.digest() != want {
		u.t.Error("what was applied is gone, or what was not confirmed stays")
	}
	if _, err := u.Apply(u.t.Context(), operator, Apply{}); err != nil {
		u.t.Fatalf("the survivor takes no change: %v", err)
	}
	before := u.digest()
	u.later(provisional + time.Hour)
	if u.digest() != before {
		u.t.Error("it was not decided what runs")
	}
}

// TestInheritedWhileTheOtherUnitIsHeard: a unit that is active decides nothing of a change
// that the other one still makes; when that has ended, it does.
func TestInheritedWhileTheOtherUnitIsHeard(t *testing.T) {
	a, b := newUnits(t)
	old := b.digest()
	mend := func() {
		if done, err := b.Mend(t.Context()); done || err != nil {
			t.Errorf("%v, %v", done, err)
		}
	}
	a.step = func(at string) {
		if at == "after take" { // the roles change in the midst
			b.takesOver()
			mend()
		}
	}
	a.host.fail["await green"] = errors.New("its worker ends")
	a.joins()
	if _, err := a.Apply(t.Context(), operator, Apply{}); err == nil {
		t.Fatal("it is applied")
	}
	if a.digest() != old || b.digest() != old {
		t.Error("the other unit keeps what this one could not run")
	}

	delete(a.host.fail, "await green")
	b.active, a.active = false, true
	a.step = func(at string) {
		if at == "after take" {
			b.takesOver()
			a.step = func(string) { b.unheard = true } // it is never told
		}
	}
	if _, err := a.Apply(t.Context(), operator, Apply{}); err != nil {
		t.Fatal(err)
	}
	a.step, b.unheard = nil, false
	if decided(b.snapshot().pend) == nil {
		t.Fatal("nothing waits")
	}
	mend()
	if err := decided(b.snapshot().pend); err != nil || a.digest() != b.digest() || b.digest() == old {
		t.Errorf("it is not kept: %v", err)
	}
}

// TestTakenFilesStayInTheirPlace: the other unit may write what contexts are configured with,
// and nothing else of the host.
func TestTakenFilesStayInTheirPlace(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "cron")
	if err := os.WriteFile(outside, []byte("a file of the host, long enough\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	naming := func(file string) string {
		return strings.Replace(rigTenant, `"the gateway's own key"`, `{ file = "`+file+`" }`, 1)
	}
	for _, tt := range []struct {
		name, file, want string // "": it is taken
	}{
		{"a secret that is new", "new.psk", ""},
		{"a file of the host", outside, "not below the directory"},
		{"the failover key", "failover.key", "the failover key"},
		{"the system file", "system.hcl", "is not valid"},
		{"the failover key by another name", "same/failover.key", "another name of"},
		{"a directory", "folder", "no regular file"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			_, b := newUnits(t)
			if err := errors.Join(os.Symlink(".", b.path("same")), os.Mkdir(b.path("folder"), 0o700)); err != nil {
				t.Fatal(err)
			}
			change, err := commonOf(b.snapshot().running)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range change.Files {
				if f.Context == "blue" && f.Config {
					change.Files[i].Content = []byte(naming(tt.file))
				}
			}
			change.Files = append(change.Files, PeerFile{Context: "blue", Name: tt.file,
				Content: []byte("a pre-shared key of some length\n")})
			change.Write = true
			before := b.read("system.hcl") + b.read("failover.key")
			_, err = b.Lifecycle.Take(t.Context(), change)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if text, err := os.ReadFile(outside); err != nil || strings.Contains(string(text), "pre-shared") ||
				tt.want != "" && b.read("system.hcl")+b.read("failover.key") != before {
				t.Errorf("what is not the peer's has changed: %v", err)
			}
		})
	}
}

// TestRefusedThere: a unit that does not answer has refused nothing.
func TestRefusedThere(t *testing.T) {
	told := &fault.Error{Code: fault.CodeRefused, Reason: "EOF"}
	for want, err := range map[string]error{
		"the secondary unit refuses: EOF":                              told,
		"nothing was changed: the secondary unit does not answer: EOF": &Unanswered{told},
	} {
		if got := refusedThere(err, Place{Peer: "secondary"}); got.Error() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
