// Package backup is the form of a backup: a tar archive of what a system is made of, and the
// way back from one. It reads and writes files below a directory of its own; what a name on a
// disk means it leaves to vfs, and what a configuration means to lifecycle.
//
// The entries of an archive, in this order:
//
//	manifest.json              Manifest
//	running.json               texts.Set of the configuration that ran, with its secrets
//	history/000007.version     the versions before it, as state_dir has them
//	files/blue:disk0:/x        every file of disk0: and of shared storage, under its name
//	end                        a digest of all of them: nothing is missing or damaged
package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
)

// The form, and the version of it that this program writes and reads.
const (
	format  = "warren backup"
	version = 1
)

// The names of entries.
const (
	manifestName  = "manifest.json"
	runningName   = "running.json"
	historyPrefix = "history/"
	filesPrefix   = "files/"
	endName       = "end"
)

// Manifest says what a backup is of.
type Manifest struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Made    time.Time `json:"made"`
	System  string    `json:"system"`  // its name
	Path    string    `json:"path"`    // of the system file
	Running int       `json:"running"` // the version that ran
}

// File is one file that is put into a backup.
type File struct {
	Name string // "blue:disk0:/x", or in the history "000007.version"
	Size int64
	// Open returns the content, of just that size.
	Open func() (io.ReadCloser, error)
}

// Check refuses a configuration, as JSON, that is too large for Read: its backup could not be
// restored.
func Check(running []byte) error {
	if _, err := texts.Parse(running); err != nil {
		return &fault.Error{Code: fault.CodeRefused, Reason: "the configuration could not be restored from a backup: " +
			err.Error(), Hint: "keep its files in another way"}
	}
	return nil
}

// Write writes a backup to w. It blocks for as long as w and the files do, and not beyond ctx.
func Write(ctx context.Context, w io.Writer, m Manifest, running []byte, history, files []File) error {
	m.Format, m.Version = format, version
	head, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	t := &writer{tar: tar.NewWriter(w), made: m.Made, sum: newDigest()}
	t.bytes(manifestName, head)
	t.bytes(runningName, running)
	for _, f := range history {
		t.file(ctx, historyPrefix, f)
	}
	for _, f := range files {
		t.file(ctx, filesPrefix, f)
	}
	t.bytes(endName, t.sum.text())
	if t.err == nil {
		t.err = t.tar.Close()
	}
	if t.err != nil {
		return fmt.Errorf("backup: %w", t.err)
	}
	return nil
}

// writer adds entries until one of them fails.
type writer struct {
	tar  *tar.Writer
	made time.Time
	sum  digest
	err  error
}

// digest is one of entries: of the name, the size and the content of each, in their order. It
// finds what a disk or a wire has damaged. It is no signature: who makes a backup can make
// any.
type digest struct{ hash.Hash }

func newDigest() digest { return digest{sha256.New()} }

// entry begins an entry, whose content is written next.
func (d digest) entry(name string, size int64) { fmt.Fprintf(d, "%q %d\n", name, size) }

func (d digest) text() []byte { return hex.AppendEncode(nil, d.Sum(nil)) }

func (t *writer) bytes(name string, b []byte) { t.entry(name, int64(len(b)), bytes.NewReader(b)) }

func (t *writer) file(ctx context.Context, prefix string, f File) {
	if t.err == nil {
		t.err = ctx.Err()
	}
	if t.err != nil {
		return
	}
	r, err := f.Open()
	if err != nil {
		t.err = err
		return
	}
	defer r.Close()
	t.entry(prefix+f.Name, f.Size, r)
}

func (t *writer) entry(name string, size int64, r io.Reader) {
	if t.err != nil {
		return
	}
	t.err = t.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: t.made,
		Format: tar.FormatPAX})
	if t.err != nil {
		return
	}
	t.sum.entry(name, size)
	n, err := io.Copy(io.MultiWriter(t.tar, t.sum), io.LimitReader(r, size))
	if err == nil && n < size {
		err = fmt.Errorf("%s has become shorter while it was read", name)
	}
	t.err = err
}
