package disks

import (
	"errors"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
)

// Contexts are the names of the contexts that state_dir has something of, removed or not.
func (d *Disks) Contexts() []string {
	names, err := vfs.Contexts(d.cfg.StateDir)
	if err != nil {
		d.cfg.Log.Error("disks of removed contexts not looked for", "reason", err)
	}
	return names
}

// SetAside makes the disks of contexts that were removed, and that are not in the last Set
// any more, orphans: a later context of the same name begins with an empty disk.
func (d *Disks) SetAside(contexts []string) {
	for _, name := range contexts {
		id, err := vfs.SetAside(d.cfg.StateDir, name, time.Now())
		switch {
		case err != nil:
			d.cfg.Log.Error("disk of a removed context not set aside", "tenant", name, "reason", err)
		case id != "":
			d.cfg.Log.Info("disk of a removed context set aside", "tenant", name, "file", id)
		}
	}
}

// BringBack gives contexts that come back, and that are not in the last Set yet, the disks
// that were theirs.
func (d *Disks) BringBack(contexts []string) {
	for _, name := range contexts {
		id, err := vfs.BringBack(d.cfg.StateDir, name)
		switch {
		case err != nil:
			d.cfg.Log.Error("disk of a context not brought back", "tenant", name, "reason", err)
		case id != "":
			d.cfg.Log.Info("disk of a context brought back", "tenant", name, "file", id)
		}
	}
}

// Orphans lists the disks of contexts that were removed.
func (d *Disks) Orphans() ([]vfs.Orphan, error) { return vfs.Orphans(d.cfg.StateDir) }

// EraseOrphans erases an orphan by its ID, all of a context by its name, or with "" all, and
// returns the IDs. With an error some may be erased.
func (d *Disks) EraseOrphans(name string) (erased []string, err error) {
	list, err := d.Orphans()
	if err != nil {
		return nil, err
	}
	for _, o := range list {
		if name != "" && name != o.ID && name != o.Context {
			continue
		}
		if one := vfs.EraseOrphan(d.cfg.StateDir, o.ID); one != nil {
			err = errors.Join(err, one)
			continue
		}
		d.cfg.Log.Info("disk of a removed context erased", "tenant", o.Context, "file", o.ID)
		erased = append(erased, o.ID)
	}
	return erased, err
}

// NoOrphan is the refusal to erase what is not there.
func NoOrphan(name string) error {
	reason := "no disk of a removed context is left"
	if name != "" {
		reason = fmt.Sprintf("no disk of a removed context is called %q or was that context's", name)
	}
	return &fault.Error{Code: fault.CodeNoFile, Reason: reason, Hint: "`warren show orphans` lists them"}
}
