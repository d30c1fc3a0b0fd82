package configs

import (
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// storagePlace is shared storage that some context has.
type storagePlace struct {
	Storage
	at hcl.Range
}

// readStorage reads a block "storage" of a context.
func (s *systemReader) readStorage(n *node, c *Tenant) {
	if n.label.text != "shared" {
		n.problem(n.label.at, "Unknown storage",
			`The only storage to configure is "shared". What is private to a context is its disk0:, which is always there.`)
		return
	}
	st := Storage{Label: n.line("label"), Path: n.text("path")}
	if !isVolume(st.Label) {
		n.problem(n.where("label"), "Unusable name",
			"The label of storage has 1 to 32 letters, digits, hyphens and underscores, begins with no hyphen, and "+
				"is not disk0.")
		return
	}
	if !path.IsAbs(st.Path) || path.Clean(st.Path) == "/" || strings.ContainsFunc(st.Path, isControl) {
		if n.written("path") {
			n.problem(n.where("path"), "Unusable directory", `path is an absolute path, such as "/srv/images".`)
		}
		return
	}
	st.Path = path.Clean(st.Path)
	for _, own := range []item{{text: s.sys.StateDir}, {text: s.sys.RunDir}} {
		if nested(st.Path, own.text) || nested(own.text, st.Path) {
			n.problem(n.where("path"), "Directory not to be shared",
				"%s and %s, where Warren keeps what is private to others, are one within the other.", st.Path, own.text)
			return
		}
	}
	for _, other := range s.storage {
		switch {
		case other.Label == st.Label && other.Path != st.Path:
			n.problem(n.where("label"), "Label used twice",
				"%s is %s at %s: one label stands for one directory, whatever the context.", st.Label, other.Path,
				place(other.at))
			return
		case other.Path != st.Path && (nested(st.Path, other.Path) || nested(other.Path, st.Path)):
			n.problem(n.where("path"), "Directories overlap", "%s and %s (%s) are one within the other.", st.Path,
				other.Path, place(other.at))
			return
		}
	}
	if known := slices.ContainsFunc(s.storage, func(p storagePlace) bool { return p.Storage == st }); !known {
		s.storage = append(s.storage, storagePlace{st, n.at})
	}
	c.Storage = append(c.Storage, st)
}

// nested reports whether a path is another one or below it. Both are clean.
func nested(p, above string) bool { return p == above || strings.HasPrefix(p, above+"/") }

// isVolume reports whether text can name shared storage.
func isVolume(text string) bool {
	return text != "" && len(text) <= 32 && text[0] != '-' && !strings.EqualFold(text, "disk0") &&
		!strings.ContainsFunc(text, func(r rune) bool { return r != '-' && r != '_' && !isAlphanumeric(r) })
}
