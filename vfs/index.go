package vfs

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/spf13/afero"

	"github.com/warrenvpn/warren/vfs/catalog"
)

const (
	// maxFrame bounds a batch in the file of an index, in bytes.
	maxFrame = 16 << 20
	// maxBatch is how many entries are written together.
	maxBatch = 256
	// spareEntries is how many replaced entries the file may have beside as many as
	// there are paths, before it is written anew.
	spareEntries = 1024
	// skipped is how many positions are passed over when an index is opened: changes
	// may have had them that are not in the file.
	skipped = 1 << 16
)

// index keeps a catalogue in a file beside the directory of a disk, and not in it: frames
// with a length, a checksum and a batch, in the order of time. What is added is synced
// before it counts. It is protected by Volume.changing.
type index struct {
	*catalog.Catalog
	fsys afero.Fs
	path string

	session uint64 // names this use of the catalogue: positions in memory may be lost with it
	fresh   bool   // there was no file, and no Scan: what is on the disk is of a program before this one, or new
	written int    // entries in the file
	size    int64  // of the file, in bytes
	firm    bool   // the file's name is there for good: a run that has crashed may have left it
	stale   bool   // the file is not what is in memory: it is written anew by the next batch
	dropped uint64 // how many tombstones were forgotten that the other unit does not have
}

// openIndex reads an index, and returns the last batch in it apart: whoever wrote it may
// have ended before it was done. A file that cannot be read, or not to its end, costs what
// is not read: those files are without a history then, and none of them is deleted for that.
func openIndex(fsys afero.Fs, name string) (*index, *catalog.Batch) {
	x := &index{Catalog: catalog.New(random()), fsys: fsys, path: name, session: random()}
	f, err := fsys.Open(name)
	if err != nil {
		x.fresh, x.stale = true, true
		x.importLedger()
		return x, nil
	}
	defer f.Close()
	var last *catalog.Batch
	r := bufio.NewReader(f)
	for {
		b, err := readFrame(r)
		var batch catalog.Batch
		if err == nil {
			batch, err = catalog.ParseBatch(b)
		}
		if err != nil {
			x.stale = !errors.Is(err, io.EOF)
			break
		}
		if last != nil {
			x.Apply(last)
		}
		last = &batch
		x.written += len(batch.Entries) + len(batch.Forget)
		x.size += int64(frameHead + len(b))
	}
	return x, last
}

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}

// frameHead is the length of what stands before a batch: its length, and its checksum.
const frameHead = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendFrame(b []byte, batch *catalog.Batch) []byte {
	start := len(b)
	b = catalog.AppendBatch(append(b, make([]byte, frameHead)...), batch)
	body := b[start+frameHead:]
	binary.BigEndian.PutUint32(b[start:], uint32(len(body)))
	binary.BigEndian.PutUint32(b[start+4:], crc32.Checksum(body, castagnoli))
	return b
}

// readFrame returns io.EOF at the end of a file that ends with a frame.
func readFrame(r io.Reader) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return nil, io.ErrUnexpectedEOF
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil || len(b) < int(n) || crc32.Checksum(b, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, io.ErrUnexpectedEOF
	}
	return b, nil
}

// add makes a batch durable. It does not change the catalogue.
func (x *index) add(batch *catalog.Batch) error {
	if x.stale || x.written > 2*x.Len()+spareEntries {
		return x.rewrite(batch)
	}
	f, err := x.fsys.OpenFile(x.path, os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	defer f.Close()
	b := appendFrame(nil, batch)
	if _, err = f.WriteAt(b, x.size); err == nil {
		err = f.Sync()
	}
	if err == nil && !x.firm {
		err = syncDir(x.fsys, path.Dir(x.path))
		x.firm = err == nil
	}
	if err != nil {
		if f.Truncate(x.size) != nil || f.Sync() != nil {
			x.stale = true
		}
		return err
	}
	x.size += int64(len(b))
	x.written += len(batch.Entries) + len(batch.Forget)
	return nil
}

// note makes entries durable, and what is known of their paths.
func (x *index) note(list ...*catalog.Entry) error {
	if len(list) == 0 {
		return nil
	}
	x.Place(list...)
	batch := batchOf(list)
	if err := x.add(batch); err != nil {
		return err
	}
	x.Note(batch.Entries...)
	x.bound()
	return nil
}

// bound forgets the oldest tombstones where there are too many.
func (x *index) bound() {
	if x.Gone() > catalog.MaxGone {
		_, lost := x.Excess(0, catalog.KeepGone, catalog.MaxGone)
		x.dropped += uint64(len(lost))
		x.forget(lost...)
	}
}

func batchOf(list []*catalog.Entry) *catalog.Batch {
	batch := &catalog.Batch{}
	for _, e := range list {
		batch.Entries = append(batch.Entries, *e)
	}
	return batch
}

// forget gives up what is known of paths. Where that cannot be kept, it is done again by
// whoever opens the index next.
func (x *index) forget(paths ...string) {
	for len(paths) > 0 {
		some := paths[:min(len(paths), maxBatch)]
		if x.add(&catalog.Batch{Forget: some}) != nil {
			x.stale = true
		}
		for _, p := range some {
			x.Forget(p)
		}
		paths = paths[len(some):]
	}
}

// rewrite replaces the file by one that has what is known, and one more batch.
func (x *index) rewrite(more *catalog.Batch) error {
	b := appendFrame(nil, &catalog.Batch{Disk: x.Disk(), Head: x.Head(), Incarnation: x.Incarnation()})
	list := x.All()
	for part := list; len(part) > 0; part = part[min(len(part), maxBatch):] {
		b = appendFrame(b, &catalog.Batch{Entries: part[:min(len(part), maxBatch)]})
	}
	b = appendFrame(b, more)
	aside := x.path + ".new"
	err := writeFile(x.fsys, aside, b)
	if err == nil {
		err = x.fsys.Rename(aside, x.path)
	}
	if err == nil {
		err = syncDir(x.fsys, path.Dir(x.path))
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			_ = x.fsys.Remove(aside)
		}
		return err
	}
	x.firm, x.stale, x.size = true, false, int64(len(b))
	x.written = len(list) + len(more.Entries) + len(more.Forget)
	_ = x.fsys.Remove(ledgerOf(x.path)) // it is in here now
	return nil
}

// writeFile makes a file that is on the disk when it returns.
func writeFile(fsys afero.Fs, name string, b []byte) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(fsys afero.Fs, dir string) error {
	d, err := fsys.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
