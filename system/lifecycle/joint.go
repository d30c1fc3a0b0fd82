package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
)

// A change of what the two units of a pair have in common is made on both, or on none:
//
//	unit where it is made                   the other unit
//	  reads and checks what is to run
//	  Take, only checked            --->    reads, checks, plans
//	  Take                          --->    runs it, and writes its files; waits to be confirmed
//	  runs it
//	  Settle: confirm, or undo      --->    keeps it, or goes back
//
// Whoever dies between two steps leaves a version on the other unit that waits to be
// confirmed, and goes by itself; where that unit is active then, it keeps it (inherit). What
// then differs is mended where the units meet (Mend): the configuration of the unit that is
// active goes to the other one.

// provisional is how long the other unit keeps a change of which it does not hear what has
// become of it: longer than a change may take.
const provisional = 10 * time.Minute

const (
	// compareTimeout bounds the question what the other unit runs.
	compareTimeout = 10 * time.Second
	// takeTimeout bounds what the other unit gets to check a change, or to make it.
	takeTimeout = 5 * time.Minute
	// settleTimeout bounds what it is told after a change.
	settleTimeout = time.Minute
)

// Other is the other unit of a pair, as far as the configuration of both is concerned. Its
// methods may block, but for Place and Tolerate, which only ask the goroutine of the pair.
type Other interface {
	// Place says where changes belong at the moment.
	Place() Place
	// Take, Settle and Common are those of the Lifecycle on the other unit. An error that
	// it has told is a *fault.Error; a program from before there was a Take tells
	// CodeNoRoute. One that does not answer is an *Unanswered.
	Take(ctx context.Context, change JointChange) (Synced, error)
	Settle(ctx context.Context, what Settlement) error
	Common(ctx context.Context, brief bool) (CommonView, error)
	// Tolerate lets a unit that runs one of these configurations count as one with the
	// same, until release is called and what the units run has been heard.
	Tolerate(confs ...*configs.System) (release func())
}

// Unanswered is the error for another unit that does not answer, as one that has just died.
type Unanswered struct{ Err error }

// Error implements error.
func (u *Unanswered) Error() string { return u.Err.Error() }

// Unwrap returns the reason.
func (u *Unanswered) Unwrap() error { return u.Err }

// Place says where changes of the configuration belong.
type Place struct {
	Peer  string // the other unit: "primary" or "secondary"
	Alive bool   // it is heard
	// Elsewhere: all that is active is active on the other unit.
	Elsewhere bool
	// Wins: where the units differ, this one's configuration goes to the other one.
	Wins bool
}

// JointChange is a configuration that one unit of a pair wants the other one to run: what
// they have in common, secrets included.
type JointChange struct {
	Author, Origin, Comment string

	System []byte     // configs.Common of the system file
	Files  []PeerFile // of all contexts; what a server has sent, too
	Left   []string   // contexts that System names and that are left out

	// Check: it is read, checked and planned, and changes nothing.
	Check bool
	// Write: the files of the unit are to say the same.
	Write bool
	// Confirm is how many seconds Settle may take to come before all is rolled back:
	// provisional, and what an operator has to confirm it; 0: it is final, also where
	// something earlier waits to be confirmed.
	Confirm int
}

// Settlement says what becomes of a change that the other unit has taken.
type Settlement struct {
	What    SettleWhat
	Confirm int // seconds, with SettleAwait
}

// SettleWhat is the kind of a Settlement.
type SettleWhat string

// The kinds. Each does nothing where nothing waits, but SettleWrite.
const (
	SettleConfirm SettleWhat = "confirm" // it stays
	SettleUndo    SettleWhat = "undo"    // it goes, and the files are as they were
	SettleAwait   SettleWhat = "await"   // it goes unless it is confirmed in so many seconds from now
	SettleWrite   SettleWhat = "write"   // what runs is written to the files
)

// joint is a change that is to be made on both units.
type joint struct {
	by              Author
	origin, comment string
	next            *loaded
	local           bool // on this unit alone
	write           bool // the other unit's files, too
	confirm         int  // seconds
	// then, which may be nil, belongs to the change: it is done on this unit when next runs
	// there, and where it fails both units go back.
	then func(ctx context.Context) error
	// whole: it is made as a whole or not at all, so what stands against it here is
	// looked for first.
	whole bool
}

