package lifecycle

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
)

// places says where the files of the peer belong on this node. It tells all that
// stands against them at once.
func (l *Lifecycle) places(conf *configs.System, take PeerFiles) (map[configs.Location][]byte, error) {
	files := make(map[configs.Location][]byte)
	var wrong []string
	for _, f := range take.Files {
		c, ok := conf.Context(f.Context)
		switch {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("context %q is not in this unit's system file: add it, then try again",
				f.Context))
		case l.active(c.FailoverGroup):
			wrong = append(wrong, fmt.Sprintf("context %q is active on this unit, too", f.Context))
		case c.Config.Scheme == configs.SchemeHTTPS:
			wrong = append(wrong, fmt.Sprintf("context %q has its configuration from a server on this unit", f.Context))
		default:
			at, err := placeOf(conf, c, f)
			if err != nil {
				wrong = append(wrong, err.Error())
			}
			files[at] = f.Content
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		wrong = slices.Compact(wrong)
		return nil, &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + wrong[0],
			Detail: strings.Join(wrong, "\n")}
	}
	return files, nil
}

// permit says what stands against the peer's writing files here, if anything
// does. It proved that it is the peer; that makes it nobody who may write where it
// likes. It may write what the contexts that it keeps in step are configured
// with: a file that their new configuration reads, below the directory of that
// configuration or on their disks, or one that the running configuration reads
// already; and nothing that the system, or a context that is active here, reads.
func permit(files map[configs.Location][]byte, forbidden func(at configs.Location) string) error {
	var wrong []string
	for at := range files {
		if why := forbidden(at); why != "" {
			wrong = append(wrong, fmt.Sprintf("%s: %s", at, why))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + wrong[0],
		Detail: strings.Join(wrong, "\n"),
		Hint:   "copy the file to this unit by hand, if it belongs there"}
}

// protected says why the peer may not write a file, whatever its new
// configuration is; "": it may.
func (l *Lifecycle) protected(at configs.Location, now *loaded) string {
	t, known := now.texts.Find(at)
	if known && len(t.Contexts) == 0 {
		return "the system itself reads it"
	}
	for _, name := range t.Contexts {
		if c, ok := now.conf.Context(name); ok && l.active(c.FailoverGroup) {
			return fmt.Sprintf("context %q reads it, which is active on this unit", name)
		}
	}
	return ""
}

// foreign says why the peer may not write a file with its new configuration; "":
// it may.
func (l *Lifecycle) foreign(at configs.Location, running, next *loaded) string {
	is, named := next.texts.Find(at)
	_, known := running.texts.Find(at)
	switch {
	case !named:
		return "the new configuration does not read it"
	case len(is.Contexts) == 0:
		return "the system itself reads it"
	case known || at.Scheme == configs.SchemeDisk:
		return l.protected(at, next)
	}
	real := realPath(at.Path)
	for _, t := range running.texts.List {
		if t.At.Scheme == configs.SchemeFile && realPath(t.At.Path) == real {
			return fmt.Sprintf("it is another name of %s", t.At.Path)
		}
	}
	for _, name := range is.Contexts {
		c, ok := running.conf.Context(name)
		if ok && c.Config.Scheme == configs.SchemeFile && strings.HasPrefix(real, realPath(filepath.Dir(c.Config.Path))+
			"/") {
			return ""
		}
	}
	return "it is not below the directory of the context's configuration, and nothing that runs reads it"
}

// realPath is where a file is, or would be, whatever symbolic links are on the
// way to it.
func realPath(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	if _, err := os.Lstat(name); err == nil || filepath.Dir(name) == name {
		return "" // a link to nothing: it is nowhere
	}
	dir := realPath(filepath.Dir(name))
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, filepath.Base(name))
}

// placeOf says where one file of the peer belongs.
func placeOf(conf *configs.System, c configs.Tenant, f PeerFile) (configs.Location, error) {
	if f.Config {
		return c.Config, nil
	}
	if name, onDisk := strings.CutPrefix(f.Name, "disk0:"); onDisk {
		if !strings.HasPrefix(name, "/") || path.Clean(name) != name {
			return configs.Location{}, fmt.Errorf("context %q: %q is no name of a file", f.Context, f.Name)
		}
		return configs.Location{Scheme: configs.SchemeDisk, Path: name, Context: c.Name,
			Root: configs.DiskRoot(conf.StateDir, c.Name)}, nil
	}
	name := f.Name
	if !filepath.IsAbs(name) {
		if c.Config.Scheme != configs.SchemeFile || !filepath.IsLocal(name) {
			return configs.Location{}, fmt.Errorf("context %q: %q has no place on this unit", f.Context, f.Name)
		}
		name = filepath.Join(filepath.Dir(c.Config.Path), name)
	}
	return configs.Location{Scheme: configs.SchemeFile, Path: filepath.Clean(name)}, nil
}
