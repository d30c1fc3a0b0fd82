package catalog

import "slices"

// Action is what has to be done on a disk so that it has what another one has.
type Action uint8

// The actions.
const (
	// ActionNone: files stay as they are.
	ActionNone Action = iota
	// ActionTake: the file is replaced by the other disk's, or made.
	ActionTake
	// ActionMake: a directory is made. A file that stands there goes.
	ActionMake
	// ActionRemove: the file, or the directory if it is empty, is deleted.
	ActionRemove
)

// String returns the action as a word.
func (a Action) String() string {
	switch a {
	case ActionNone:
		return "none"
	case ActionTake:
		return "take"
	case ActionMake:
		return "make"
	case ActionRemove:
		return "remove"
	}
	return "unknown action"
}

// Decision is what becomes of one path when an entry of another disk is heard.
type Decision struct {
	Action Action
	// Beside: the file that stands there was changed apart from the other one, and is
	// kept under another name.
	Beside bool
	// Left: theirs gives way, and only the other disk can keep its content. Until it has,
	// nobody may be told that this disk has what the other one has.
	Left bool
	// Noted: Entry is to be noted, once Action is done.
	Noted bool
	// Entry is what is known of the path then; its Position is for Catalog.Place.
	Entry Entry
}

// Merge decides what becomes of a path of which theirs was heard. Both disks come to the
// same content, whoever hears of whom first and how often:
//
//	ours                     theirs                   what becomes of ours
//	a result of theirs       any                      stays
//	any                      a result of ours         becomes theirs
//	each a result of the other one                    who has seen all that the other one has seen keeps what is there
//	file, apart              the same content         stays; the histories are joined
//	file, apart              another file             the higher version keeps the name, the other one is kept beside
//	file or directory        gone, apart              stays: what was deleted is another version
//	file                     directory, apart         is kept beside: a directory may have more in it
//
// A file whose loser is on the other disk is left to that disk: only who has the content
// can keep it.
func (c *Catalog) Merge(theirs *Entry) Decision {
	ours, ok := c.entries[theirs.Path]
	if !ok {
		if theirs.Kind == KindGone {
			return Decision{} // there is nothing to delete
		}
		return adopt(&Entry{}, theirs)
	}
	joined := *ours
	joined.Seen = ours.Seen.With(theirs.Seen...)
	older, newer := resultOf(theirs, ours), resultOf(ours, theirs)
	if older && newer { // one has come back over a deletion, or both have had both contents
		older, newer = ours.Version.Compare(theirs.Version) > 0, ours.Version.Compare(theirs.Version) < 0
		if o, t := ours.Seen.covers(theirs.Seen), theirs.Seen.covers(ours.Seen); o != t {
			older, newer = o, t // who knows more has decided last
		}
	}
	switch {
	case ours.Same(theirs):
		if theirs.Version.Compare(ours.Version) > 0 {
			joined.Version = theirs.Version
		}
		joined.Kept = ours.Kept || theirs.Kept
		joined.Unknown = newest(ours, theirs).Unknown
		return Decision{Entry: joined, Noted: joined.Version != ours.Version || joined.Kept != ours.Kept ||
			!slices.Equal(joined.Seen, ours.Seen)}
	case older:
		return Decision{}
	case newer:
		return adopt(ours, theirs)
	case theirs.Kind == KindGone: // ours is another version than the one that was deleted
		return Decision{Entry: joined, Noted: !slices.Equal(joined.Seen, ours.Seen)}
	case ours.Kind == KindGone:
		return adopt(ours, theirs)
	case ours.Kind == KindDirectory || theirs.Kind == KindFile && ours.Version.Compare(theirs.Version) > 0:
		return Decision{Left: true}
	}
	d := adopt(ours, theirs)
	d.Beside = d.Action != ActionNone
	return d
}

// resultOf reports whether b was made by who had a. Files from before there were histories
// are known by their contents.
func resultOf(a, b *Entry) bool {
	return b.Seen.Has(a.Version) ||
		a.Version.Epoch == 0 && a.Kind == KindFile && slices.Contains(b.Had, a.Sum)
}

func newest(a, b *Entry) *Entry {
	if a.Version.Compare(b.Version) < 0 {
		return b
	}
	return a
}

// adopt decides for what another disk has.
func adopt(ours, theirs *Entry) Decision {
	e := *theirs
	e.Seen = theirs.Seen.With(ours.Seen...)
	e.Position, e.Stamp, e.Aside = 0, "", ""
	if ours.Kind == KindFile && !theirs.Same(ours) {
		e.Had = had(e.Had, ours.Sum)
	}
	d := Decision{Noted: true, Entry: e}
	switch theirs.Kind {
	case KindFile:
		d.Action = ActionTake
	case KindDirectory:
		d.Action = ActionMake
	case KindGone:
		if d.Action = ActionRemove; !ours.Alive() {
			d.Action = ActionNone
		}
	default: // of a newer program
		return Decision{}
	}
	return d
}