// jointly makes a change on both units of a pair, or on none; do makes it on this one.
// warnings say what is to be known of the other unit. It is for the holder of the token.
func (l *Lifecycle) jointly(ctx context.Context, j joint, do func() error) (warnings []string, err error) {
	st := l.snapshot()
	if l.cfg.Other == nil {
		return nil, do()
	}
	is, errIs := commonOf(st.running)
	change, err := commonOf(j.next)
	if err != nil || errIs != nil {
		return nil, refusedBy(errors.Join(errIs, err))
	}
	if j.local {
		return nil, l.alone(do, !change.equal(&is))
	}
	place := l.cfg.Other.Place()
	if change.equal(&is) && (!l.history.local() || place.Elsewhere) {
		return nil, do() // it is this unit's own affair
	}
	switch {
	case !place.Alive:
		if err = do(); err == nil {
			warnings = []string{fmt.Sprintf("the %s unit is not heard: it gets the configuration when it returns",
				place.Peer)}
		}
		return warnings, err
	case place.Elsewhere:
		return nil, &fault.Error{Code: fault.CodeRefused,
			Reason: fmt.Sprintf("this unit is the standby, so nothing was changed: the %s unit is active", place.Peer),
			Hint:   "do it there, and both units have it; --local changes this one alone"}
	}
	change.Author, change.Origin, change.Comment, change.Write = j.by.Name, j.origin, j.comment, j.write
	release := l.cfg.Other.Tolerate(st.running.conf, j.next.conf)
	warnings, err = l.onBoth(ctx, j, change, place, do)
	if l.snapshot().pend.open() {
		l.tolerate(release) // either unit may be the first that goes back
	} else {
		release()
	}
	return warnings, err
}

// onBoth takes the steps.
func (l *Lifecycle) onBoth(ctx context.Context, j joint, change JointChange, place Place,
	do func() error) (warnings []string, err error) {
	change.Check = true
	if _, err := l.takeThere(ctx, change); err != nil {
		if IsOlder(err) {
			return []string{olderProgram(place)}, l.alone(do, false)
		}
		return nil, refusedThere(err, place)
	}
	if j.whole {
		if errs := l.changeTo(j.next, l.snapshot()).problems(); len(errs) > 0 {
			return nil, do() // it says what stands against it, and changes nothing
		}
	}
	change.Check, change.Confirm = false, int(provisional/time.Second)+j.confirm
	if j.then != nil {
		change.Confirm += int(filesTimeout / time.Second)
	}
	if _, err := l.takeThere(ctx, change); err != nil {
		return nil, refusedThere(err, place)
	}
	err = do()
	what := Settlement{What: SettleConfirm}
	switch {
	case err != nil:
		what.What = SettleUndo
	case j.confirm > 0:
		what = Settlement{SettleAwait, j.confirm}
	}
	if told := l.settleThere(ctx, what); told != nil && err == nil {
		warnings = append(warnings, fmt.Sprintf("the %s unit has the configuration, and was not told that it stays: %s",
			place.Peer, oneLine(told)))
	}
	if err == nil {
		l.history.setLocal(false, l.log)
	}
	return warnings, err
}

// takeThere asks the other unit to take a change, within bounds.
func (l *Lifecycle) takeThere(ctx context.Context, change JointChange) (Synced, error) {
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	return l.cfg.Other.Take(ctx, change)
}

// alone makes a change on this unit; differs: it makes the units differ on purpose.
func (l *Lifecycle) alone(do func() error, differs bool) error {
	err := do()
	if err == nil && differs {
		l.history.setLocal(true, l.log)
	}
	return err
}

// settleThere tells the other unit what becomes of a change, also when the time of the
// change is up.
func (l *Lifecycle) settleThere(ctx context.Context, what Settlement) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	err := l.cfg.Other.Settle(ctx, what)
	if err != nil {
		l.log.Warn("other unit not told what becomes of a configuration", "action", string(what.What), "reason", err)
	}
	return err
}

