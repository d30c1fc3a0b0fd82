package system

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/fetch"
)

// source is the configs.Loader of warrend: the files of the host, and what
// servers have. Where a server has nothing usable, there is the last good copy.
type source struct {
	host.Files
	stateDir string
	remotes  map[configs.Location]*remote
	warnings []string             // about servers
	stale    []string             // those of warnings that say that a copy is used
	diags    *configs.Diagnostics // of the last load
}

// remote is what there is of one configuration of a server.
type remote struct {
	configs.Remote
	content []byte
	err     error // why there is none
	fresh   bool  // the server has sent it just now
}

// fetchAll asks every server that the configuration names, all at once. It
// blocks until the last has answered or its time is up.
func fetchAll(ctx context.Context, path string) *source {
	stateDir, list := configs.Remotes(host.Files{}, path)
	src := &source{stateDir: stateDir, remotes: map[configs.Location]*remote{}}
	var requests []fetch.Request
	for _, r := range list {
		requests = append(requests, fetch.Request{URL: r.Path, CA: r.CA, Timeout: r.Timeout, Limit: configs.MaxFileSize})
	}
	for i, got := range fetch.All(ctx, requests) {
		r := &remote{Remote: list[i], content: got.Content, err: got.Err, fresh: true}
		if r.err == nil {
			r.err = checkHCL(r.Path, r.content)
		}
		if r.err != nil {
			src.useCopy(r, r.err)
		}
		src.remotes[r.Location] = r
	}
	return src
}

// checkHCL says why something cannot be a configuration at all.
func checkHCL(name string, content []byte) error {
	_, diags := configs.Format(name, content)
	if wrong := diags.ErrorIn(name); wrong != "" {
		return fmt.Errorf("the server sends no HCL: %s", wrong)
	}
	return nil
}

// ReadFile implements configs.Loader.
func (src *source) ReadFile(at configs.Location) ([]byte, error) {
	if r := src.remotes[at]; r != nil {
		return r.content, r.err
	}
	return src.Files.ReadFile(at)
}

// copyName is where the last good copy is: a directory beside disk0:, and a name
// in it that is another for every URL.
func (src *source) copyName(r *remote) (dir, name string) {
	sum := sha256.Sum256([]byte(r.Path))
	return filepath.Join(src.stateDir, "contexts", r.Context, "config"), "/" + hex.EncodeToString(sum[:8]) + ".hcl"
}

// useCopy replaces what a server has, which is of no use because of reason, by
// the last good copy.
func (src *source) useCopy(r *remote, reason error) bool {
	dir, name := src.copyName(r)
	kept, err := vfs.ReadFile(dir, name, configs.MaxFileSize)
	if err != nil {
		r.content = nil
		r.err = fmt.Errorf("%w; there is no earlier copy", reason)
		return false
	}
	when := "an earlier copy"
	if info, err := os.Stat(dir + name); err == nil {
		when = "the copy of " + info.ModTime().UTC().Format(time.DateTime) + " UTC"
	}
	r.content, r.err, r.fresh = kept, nil, false
	text := fmt.Sprintf("context %q: %s: %v; %s is used", r.Context, r.Path, reason, when)
	src.warnings, src.stale = append(src.warnings, text), append(src.stale, text)
	return true
}

// fallBack replaces everything that servers have sent and that has errors by its
// last good copy. It returns whether anything was replaced.
func (src *source) fallBack() bool {
	replaced := false
	for _, r := range src.remotes {
		wrong := src.diags.ErrorIn(r.Path)
		if wrong == "" || !r.fresh {
			continue
		}
		content := r.content
		if src.useCopy(r, errors.New("what the server has is not valid: "+wrong)) {
			replaced = true
		} else {
			r.content, r.err = content, nil
		}
	}
	return replaced
}

// keeping is held by whoever writes copies.
var keeping sync.Mutex

// keep makes what servers have sent the last good copies. That it cannot is no
// more than a warning.
func (src *source) keep() {
	keeping.Lock()
	defer keeping.Unlock()
	for _, r := range src.remotes {
		if !r.fresh {
			continue
		}
		if err := src.keepOne(r); err != nil {
			src.warnings = append(src.warnings, fmt.Sprintf("context %q: keeping a copy of %s: %v", r.Context, r.Path, err))
		}
	}
}

func (src *source) keepOne(r *remote) error {
	dir, name := src.copyName(r)
	if kept, err := vfs.ReadFile(dir, name, configs.MaxFileSize); err == nil && bytes.Equal(kept, r.content) {
		now := time.Now()
		return os.Chtimes(dir+name, now, now)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	v, err := vfs.OpenVolume("", dir, vfs.Limit{})
	if err != nil {
		return err
	}
	defer v.Close()
	old, err := v.List("/")
	if err != nil {
		return err
	}
	_, err = v.Replace(context.Background(), name, vfs.Content{Reader: bytes.NewReader(r.content), Size: int64(len(r.content))})
	if err != nil {
		return err
	}
	for _, one := range old { // those of other URLs
		if one.Path != name && strings.HasSuffix(one.Path, ".hcl") {
			err = errors.Join(err, v.Remove(one.Path))
		}
	}
	return err
}
