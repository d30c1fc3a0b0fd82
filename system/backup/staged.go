package backup

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
	"github.com/warrenvpn/warren/vfs"
)

// Bounds of what is read. An archive takes as much room where it is staged as it has itself,
// for nothing in it is compressed or sparse.
const (
	maxManifest = 64 << 10
	maxEntries  = 1_000_000
)

// stagingPrefix begins the names of directories in state_dir with archives that are read.
const stagingPrefix = "restore-"

// Staged is a backup that was read, with its files in a directory of their own. It is not
// trusted further than its form: names are names of files on volumes, each is there once.
type Staged struct {
	Manifest Manifest
	Running  *texts.Set
	Files    []StagedFile // in the order of the archive
	dir      string
}

// StagedFile is one file of a backup.
type StagedFile struct {
	Name vfs.Name
	Size int64
	path string
}

// Open returns the content; the caller closes it.
func (f StagedFile) Open() (io.ReadCloser, error) { return os.Open(f.path) }

// Close removes what was staged.
func (s *Staged) Close() error { return os.RemoveAll(s.dir) }

// Clean removes what a crash has left of archives that were being read.
func Clean(stateDir string) error {
	list, err := filepath.Glob(filepath.Join(stateDir, stagingPrefix+"*"))
	for _, dir := range list {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// Read reads a backup, and writes nothing but below a new directory in stateDir, which
// Close removes. What is no backup, or none that this program reads, is a *fault.Error.
func Read(r io.Reader, stateDir string) (_ *Staged, err error) {
	dir, err := os.MkdirTemp(stateDir, stagingPrefix)
	if err != nil {
		return nil, fmt.Errorf("backup: making room for the archive: %w", err)
	}
	s := &Staged{dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	t, sum := tar.NewReader(r), newDigest()
	head, err := entry(t, sum, manifestName, maxManifest)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(head, &s.Manifest); err != nil || s.Manifest.Format != format {
		return nil, noBackup("its first entry is none of a backup")
	}
	if s.Manifest.Version != version {
		return nil, noBackup("it is of version %d, and this program reads version %d", s.Manifest.Version, version)
	}
	running, err := entry(t, sum, runningName, texts.MaxJSON)
	if err != nil {
		return nil, err
	}
	if s.Running, err = texts.Parse(running); err != nil {
		return nil, noBackup("the configuration in it cannot be read: %v", err)
	}
	return s, s.stage(t, sum)
}

// noBackup refuses an archive.
func noBackup(why string, args ...any) error {
	return &fault.Error{Code: fault.CodeInvalid,
		Reason: "this is no backup that can be restored, so nothing was changed: " + fmt.Sprintf(why, args...),
		Hint:   "`warren backup --out FILE` makes one"}
}

// next returns the header of the next entry.
func next(t *tar.Reader) (*tar.Header, error) {
	h, err := t.Next()
	if err != nil {
		return nil, err
	}
	if h.Typeflag != tar.TypeReg || h.Size < 0 {
		return nil, noBackup("%.200q is no regular file", h.Name)
	}
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse") {
			return nil, noBackup("%.200q is sparse", h.Name)
		}
	}
	return h, nil
}

// entry reads an entry of a certain name, and adds it to a digest.
func entry(t *tar.Reader, sum digest, name string, most int64) ([]byte, error) {
	h, err := next(t)
	var refused *fault.Error
	switch {
	case errors.As(err, &refused):
		return nil, err
	case err != nil || h.Name != name:
		return nil, noBackup("it has no %s where that belongs", name)
	case h.Size > most:
		return nil, noBackup("its %s is longer than %d bytes", name, most)
	}
	b, err := io.ReadAll(t)
	if err != nil {
		return nil, noBackup("it is cut short: %v", err)
	}
	sum.entry(name, h.Size)
	sum.Write(b)
	return b, nil
}

// stage writes the files to the directory, under numbers. sum is the digest of what was read
// before.
func (s *Staged) stage(t *tar.Reader, sum digest) error {
	seen := map[vfs.Name]bool{}
	for n := 0; ; n++ {
		h, err := next(t)
		var refused *fault.Error
		switch {
		case errors.As(err, &refused):
			return err
		case err != nil:
			return noBackup("it is cut short: %v", err)
		case n >= maxEntries:
			return noBackup("it has more than %d entries", maxEntries)
		}
		if h.Name == endName {
			return checkEnd(t, sum)
		}
		sum.entry(h.Name, h.Size)
		text, isFile := strings.CutPrefix(h.Name, filesPrefix)
		if !isFile {
			if !strings.HasPrefix(h.Name, historyPrefix) {
				return noBackup("nothing in a backup is called %.200q", h.Name)
			}
			if _, err := io.Copy(sum, t); err != nil {
				return noBackup("it is cut short: %v", err)
			}
			continue // it is for people
		}
		name, err := vfs.ParseName(text)
		if err != nil || name.String() != text || name.Path == "/" || seen[name] ||
			name.Context != "" && name.Volume != vfs.Disk {
			return noBackup("%.200q is no name of a file, or is there twice", text)
		}
		seen[name] = true
		f := StagedFile{Name: name, Size: h.Size, path: filepath.Join(s.dir, strconv.Itoa(n))}
		if err := stageFile(f.path, io.TeeReader(t, sum)); err != nil {
			return err
		}
		s.Files = append(s.Files, f)
	}
}

// checkEnd refuses an archive that is not as it was written.
func checkEnd(t *tar.Reader, sum digest) error {
	want := sum.text()
	b, err := io.ReadAll(io.LimitReader(t, int64(len(want))+1))
	if err != nil {
		return noBackup("it is cut short: %v", err)
	}
	if !bytes.Equal(b, want) {
		return noBackup("it is damaged: its digest is another one")
	}
	return nil
}

// stageFile writes one file. What is wrong with the archive is told from what is wrong with
// the disk.
func stageFile(path string, t io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = io.Copy(f, t)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("backup: reading the archive: %w", err)
	}
	return nil
}
