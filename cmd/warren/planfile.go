package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/system/api"
)

// A plan in a file: its form, and the versions of that which this program reads.
const (
	planFormat  = "warren plan"
	planVersion = 1
	// maxPlanFile is in bytes: a thousand contexts with long names need a quarter.
	maxPlanFile = 4 << 20
)

// planFile is a plan that can be applied later.
type planFile struct {
	Format  string     `json:"format"`
	Version int        `json:"version"`
	Made    time.Time  `json:"made"`
	Basis   *api.Basis `json:"basis"`
}

// writePlan writes a plan to a file that only its owner may read. The file is there as a
// whole or not at all.
func writePlan(path string, basis *api.Basis, now time.Time) error {
	if basis == nil {
		return errors.New("warrend is of an earlier build: its plans cannot be applied later")
	}
	b, err := json.MarshalIndent(planFile{planFormat, planVersion, now.UTC(), basis}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the plan: %w", err)
	}
	_, err = replaceFile(path, bytes.NewReader(append(b, '\n')), 0o600)
	return err
}

// readPlan reads what writePlan has written. A file that others may write to, or that is
// no plan, is an error.
func readPlan(path string) (*api.Basis, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if err := ownersAlone(info); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPlanFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if len(b) > maxPlanFile {
		return nil, fmt.Errorf("%s: a plan has at most %d bytes", path, maxPlanFile)
	}
	var p planFile
	if err := json.Unmarshal(b, &p); err != nil || p.Format != planFormat {
		return nil, fmt.Errorf("%s is no plan that `warren plan --out` has written", path)
	}
	if p.Version != planVersion {
		return nil, fmt.Errorf("%s is a plan of version %d, and this program reads version %d: make another one", path,
			p.Version, planVersion)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.Basis == nil {
		return nil, fmt.Errorf("%s was damaged, or changed by somebody: make another one", path)
	}
	return p.Basis, nil
}

// ownersAlone refuses what is no file that its owner, who is the caller or root, alone
// may read and write.
func ownersAlone(info fs.FileInfo) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others may read or change it (mode %04o): `chmod 600` it, if nobody has",
			info.Mode().Perm())
	case ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to somebody else (uid %d)", owner.Uid)
	}
	return nil
}
