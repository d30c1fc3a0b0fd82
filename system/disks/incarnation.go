package disks

import (
	"errors"
	"time"

	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/catalog"
)

// verdict is what a unit does about the disk of a context when it meets the other unit's.
type verdict uint8

// The verdicts.
const (
	verdictShare verdict = iota // both are the same disk: each takes what is newer
	verdictName                 // so they are, of an earlier program: it gets an identity
	verdictAdopt                // ours gets the identity of theirs
	verdictYield                // theirs is another disk, and the one in use: ours is set aside
	verdictWait                 // they are two disks: nothing is taken
)

// judge decides by the identities of both disks, and by who is active; never by a clock:
//
//	ours                      theirs                    verdict
//	any                       of an older program       share
//	X                         X                         share
//	of an earlier program     the same                  share; the active unit gives it a name
//	of an earlier program     X, of no removed one      adopt, and the other way round share
//	X, never met              Y, never met              both are one from now on: the lower one adopts
//	empty, never met          Y                         adopt; they wait for that
//	X, standby here           Y, active there           yield
//	X                         Y                         wait: the other unit yields, or roles are not clear
func judge(ours vfs.State, theirs Version, standby bool) verdict {
	a, b := ours.Incarnation, theirs.Incarnation
	switch {
	case b.ID == 0:
		return verdictShare
	case a.ID == b.ID && a.Known() && a.Settled:
		return verdictShare
	case a.ID == b.ID && a.Known():
		return verdictAdopt // it is settled now
	case a.ID == b.ID && !standby && theirs.Standby:
		return verdictName
	case a.ID == b.ID:
		return verdictShare
	case !b.Known() && !a.Later:
		return verdictShare
	case !a.Known() && !b.Later:
		return verdictAdopt
	case !a.Settled && !b.Settled && a.ID < b.ID:
		return verdictAdopt
	case !a.Settled && !b.Settled:
		return verdictShare
	case ours.Blank && !a.Settled:
		return verdictAdopt
	case theirs.Blank && !b.Settled:
		return verdictWait
	case standby && !theirs.Standby:
		return verdictYield
	}
	return verdictWait
}

// apart reports whether two disks are known to be different ones.
func apart(a, b catalog.Incarnation) bool {
	return a.Known() && b.Known() && a.ID != b.ID && (a.Settled || b.Settled)
}

// meet makes the disk here the one that the other unit has, as far as it is to be. It
// returns the disk that files are taken for; nil: none are in this pass.
func (w *follower) meet(v *vfs.Volume, theirs Version) (*vfs.Volume, error) {
	d, tenant := w.disks, theirs.Context
	if v.State().Session == 0 { // it was set aside, and what came then could not be opened
		if err := d.store.Reopen(tenant, func() error { return nil }); err != nil {
			return nil, err
		}
		return nil, nil // the next pass looks at it
	}
	st := v.State()
	is, b := st.Incarnation, theirs.Incarnation
	next := catalog.Incarnation{ID: b.ID, Settled: true, Later: b.Later}
	switch verdict := judge(st, theirs, d.standby(tenant)); {
	case verdict == verdictShare:
		return v, nil
	case verdict == verdictWait:
		return nil, nil
	case verdict == verdictName:
		_, err := v.Become(is, vfs.NewIncarnation(), false)
		return v, err
	case verdict == verdictAdopt:
		next.Later = next.Later || is.Later && is.ID == b.ID
		return adopt(v, is, next, apart(is, b))
	case st.Blank:
		return adopt(v, is, next, true)
	}
	if err := d.yield(tenant); err != nil {
		return nil, err
	}
	delete(w.at, tenant)
	delete(w.scanned, tenant)
	delete(w.dropped, tenant)
	v, err := d.volume(tenant)
	if err != nil {
		return nil, err
	}
	return adopt(v, v.State().Incarnation, next, true)
}

// adopt gives a disk an identity, and returns it if it has that.
func adopt(v *vfs.Volume, was, next catalog.Incarnation, blank bool) (*vfs.Volume, error) {
	if done, err := v.Become(was, next, blank); !done || err != nil {
		return nil, err
	}
	return v, nil
}

// errActive keeps a disk that is in use by now.
var errActive = errors.New("the context has become active here meanwhile: its disk stays")

// yield sets the disk of a context aside that follows another one from now on.
func (d *Disks) yield(tenant string) error {
	return d.store.Reopen(tenant, func() error {
		if !d.standby(tenant) {
			return errActive
		}
		id, err := vfs.SetAside(d.cfg.StateDir, tenant, time.Now())
		if err == nil && id != "" {
			d.cfg.Log.Warn("disk set aside: the other unit has that of another context of this name", "tenant", tenant,
				"file", id)
		}
		return err
	})
}
