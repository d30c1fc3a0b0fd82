package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/internal/durable"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
	"github.com/warrenvpn/warren/vfs"
)

// intent is what a `write memory` is about to do, beside the system file: where a
// crash comes between two files, the next start finishes it before it reads them.
type intent struct {
	StateDir string
	Version  int
}

func intentPath(system string) string {
	return filepath.Join(filepath.Dir(system), "."+filepath.Base(system)+".write-memory")
}

// rewrite is one file that the running and the startup configuration have
// differently.
type rewrite struct {
	at     configs.Location
	is     []byte // what runs
	was    []byte // what the file says
	exists bool   // the file
}

// WriteMemory makes the running configuration the startup configuration: all files that
// can be written, or on an error none.
func (l *Lifecycle) WriteMemory(ctx context.Context, by Author) (Written, error) {
	if err := l.lock("a write memory", by); err != nil {
		return Written{}, err
	}
	defer l.unlock()
	return l.writeMemoryOnBoth(ctx, by)
}

// writeMemoryOnBoth is WriteMemory for the holder of the token.
func (l *Lifecycle) writeMemoryOnBoth(ctx context.Context, by Author) (Written, error) {
	out, err := l.writeMemory(ctx, by)
	if err == nil {
		out.Pending = l.pendingDisks(ctx, out.Files)
		l.alsoThere(ctx, Settlement{What: SettleWrite})
	}
	return out, err
}

// pendingDisks returns which of the files that were written to disks of contexts the standby
// unit does not have.
func (l *Lifecycle) pendingDisks(ctx context.Context, written []string) []string {
	var disks []string
	for _, name := range written {
		if n, err := vfs.ParseName(name); err == nil && n.Volume == vfs.Disk {
			disks = append(disks, name)
		}
	}
	if l.cfg.PendingDisks == nil || len(disks) == 0 {
		return nil
	}
	return l.cfg.PendingDisks(ctx, disks)
}

// writeMemory is WriteMemory on this unit, for the holder of the token.
func (l *Lifecycle) writeMemory(ctx context.Context, by Author) (Written, error) {
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return Written{}, err
	}
	out := Written{Version: st.number}
	startup, _ := l.peek(ctx, reading{allowStale: true}) // whatever it is, it is to be replaced
	var todo []rewrite
	for _, one := range st.running.texts.List {
		was, exists := l.readStored(startup.texts, one.At)
		if exists && bytes.Equal(was, one.Body) {
			continue
		}
		if reason := unwritable[one.At.Scheme]; reason != "" {
			out.Unwritable = append(out.Unwritable, Unwritable{Name: one.Name(), Reason: reason})
			continue
		}
		todo = append(todo, rewrite{one.At, one.Body, was, exists})
	}
	if err := l.writeAll(ctx, todo, &st); err != nil {
		return out, err
	}
	for _, s := range todo {
		out.Files = append(out.Files, s.at.String())
	}
	if st.pend != nil && len(out.Unwritable) == 0 { // the next start reads what runs now
		if err := l.history.setPending(nil); err != nil {
			return out, err
		}
		st.pend = nil
	}
	out.Version = st.number
	l.setState(st)
	l.log.Info("running configuration written to startup", "version", st.number, "author", by.Name, "count", len(todo))
	return out, nil
}

// unwritable are the schemes that cannot be written to, and what to do.
var unwritable = map[configs.Scheme]string{
	configs.SchemeHTTPS: "a server is only read from: put it there yourself, from `warren show running-config`",
	texts.SchemeEnv:     "the environment of warrend is set by whoever starts it",
}

// readStored returns what a source of the startup configuration says now; t is
// what was read of it.
func (l *Lifecycle) readStored(t *texts.Set, at configs.Location) ([]byte, bool) {
	if one, ok := t.Find(at); ok {
		return one.Body, true
	}
	if at.Scheme == texts.SchemeEnv {
		value, ok := l.stored.LookupEnv(at.Path)
		return []byte(value), ok
	}
	b, err := l.stored.ReadFile(at)
	return b, err == nil
}

