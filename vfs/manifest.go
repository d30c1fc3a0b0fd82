package vfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Manifest is everything that a volume holds.
type Manifest struct {
	// Version is another whenever anything in the volume may have changed.
	// Versions of two volumes say nothing of each other.
	Version string
	Files   []Info // with checksums, in the order of their paths; a directory before what is in it
	// Gone is what files were deleted, and what contents replaced: the oldest
	// first, and at most some thousand.
	Gone []Gone
	// ByHand is what was there at the Manifest before, and is not now, without
	// having been changed through the Volume. Of a volume in which nothing is
	// left it is empty: who knows what has become of that disk.
	ByHand []Gone
}

// MarkGone adds to what is gone.
func (v *Volume) MarkGone(list []Gone) {
	if v.gone != nil {
		v.gone.add(list...)
	}
}

// IsGone tells whether a path has had a content and was deprived of it.
func (v *Volume) IsGone(g Gone) bool {
	if v.gone == nil {
		return false
	}
	v.gone.mu.Lock()
	defer v.gone.mu.Unlock()
	return v.gone.has[g]
}

// contentOf is what a path has, for the ledger; false where there is none, or
// nothing to be noted.
func (v *Volume) contentOf(p string) (Gone, bool) {
	if v.gone == nil {
		return Gone{}, false
	}
	info, err := v.fsys.Stat(p)
	switch {
	case err != nil:
		return Gone{}, false
	case info.IsDir():
		return Gone{Path: p}, true
	}
	v.knowing.Lock()
	known := v.sums[p]
	v.knowing.Unlock()
	if known.stamp == stampOf(info) {
		return Gone{p, known.sum}, true
	}
	sum, err := v.Verify(context.Background(), p)
	return Gone{p, sum.SHA256}, err == nil
}

// summed is a checksum, and what the file looked like when it was computed.
type summed struct{ stamp, sum string }

// stampOf is another for every content that a file has had.
func stampOf(info fs.FileInfo) string {
	text := fmt.Sprint(info.IsDir(), info.Size(), info.ModTime().UnixNano())
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		text += fmt.Sprint(" ", st.Ino, st.Ctim.Sec, st.Ctim.Nsec)
	}
	return text
}

// seen is a version, and when it was seen.
type seen struct {
	version string
	change  uint64
	at      time.Time
}

// Version is the Version of a Manifest, without reading any content. What was
// changed by others than the Volume's users may be missed for maxAge.
func (v *Volume) Version(maxAge time.Duration) (string, error) {
	change := v.quota.Change()
	v.seeing.Lock()
	last := v.seen
	v.seeing.Unlock()
	if last.version != "" && last.change == change && time.Since(last.at) < maxAge {
		return last.version, nil
	}
	version, _, err := v.look()
	return version, err
}

// found is a file or directory, and its stamp.
type found struct {
	Info
	stamp string
}

// look returns what there is that can be used.
func (v *Volume) look() (string, []found, error) {
	var list []found
	now := seen{change: v.quota.Change(), at: time.Now()}
	err := walk(v.fsys, "/", func(name string, info fs.FileInfo) error {
		if checkElement(info.Name()) != nil || !info.IsDir() && !info.Mode().IsRegular() {
			return nil
		}
		f := found{Info: infoOf(name, info)}
		if f.stamp = stampOf(info); f.Dir {
			f.stamp = "directory" // what is in it counts by itself
		}
		list = append(list, f)
		return nil
	})
	if err != nil {
		return "", nil, v.wrong("listing", "/", err)
	}
	slices.SortFunc(list, func(a, b found) int { return strings.Compare(a.Path, b.Path) })
	sum := sha256.New()
	for _, f := range list {
		fmt.Fprintf(sum, "%q %s\n", f.Path, f.stamp)
	}
	now.version = hex.EncodeToString(sum.Sum(nil))
	v.seeing.Lock()
	defer v.seeing.Unlock()
	v.seen = now
	return now.version, list, nil
}

// Manifest returns everything that the volume holds. It reads each file once,
// and then only when it has changed.
func (v *Volume) Manifest(ctx context.Context) (Manifest, error) {
	v.summing.Lock()
	defer v.summing.Unlock()
	version, list, err := v.look()
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Version: version}
	v.knowing.Lock()
	before := v.sums
	v.knowing.Unlock()
	sums := map[string]summed{}
	for _, f := range list {
		if f.Dir {
			sums[f.Path] = summed{f.stamp, ""}
			m.Files = append(m.Files, f.Info)
			continue
		}
		known := before[f.Path]
		if known.stamp != f.stamp {
			info, err := v.Verify(ctx, f.Path)
			switch {
			case errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrEscape):
				continue // removed meanwhile, or of no use
			case err != nil:
				return Manifest{}, err
			}
			known = summed{f.stamp, info.SHA256}
		}
		sums[f.Path] = known
		f.SHA256 = known.sum
		m.Files = append(m.Files, f.Info)
	}
	v.knowing.Lock()
	v.sums = sums
	v.knowing.Unlock()
	if v.gone != nil {
		m.Gone = v.gone.all()
		m.ByHand = v.missing(before, sums)
	}
	return m, nil
}

// missing is what was before and is not now, unless it is known to be gone.
func (v *Volume) missing(before, now map[string]summed) []Gone {
	var list []Gone
	for p, was := range before {
		if is, ok := now[p]; len(now) > 0 && (!ok || is.sum != was.sum) && !v.IsGone(Gone{p, was.sum}) {
			list = append(list, Gone{p, was.sum})
		}
	}
	slices.SortFunc(list, func(a, b Gone) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// MakeDir makes a directory and those above it.
func (v *Volume) MakeDir(p string) error {
	if v.readOnly {
		return v.wrong("making", p, ErrReadOnly)
	}
	made, err := mkdirs(v.fsys, p, dirMode)
	for _, d := range made {
		err = errors.Join(err, v.syncDir(path.Dir(d)))
		if v.gone != nil {
			v.gone.back(Gone{Path: d})
		}
	}
	if err != nil {
		return v.wrong("making", p, err)
	}
	return nil
}
