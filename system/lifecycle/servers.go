package lifecycle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/fetch"
)

// source is the configs.Loader of warrend: the files of the host, and what
// servers have. Where a server has nothing usable, there is the last good copy.
type source struct {
	host.Files
	Checker
	stateDir string
	remotes  map[configs.Location]*remote
	stale    []staleCopy          // copies that are used
	diags    *configs.Diagnostics // of the last load
}

// staleCopy is the last good copy of what a server has for a context.
type staleCopy struct {
	context string
	reason  string // why the server's own is not used
	copy    string // which it is
}

// copies says what copies are used, but for contexts that are held at what runs.
func (src *source) copies(held map[string]bool) []string {
	var list []string
	for _, c := range src.stale {
		if !held[c.context] {
			list = append(list, fmt.Sprintf("context %q: %s; %s is used", c.context, c.reason, c.copy))
		}
	}
	return list
}

// holdStale lets contexts go on as they run of which there is only a copy: whoever has just
// changed the server's file would take the old one for the new. It returns their names.
func (src *source) holdStale(f *fallback) map[string]bool {
	held := map[string]bool{}
	for _, c := range src.stale {
		held[c.context] = true
		f.useOld(c.context, fmt.Sprintf("%s; %s is taken with --allow-stale only", c.reason, c.copy))
	}
	return held
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
func fetchAll(ctx context.Context, path string, check Checker) *source {
	return fetchFor(ctx, host.Files{}, path, check, nil)
}

// fetchFor is fetchAll for a configuration that need not be what the files say. Servers are
// not asked for what is among have: that is as good as if they had sent it just now.
func fetchFor(ctx context.Context, files configs.Loader, path string, check Checker,
	have map[configs.Location][]byte) *source {
	stateDir, list := configs.Remotes(files, path) // parses the system file alone
	src := &source{Checker: check, stateDir: stateDir, remotes: map[configs.Location]*remote{}}
	for _, r := range list {
		if content, ok := have[r.Location]; ok {
			src.remotes[r.Location] = &remote{Remote: r, content: content, fresh: true}
		}
	}
	list = slices.DeleteFunc(list, func(r configs.Remote) bool { return src.remotes[r.Location] != nil })
	var requests []fetch.Request
	for _, r := range list {
		requests = append(requests, fetch.Request{URL: r.Path, CA: r.CA, Timeout: r.Timeout,
			Limit: configs.MaxFileSize})
	}
	for i, got := range fetch.All(ctx, requests) {
		r := &remote{Remote: list[i], content: got.Content, err: got.Err, fresh: true}
		if r.err == nil {
			r.err = src.checkHCL(r.Path, r.content)
		}
		if r.err != nil {
			src.useCopy(r, r.err)
		}
		src.remotes[r.Location] = r
	}
	return src
}

// checkHCL says why something cannot be a configuration at all.
func (src *source) checkHCL(name string, content []byte) error {
	if err := src.Check(content); err != nil {
		return fmt.Errorf("what the server sends is refused: %w", err)
	}
	if wrong := configs.CheckSyntax(name, content); wrong != "" {
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
	src.stale = append(src.stale, staleCopy{r.Context, fmt.Sprintf("%s: %v", r.Path, reason), when})
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

// keepCopies makes what servers have sent the last good copies, but not for contexts with
// problems. That it cannot is no more than a warning.
func (src *source) keepCopies(problems []fault.ContextError) (warnings []string) {
	keeping.Lock()
	defer keeping.Unlock()
	for _, r := range src.remotes {
		if !r.fresh || slices.ContainsFunc(problems,
			func(p fault.ContextError) bool { return p.Context == r.Context }) {
			continue
		}
		if err := src.keepOne(r); err != nil {
			warnings = append(warnings, fmt.Sprintf("context %q: keeping a copy of %s: %v", r.Context, r.Path, err))
		}
	}
	return warnings
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
	_, err = v.Replace(context.Background(), name, vfs.Content{Reader: bytes.NewReader(r.content),
		Size: int64(len(r.content))})
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
