package vfs

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// stampOf is another for every content that a file has had. A rename changes no more of it
// than what stands behind the last blank, the time of the last change of the inode.
func stampOf(info fs.FileInfo) string {
	if info.IsDir() {
		return "directory" // what is in it counts by itself
	}
	var ino uint64
	var changed syscall.Timespec
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		ino, changed = st.Ino, st.Ctim
	}
	return fmt.Sprintf("%d.%d.%d %d.%d", info.Size(), info.ModTime().UnixNano(), ino, changed.Sec, changed.Nsec)
}

// lasting is the part of a stamp that a rename does not change.
func lasting(stamp string) string {
	s, _, _ := strings.Cut(stamp, " ")
	return s
}

// matches reports whether a file looks as it did when a stamp was noted, which may be
// the lasting part only.
func matches(noted, stamp string) bool { return noted == stamp || noted == lasting(stamp) }
