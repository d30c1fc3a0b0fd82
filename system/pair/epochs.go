package pair

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/warrenvpn/warren/internal/durable"
)

// epochsName is the file in state_dir that remembers which epochs were used.
const epochsName = "failover-epochs.json"

// epochs are the highest epochs that this node was active with, or may be, on
// disk. An epoch that is used twice would mean sequence numbers that are used
// twice, so what is there survives a loss of power. Its methods may be called
// from several goroutines at once.
type epochs struct {
	path string

	mu     sync.Mutex // protects groups, and the order of writes
	groups map[string]uint64
}

// epochsFile is what the file holds.
type epochsFile struct {
	Groups map[string]uint64 `json:"groups"`
}

// openEpochs reads the file in dir, which may be missing. One that cannot be
// read is an error: whoever begins anew may use an epoch again.
func openEpochs(dir string) (*epochs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("system: making state_dir: %w", err)
	}
	e := &epochs{path: filepath.Join(dir, epochsName), groups: make(map[string]uint64)}
	text, err := os.ReadFile(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, fmt.Errorf("system: reading failover epochs: %w", err)
	}
	var file epochsFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("system: %s is damaged (%w): restore it, or remove it while the other node is active",
			e.path, err)
	}
	maps.Copy(e.groups, file.Groups)
	return e, nil
}

// all returns what is on disk.
func (e *epochs) all() map[string]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.groups)
}

// set remembers epochs by group, unless higher ones are there. It returns when
// the disk has them; on an error it has none of them.
func (e *epochs) set(groups map[string]uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next, news := maps.Clone(e.groups), false
	for group, epoch := range groups {
		if epoch > next[group] {
			next[group], news = epoch, true
		}
	}
	if !news {
		return nil
	}
	text, err := json.MarshalIndent(epochsFile{next}, "", "  ")
	if err != nil {
		return fmt.Errorf("system: writing failover epochs: %w", err)
	}
	if err := durable.Write(e.path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("system: writing failover epochs: %w", err)
	}
	e.groups = next
	return nil
}

// of returns the epoch of one group that is on disk.
func (e *epochs) of(group string) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.groups[group]
}