// writeAll writes all files or, on an error, none.
func (l *Lifecycle) writeAll(ctx context.Context, todo []rewrite, st *state) error {
	if len(todo) == 0 {
		return nil
	}
	if st.number == 0 { // it could not be kept when it began to run
		if st.number = l.history.record(version{Time: l.cfg.Now(), Author: warrend.Name, Origin: "start"},
			st.running.texts, st.pend, l.log); st.number == 0 {
			return &fault.Error{Code: fault.CodeRefused,
				Reason: "the running configuration cannot be kept in the history: nothing was written",
				Hint:   "warrend's log says why"}
		}
	}
	note, err := json.Marshal(intent{st.running.conf.StateDir, st.number})
	if err == nil {
		err = durable.Write(intentPath(l.path), note, 0o600)
	}
	for i := 0; err == nil && i < len(todo); i++ {
		s := todo[i]
		if err = l.write(ctx, s.at, s.is); err == nil {
			continue
		}
		err = fmt.Errorf("writing %s: %w", s.at, bare(err))
		for _, done := range todo[:i] {
			if backErr := l.unwrite(ctx, done); backErr != nil {
				err = errors.Join(err, fmt.Errorf("and %s cannot be put back: %w", done.at, bare(backErr)))
			}
		}
	}
	if rmErr := os.Remove(intentPath(l.path)); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
		err = errors.Join(err, rmErr)
	}
	if err != nil {
		return &fault.Error{Code: fault.CodeRefused, Reason: "nothing was written: " + oneLine(err),
			Hint: "see to the disk or the rights, then try again"}
	}
	return durable.SyncDir(filepath.Dir(l.path))
}

func (l *Lifecycle) write(ctx context.Context, at configs.Location, body []byte) error {
	if at.Scheme == configs.SchemeDisk {
		return l.cfg.WriteDisk(ctx, at.String(), body)
	}
	return replaceFile(at.Path, body)
}

func (l *Lifecycle) unwrite(ctx context.Context, s rewrite) error {
	switch {
	case s.exists:
		return l.write(ctx, s.at, s.was)
	case s.at.Scheme == configs.SchemeFile:
		return os.Remove(s.at.Path)
	}
	return nil // one more file on the context's own disk
}

// replaceFile makes or replaces a file of the host, which keeps its owner and
// mode. A symbolic link stays, and the file that it leads to is replaced.
func replaceFile(path string, body []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return durable.Write(path, body, 0o600)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	}
	owner, err := ownerOf(path)
	if err != nil {
		return err
	}
	return durable.WriteAs(path, body, info.Mode().Perm(), int(owner.Uid), int(owner.Gid))
}

func ownerOf(path string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	return &st, unix.Stat(path, &st)
}

// finishWrite ends a `write memory` that a crash has cut short.
func finishWrite(system string, log *slog.Logger) error {
	b, err := os.ReadFile(intentPath(system))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var todo intent
	if err == nil {
		err = json.Unmarshal(b, &todo)
	}
	if err == nil {
		err = finish(todo, log)
	}
	if err != nil {
		return fmt.Errorf("system: a `warren write memory` was cut short and cannot be finished: %w; "+
			"put the files in order, then remove %s", err, intentPath(system))
	}
	log.Warn("write memory finished that was cut short", "version", todo.Version)
	return os.Remove(intentPath(system))
}

func finish(todo intent, log *slog.Logger) error {
	history, err := openHistory(todo.StateDir, log.Error)
	if err != nil {
		return err
	}
	t, err := history.texts(todo.Version)
	if err != nil {
		return err
	}
	files := disks.New(&disks.Config{StateDir: todo.StateDir, Log: log})
	defer files.Close()
	var list []vfs.Disk0
	for _, one := range t.List {
		if one.At.Scheme == configs.SchemeDisk {
			list = append(list, vfs.Disk0{Context: one.At.Context})
		}
	}
	if err := files.Set(list); err != nil {
		return err
	}
	for _, one := range t.List {
		switch {
		case unwritable[one.At.Scheme] != "":
		case one.At.Scheme == configs.SchemeDisk:
			_, err = files.Write(context.Background(), one.At.String(), int64(len(one.Body)), bytes.NewReader(one.Body))
		default:
			err = unlessEqual(one)
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", one.At, bare(err))
		}
	}
	return nil
}

// unlessEqual replaces a file that says something else.
func unlessEqual(one texts.Text) error {
	if b, err := os.ReadFile(one.At.Path); err == nil && bytes.Equal(b, one.Body) {
		return nil
	}
	return replaceFile(one.At.Path, one.Body)
}
