// Package durable replaces files of the host as a whole: after a crash, or a loss of power,
// a file is the old one or the new one. It is a leaf, and knows nothing of what is in them.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Unfinished ends the name of a file that is being written: a crash may leave one behind.
const Unfinished = ".new"

// Write makes or replaces a file: after a crash it is the old or the new.
func Write(path string, b []byte, mode fs.FileMode) error {
	return WriteAs(path, b, mode, -1, -1)
}

// WriteAs is Write with an owner; -1: the process's.
func WriteAs(path string, b []byte, mode fs.FileMode, uid, gid int) error {
	f, err := os.OpenFile(path+Unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chown(uid, gid), f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes what was made, renamed or removed in a directory survive a loss of power.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
