package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/backup"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/lifecycle"
)

// backups answers the API for backups, in its words.
type backups struct {
	life  *lifecycle.Lifecycle
	disks *disks.Disks
	// restoring is held by who restores: an archive takes room in memory and on the disk.
	restoring *sync.Mutex
}

var _ api.Backups = backups{}

// Backup implements api.Backups.
func (b backups) Backup(ctx context.Context, begin func(), w io.Writer) error {
	saved, err := b.life.Saved()
	if err != nil {
		return err
	}
	if err := backup.Check(saved.Running); err != nil {
		return err
	}
	all, err := b.disks.All()
	if err != nil {
		return err
	}
	var history, files []backup.File
	for _, path := range saved.History {
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it was the oldest
		}
		if err != nil {
			return fmt.Errorf("system: reading the history: %w", err)
		}
		history = append(history, backup.File{Name: filepath.Base(path), Size: info.Size(),
			Open: func() (io.ReadCloser, error) { return os.Open(path) }})
	}
	for _, f := range all {
		files = append(files, backup.File{Name: f.Name, Size: f.Size, Open: func() (io.ReadCloser, error) {
			return volumes{disks: b.disks}.Open(f.Name)
		}})
	}
	begin()
	return backup.Write(ctx, w, backup.Manifest{Made: time.Now().UTC(), System: b.life.Running().Name, Path: saved.Path,
		Running: saved.Number}, saved.Running, history, files)
}

// Restore implements api.Backups.
func (b backups) Restore(ctx context.Context, by api.Author, how api.Restore, r io.Reader) (api.Restored, error) {
	if !b.restoring.TryLock() {
		return api.Restored{}, &fault.Error{Code: fault.CodeRefused,
			Reason: "another restore is under way, so nothing was changed", Hint: "try again when it has ended"}
	}
	defer b.restoring.Unlock()
	s, err := backup.Read(r, b.life.Running().StateDir)
	if err != nil {
		return api.Restored{}, err
	}
	defer s.Close()
	out := api.Restored{Made: s.Manifest.Made, System: s.Manifest.System, Version: how.Running}
	for _, name := range s.Followed(volumes{disks: b.disks}) {
		out.Warnings = append(out.Warnings, fmt.Sprintf(
			"context %q is standby on this unit: its disk is restored where it is active, and follows here", name))
	}
	if how.Plan {
		p, running, err := b.life.PlanRestore(s.Running)
		if err != nil {
			return out, err
		}
		out.Steps, out.Problems, out.Version = stepsOf(p.Steps), p.Problems, running
		out.Warnings = append(out.Warnings, p.Warnings...)
		out.Files, err = s.Differing(ctx, volumes{disks: b.disks})
		return out, err
	}
	return b.restore(ctx, by, how, s, out)
}

// restore restores what was staged, as one change: the configuration first, for new contexts
// have no disk before it runs; then the files; then the startup configuration. What fails
// takes everything back.
func (b backups) restore(ctx context.Context, by api.Author, how api.Restore, s *backup.Staged,
	out api.Restored) (api.Restored, error) {
	if how.Comment == "" {
		how.Comment = "restored from the backup of " + s.Manifest.Made.UTC().Format(time.DateTime) + " UTC"
	}
	var files, pending []string
	done, err := b.life.Restore(ctx, lifecycle.Author(by), lifecycle.Restore{Texts: s.Running, Running: how.Running,
		Confirm: how.Confirm, Comment: how.Comment, Local: how.Local,
		Files: func(ctx context.Context) (err error) {
			files, err = s.Write(ctx, volumes{b.disks, &pending})
			return err
		}})
	if err != nil {
		return out, err
	}
	out.Files = files
	out.Steps, out.Problems, out.Version, out.ConfirmBefore = stepsOf(done.Steps), done.Problems, done.Version,
		done.ConfirmBefore
	out.Warnings = append(slices.Clip(out.Warnings), done.Warnings...)
	if len(pending) > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("not yet on the standby unit: %d of the files", len(pending)))
	}
	if how.Confirm > 0 {
		out.Warnings = append(out.Warnings, "the files say what they said before: `warren write memory` after "+
			"`warren confirm` makes what was restored the startup configuration; files of volumes stay as restored")
		return out, nil
	}
	if done.Unwritten != nil {
		out.Warnings = append(out.Warnings, "what was restored runs, and is not the startup configuration yet: "+
			done.Unwritten.Error())
	}
	for _, one := range done.Written.Unwritable {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s is not restored: %s", one.Name, one.Reason))
	}
	return out, nil
}

// volumes are the disks as package backup sees them.
type volumes struct {
	disks   *disks.Disks
	pending *[]string // files that were written and that the standby unit does not have yet; nil: nobody asks
}

var _ backup.Volumes = volumes{}

// Open implements backup.Volumes.
func (v volumes) Open(name string) (io.ReadCloser, error) {
	_, r, err := v.disks.Open(name)
	return r, err
}

// Write implements backup.Volumes.
func (v volumes) Write(ctx context.Context, name string, size int64, r io.Reader) error {
	info, err := v.disks.Write(ctx, name, size, r)
	if info.Pending && v.pending != nil {
		*v.pending = append(*v.pending, name)
	}
	return err
}

// Delete implements backup.Volumes.
func (v volumes) Delete(ctx context.Context, name string) error {
	_, err := v.disks.Delete(ctx, name)
	return err
}

// Follows implements backup.Volumes.
func (v volumes) Follows(context string) bool { return v.disks.Follows(context) }

// cleanUp removes what a crash has left of a restore.
func cleanUp(conf *configs.System) error { return backup.Clean(conf.StateDir) }
