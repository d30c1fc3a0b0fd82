package catalog

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxBeside is how many files are kept beside one name; the oldest go.
	MaxBeside = 8
	// maxName bounds the name of a file that is kept, in bytes.
	maxName = 200

	besideTime = "2006-01-02T15:04:05.000"
)

// Beside returns the name for a file that gives way to another one: its own, the unit that
// had it and when it was written there, as in "/d/x~primary-2026-11-30T18:23:09.000". A
// further one of the same moment has a number.
func (c *Catalog) Beside(p, unit string, written time.Time) string {
	mark := "~" + unit + "-" + written.UTC().Format(besideTime)
	for n := 2; ; n++ {
		name := path.Base(p)
		for len(name)+len(mark) > maxName {
			_, size := utf8.DecodeLastRuneInString(name)
			name = name[:len(name)-size]
		}
		to := path.Join(path.Dir(p), name+mark)
		if _, taken := c.entries[to]; !taken {
			return to
		}
		mark = strings.TrimSuffix(mark, "."+strconv.Itoa(n-1)) + "." + strconv.Itoa(n)
	}
}

// Oldest returns which of the files that were put beside the same name as p are too many.
func (c *Catalog) Oldest(p string) []string {
	name, ok := besides(p)
	if !ok {
		return nil
	}
	var list []string
	for _, e := range c.entries {
		if other, ok := besides(e.Path); ok && e.Kept && e.Kind == KindFile && other == name {
			list = append(list, e.Path)
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(strings.Compare(whenOf(a), whenOf(b)), strings.Compare(a, b))
	})
	return list[:max(0, len(list)-MaxBeside)]
}

// IsBeside reports whether kept is a name that Beside gives, or has given, for name.
func IsBeside(kept, name string) bool {
	was, ok := besides(kept)
	if !ok || len(kept)-strings.LastIndexByte(kept, '/')-1 < maxName-utf8.UTFMax {
		return ok && was == name
	}
	return strings.HasPrefix(name, was) && path.Dir(was) == path.Dir(name) // the name may have been cut
}

// besides returns the name that a kept file had.
func besides(p string) (string, bool) {
	i := strings.LastIndexByte(p, '~')
	if i < 0 || i < strings.LastIndexByte(p, '/') {
		return "", false
	}
	return p[:i], true
}

// whenOf is the part of a kept file's name behind the unit: the time.
func whenOf(p string) string {
	mark := p[strings.LastIndexByte(p, '~')+1:]
	_, when, _ := strings.Cut(mark, "-")
	return when
}
