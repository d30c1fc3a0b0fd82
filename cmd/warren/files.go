package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readRegular(f, limit)
}

// readRegular reads what was opened, if it is a regular file of at most limit
// bytes.
func readRegular(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return b, nil
}

// replaceFile is writeFile for a content.
func replaceFile(path string, content io.Reader, mode fs.FileMode) (written int64, err error) {
	return writeFile(path, mode, func(w io.Writer) error {
		if _, err := io.Copy(w, content); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		return nil
	})
}

// writeFile writes a file with what fill writes, so that it has the old content or the
// new one at any moment. It takes the place of a regular file alone: not of a device, such
// as /dev/null, and of no symbolic link.
func writeFile(path string, mode fs.FileMode, fill func(io.Writer) error) (written int64, err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return 0, fmt.Errorf("writing %s: it is there, and is not a regular file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return 0, fmt.Errorf("writing %s: %w", path, bare(err))
	}
	defer os.Remove(f.Name()) // gone already where all went well
	if err := fill(f); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	n, err := f.Seek(0, io.SeekCurrent)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return 0, fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return 0, fmt.Errorf("writing %s: %w", path, err)
	}
	return n, nil
}

// bare takes operation and path off an error.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
