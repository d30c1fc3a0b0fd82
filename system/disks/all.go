package disks

import "github.com/warrenvpn/warren/vfs"

// All lists every file of disk0: of all contexts and of shared storage, once and by its
// whole name, in the order of the names.
func (d *Disks) All() ([]File, error) {
	var out []File
	for _, n := range d.store.Names() {
		if n.Context != "" && n.Volume != vfs.Disk {
			continue // shared storage is the system's, too
		}
		more, err := d.below(n)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// below lists the files below a directory.
func (d *Disks) below(n vfs.Name) ([]File, error) {
	v, err := d.store.Volume(n)
	if err != nil {
		return nil, fileError(err)
	}
	list, err := v.List(n.Path)
	if err != nil {
		return nil, fileError(err)
	}
	var out []File
	for _, one := range list {
		at := vfs.Name{Context: n.Context, Volume: n.Volume, Path: one.Path}
		if !one.Dir {
			out = append(out, fileOf(at, one))
			continue
		}
		more, err := d.below(at)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// Follows tells of a context whose disk follows that of the other unit at the moment: nobody
// changes it here.
func (d *Disks) Follows(tenant string) bool { return tenant != "" && d.standby(tenant) }
