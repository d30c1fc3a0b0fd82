package vfs

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Disk is the name of the private volume of a context.
const Disk = "disk0"

// Name says where a file is: "blue:disk0:/certs/ca.pem".
type Name struct {
	Context string // "" is the system
	Volume  string // Disk, or the label of shared storage
	Path    string // absolute and clean; "/" is the volume itself
}

// String returns the name as ParseName takes it.
func (n Name) String() string {
	if n.Context == "" {
		return n.Volume + ":" + n.Path
	}
	return n.Context + ":" + n.Volume + ":" + n.Path
}

// Base returns the last element of the path.
func (n Name) Base() string { return path.Base(n.Path) }

// ParseName reads "context:volume:/path", or "volume:/path" for the system's
// own. Nothing is cleaned away but repeated slashes and one at the end: "." and
// ".." are refused.
func ParseName(text string) (Name, error) {
	wrong := func(why string) (Name, error) {
		return Name{}, fmt.Errorf("vfs: %q %w: %s", text, ErrName, why)
	}
	head, rest, ok := strings.Cut(text, ":/")
	if !ok {
		if head, ok = strings.CutSuffix(text, ":"); !ok {
			return wrong(`names look like "blue:disk0:/file"`)
		}
	}
	n := Name{Volume: head}
	if context, volume, ok := strings.Cut(head, ":"); ok {
		if n = (Name{Context: context, Volume: volume}); !validLabel(context) {
			return wrong("the context's name has letters, digits, - and _ only")
		}
	}
	if !validLabel(n.Volume) {
		return wrong("the volume's name has letters, digits, - and _ only")
	}
	p, err := cleanPath(rest)
	if err != nil {
		return wrong(err.Error())
	}
	n.Path = p
	return n, nil
}

// validLabel reports whether s can be the name of a context or a volume.
func validLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// cleanPath returns a path as absolute and clean, or what is wrong with it.
func cleanPath(p string) (string, error) {
	var elements []string
	for e := range strings.SplitSeq(p, "/") {
		if e == "" {
			continue
		}
		if err := checkElement(e); err != nil {
			return "", err
		}
		elements = append(elements, e)
	}
	clean := "/" + strings.Join(elements, "/")
	switch {
	case len(elements) > maxDepth:
		return "", fmt.Errorf("at most %d directories can be nested", maxDepth)
	case len(clean) > maxPath:
		return "", fmt.Errorf("a path has at most %d bytes", maxPath)
	}
	return clean, nil
}

// checkElement judges one element of a path that a user chose.
func checkElement(e string) error {
	switch {
	case e == "." || e == "..":
		return fmt.Errorf("%q is no name of a file", e)
	case len(e) > maxName:
		return fmt.Errorf("a file's name has at most %d bytes", maxName)
	case !utf8.ValidString(e):
		return fmt.Errorf("a file's name is UTF-8")
	case strings.HasPrefix(e, reserved):
		return fmt.Errorf("names that begin with %q are reserved", reserved)
	}
	for _, r := range e {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("a file's name has printable characters only")
		}
	}
	return nil
}