// alsoThere tells the other unit what was decided here of what waits on both.
func (l *Lifecycle) alsoThere(ctx context.Context, what Settlement) {
	if l.cfg.Other != nil && l.cfg.Other.Place().Alive {
		_ = l.settleThere(ctx, what) // the log has been told, and what differs is mended
	}
}

// tolerate keeps a tolerance until nothing waits to be confirmed.
func (l *Lifecycle) tolerate(release func()) {
	before := l.release
	l.release = func() {
		if before != nil {
			before()
		}
		release()
	}
}

// IsOlder tells of an error of the other unit whose program does not know what it is asked.
func IsOlder(err error) bool {
	var e *fault.Error
	return errors.As(err, &e) && (e.Code == fault.CodeNoRoute || e.Code == fault.CodeNoMethod)
}

func olderProgram(place Place) string {
	return fmt.Sprintf("the program of the %s unit is older and takes no configuration: only this unit has it; "+
		"`warren failover sync-config` copies what can be copied", place.Peer)
}

// refusedThere is the error of a change that the other unit does not take.
func refusedThere(err error, place Place) error {
	var e *fault.Error
	var silent *Unanswered
	if errors.As(err, &silent) || !errors.As(err, &e) {
		return &fault.Error{Code: fault.CodeRefused,
			Reason: fmt.Sprintf("nothing was changed: the %s unit does not answer: %s", place.Peer, oneLine(err)),
			Hint:   "`warren show failover` shows the links to it; --local changes this unit alone"}
	}
	out := *e
	out.Code = fault.CodeRefused
	out.Reason = fmt.Sprintf("the %s unit refuses: %s", place.Peer, e.Reason)
	out.Hint = strings.TrimSuffix("--local changes this unit alone; "+e.Hint, "; ")
	return &out
}

// commonOf returns what a configuration has in common with the other unit's.
func commonOf(l *loaded) (JointChange, error) {
	system, err := configs.Common(l.texts.Body(configs.Location{Scheme: configs.SchemeFile, Path: l.texts.Path}))
	c := JointChange{System: system, Left: slices.Clone(l.texts.Left)}
	for _, t := range l.conf.Contexts {
		c.Files = append(c.Files, contextFiles(l, t)...)
		if t.Config.Scheme == configs.SchemeHTTPS { // both have what the server has sent this one
			c.Files = append(c.Files, PeerFile{Context: t.Name, Config: true, Content: l.texts.Body(t.Config)})
		}
	}
	c.Files = slices.DeleteFunc(c.Files, vouching(l))
	for i := range c.Files {
		if c.Files[i].Config {
			c.Files[i].Name = "" // each unit has a place for it
		}
	}
	slices.SortFunc(c.Files, func(a, b PeerFile) int {
		return strings.Compare(a.Context+"\x00"+a.Name, b.Context+"\x00"+b.Name)
	})
	slices.Sort(c.Left)
	return c, err
}

// vouching tells of files that say who vouches for a server (config_ca): they are of the
// system, and each unit has its own.
func vouching(l *loaded) func(PeerFile) bool {
	var list [][]byte
	fetched := func(c configs.Tenant) bool { return c.Config.Scheme == configs.SchemeHTTPS }
	if slices.ContainsFunc(l.conf.Contexts, fetched) {
		_, remotes := configs.Remotes(l.texts, l.texts.Path)
		for _, r := range remotes {
			list = append(list, r.CA)
		}
	}
	return func(f PeerFile) bool {
		return !f.Config && slices.ContainsFunc(list, func(ca []byte) bool { return bytes.Equal(ca, f.Content) })
	}
}

// equal tells whether two configurations are the same on both units.
func (c *JointChange) equal(o *JointChange) bool {
	return slices.Equal(configs.Statements(c.System), configs.Statements(o.System)) &&
		slices.Equal(c.Left, o.Left) && slices.EqualFunc(c.Files, o.Files, func(a, b PeerFile) bool {
		return a.Context == b.Context && a.Name == b.Name && a.Config == b.Config && bytes.Equal(a.Content, b.Content)
	})
}
