package catalog

import "github.com/warrenvpn/warren/internal/record"

// Incarnation is the identity of a disk. A context that is removed and made again has
// another disk under the same name; the two units of a pair have the same one of a context,
// and only disks of one incarnation take files from each other.
type Incarnation struct {
	ID uint64 // random; Unnamed of a disk of an earlier program; 0: that program itself says nothing
	// Settled: the other unit has the same identity, or the disk is the successor of one that
	// was removed. Before, the disk may take the identity of the other unit's: nobody but its
	// unit knows it.
	Settled bool
	// Later: the disk was made in the place of one that was removed.
	Later bool
}

// Unnamed is the identity of a disk with files of a program that knew no identities.
const Unnamed = 1

// Known reports whether the identity tells the disk from others of its name.
func (i Incarnation) Known() bool { return i.ID > Unnamed }

// Incarnation returns the identity of the disk.
func (c *Catalog) Incarnation() Incarnation { return c.incarnation }

// Become gives the disk an identity, which is durable already.
func (c *Catalog) Become(i Incarnation) { c.incarnation = i }

func (i *Incarnation) fields(f *record.Fields) {
	record.Number(f, 1, &i.ID)
	f.Flag(2, &i.Settled)
	f.Flag(3, &i.Later)
}
