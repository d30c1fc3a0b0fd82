// Package build says which build of Warren a program is, from what the Go tool
// recorded in it. It is a leaf and does no I/O.
package build

import "runtime/debug"

// Version returns the module's version where the program was built from a
// tagged one, else "devel", with the revision, marked when the tree was changed.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return describe(info)
}

func describe(info *debug.BuildInfo) string {
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "devel"
	}
	var revision, changed string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			if s.Value == "true" {
				changed = "+changes"
			}
		}
	}
	if version == "devel" && revision != "" {
		version += "-" + revision + changed
	}
	return version
}
