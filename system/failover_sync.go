package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
	"github.com/warrenvpn/warren/system/texts"
)

// SyncConfig implements api.Backend.
func (s *System) SyncConfig(ctx context.Context, by api.Author) (api.Synced, error) {
	p := s.pair
	if p == nil {
		return api.Synced{}, noFailover()
	}
	give, fetched, err := p.files(s.snapshot().running)
	if err != nil {
		return api.Synced{}, err
	}
	give.Author = by.Name
	body, err := json.Marshal(give)
	if err != nil {
		return api.Synced{}, fmt.Errorf("system: encoding the configuration: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, api.PeerURL("/v1/failover/contexts"), bytes.NewReader(body))
	if err != nil {
		return api.Synced{}, fmt.Errorf("system: asking the peer: %w", err)
	}
	resp, err := s.AskPeer(r)
	if err != nil {
		return api.Synced{}, err
	}
	defer resp.Body.Close()
	out, err := api.ReadAnswer[api.Synced](resp)
	var refused *fault.Error
	if errors.As(err, &refused) {
		refused.Reason = "the peer refuses: " + refused.Reason
		return out, refused
	}
	out.Fetched = fetched
	return out, err
}

// files are the texts of all contexts that are active here, and those that each
// node fetches by itself.
func (p *pair) files(running *loaded) (give api.ContextFiles, fetched []string, err error) {
	for _, c := range running.conf.Contexts {
		if p.role(c.FailoverGroup) != failover.RoleActive {
			continue
		}
		if c.Config.Scheme == configs.SchemeHTTPS {
			fetched = append(fetched, c.Name)
			continue
		}
		for _, t := range running.texts.List {
			if !slices.Contains(t.Contexts, c.Name) || unwritable[t.At.Scheme] != "" {
				continue
			}
			give.Files = append(give.Files, api.ContextFile{Context: c.Name, Name: relativeName(c, t), Config: t.At == c.Config, Content: t.Body})
		}
	}
	if len(give.Files) == 0 {
		return give, fetched, &fault.Error{Code: fault.CodeRefused, Reason: "no context is active on this unit: there is nothing to copy from here",
			Hint: "run it on the active unit"}
	}
	return give, fetched, nil
}

// relativeName is what the two nodes call a file alike: on the disk of the
// context, or beside its configuration.
func relativeName(c configs.Tenant, t texts.Text) string {
	if t.At.Scheme == configs.SchemeDisk {
		return "disk0:" + t.At.Path
	}
	if c.Config.Scheme == configs.SchemeFile {
		if rel, err := filepath.Rel(filepath.Dir(c.Config.Path), t.At.Path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return t.At.Path
}

// TakeConfig implements api.Backend.
func (s *System) TakeConfig(ctx context.Context, take api.ContextFiles) (api.Synced, error) {
	if s.pair == nil {
		return api.Synced{}, noFailover()
	}
	return s.lifecycle.takeFiles(ctx, take, s.pair)
}

// takeFiles makes the files of the active unit those of this one, and runs what
// they say: wholly or, on any error, not at all.
func (l *lifecycle) takeFiles(ctx context.Context, take api.ContextFiles, p *pair) (api.Synced, error) {
	by := api.Author{Name: "peer/" + take.Author}
	if err := l.claim("a copy of the peer's configuration", by); err != nil {
		return api.Synced{}, err
	}
	defer l.release()
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return api.Synced{}, err
	}
	files, err := p.places(st.running.conf, take)
	if err == nil {
		err = permit(files, func(at configs.Location) string { return p.protected(at, st.running) })
	}
	if err != nil {
		return api.Synced{}, err
	}
	next, _, err := read(&overlay{fetchAll(ctx, l.path), files}, l.path)
	if err == nil {
		err = fixed(st.running.conf, next.conf)
	}
	if err == nil {
		err = permit(files, func(at configs.Location) string { return p.foreign(at, st.running, next) })
	}
	if err != nil {
		return api.Synced{}, err
	}
	out := api.Synced{Warnings: next.warnings, Version: st.number}
	todo := l.different(files)
	for _, one := range todo {
		out.Files = append(out.Files, one.at.String())
	}
	slices.Sort(out.Files)
	c := l.changeTo(next, st)
	out.Steps = stepsOf(plan.Explain(c.Steps, st.running.texts, next.texts))
	if len(todo) == 0 && len(c.Steps) == 0 {
		return out, nil
	}
	note := version{Time: l.now(), Author: by.Name, Origin: "sync-config"}
	v, err := l.history.add(note, next.texts, st.number)
	if err != nil {
		return out, refusedBy(err)
	}
	if err := l.writeAll(ctx, todo, &state{running: next, number: v.Number}); err != nil {
		return out, l.undone(err, v.Number, st.pend)
	}
	if st.is, err = c.transact(ctx); err != nil {
		for _, one := range todo {
			if backErr := l.unwrite(ctx, one); backErr != nil {
				err = errors.Join(err, fmt.Errorf("and %s cannot be put back: %w", one.at, bare(backErr)))
			}
		}
		return out, l.undone(err, v.Number, st.pend)
	}
	st.running, st.number = next, v.Number
	l.set(st)
	out.Version = v.Number
	l.log.Info("configuration taken from the peer", "version", v.Number, "steps", len(c.Steps), "count", len(todo))
	return out, nil
}

// different are those of the peer's files that are written otherwise here. The disk
// of a standby context follows by itself.
func (l *lifecycle) different(files map[configs.Location][]byte) (todo []rewrite) {
	for at, body := range files {
		if at.Scheme == configs.SchemeDisk {
			continue
		}
		was, exists := l.readStored(&texts.Set{}, at)
		if !exists || !bytes.Equal(was, body) {
			todo = append(todo, rewrite{at, body, was, exists})
		}
	}
	return todo
}

// overlay is a Loader in which some files say something else.
type overlay struct {
	*source
	files map[configs.Location][]byte
}

// ReadFile implements configs.Loader.
func (o *overlay) ReadFile(at configs.Location) ([]byte, error) {
	if b, ok := o.files[at]; ok {
		return bytes.Clone(b), nil
	}
	return o.source.ReadFile(at)
}

// places says where the files of the peer belong on this node. It tells all that
// stands against them at once.
func (p *pair) places(conf *configs.System, take api.ContextFiles) (map[configs.Location][]byte, error) {
	files := make(map[configs.Location][]byte)
	var wrong []string
	for _, f := range take.Files {
		c, ok := conf.Context(f.Context)
		switch {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("context %q is not in this unit's system file: add it, then try again", f.Context))
		case p.role(c.FailoverGroup) == failover.RoleActive:
			wrong = append(wrong, fmt.Sprintf("context %q is active on this unit, too", f.Context))
		case c.Config.Scheme == configs.SchemeHTTPS:
			wrong = append(wrong, fmt.Sprintf("context %q has its configuration from a server on this unit", f.Context))
		default:
			at, err := placeOf(conf, c, f)
			if err != nil {
				wrong = append(wrong, err.Error())
			}
			files[at] = f.Content
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		wrong = slices.Compact(wrong)
		return nil, &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + wrong[0], Detail: strings.Join(wrong, "\n")}
	}
	return files, nil
}

// permit says what stands against the peer's writing files here, if anything
// does. It proved that it is the peer; that makes it nobody who may write where it
// likes. It may write what the contexts that it keeps in step are configured
// with: a file that their new configuration reads, below the directory of that
// configuration or on their disks, or one that the running configuration reads
// already; and nothing that the system, or a context that is active here, reads.
func permit(files map[configs.Location][]byte, forbidden func(at configs.Location) string) error {
	var wrong []string
	for at := range files {
		if why := forbidden(at); why != "" {
			wrong = append(wrong, fmt.Sprintf("%s: %s", at, why))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return &fault.Error{Code: fault.CodeRefused, Reason: "nothing was changed: " + wrong[0], Detail: strings.Join(wrong, "\n"),
		Hint: "copy the file to this unit by hand, if it belongs there"}
}

// protected says why the peer may not write a file, whatever its new
// configuration is; "": it may.
func (p *pair) protected(at configs.Location, now *loaded) string {
	t, known := now.texts.Find(at)
	if known && len(t.Contexts) == 0 {
		return "the system itself reads it"
	}
	for _, name := range t.Contexts {
		if c, ok := now.conf.Context(name); ok && p.role(c.FailoverGroup) == failover.RoleActive {
			return fmt.Sprintf("context %q reads it, which is active on this unit", name)
		}
	}
	return ""
}

// foreign says why the peer may not write a file with its new configuration; "":
// it may.
func (p *pair) foreign(at configs.Location, running, next *loaded) string {
	is, named := next.texts.Find(at)
	_, known := running.texts.Find(at)
	switch {
	case !named:
		return "the new configuration does not read it"
	case len(is.Contexts) == 0:
		return "the system itself reads it"
	case known || at.Scheme == configs.SchemeDisk:
		return p.protected(at, next)
	}
	real := realPath(at.Path)
	for _, t := range running.texts.List {
		if t.At.Scheme == configs.SchemeFile && realPath(t.At.Path) == real {
			return fmt.Sprintf("it is another name of %s", t.At.Path)
		}
	}
	for _, name := range is.Contexts {
		c, ok := running.conf.Context(name)
		if ok && c.Config.Scheme == configs.SchemeFile && strings.HasPrefix(real, realPath(filepath.Dir(c.Config.Path))+"/") {
			return ""
		}
	}
	return "it is not below the directory of the context's configuration, and nothing that runs reads it"
}

// realPath is where a file is, or would be, whatever symbolic links are on the
// way to it.
func realPath(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	if _, err := os.Lstat(name); err == nil || filepath.Dir(name) == name {
		return "" // a link to nothing: it is nowhere
	}
	dir := realPath(filepath.Dir(name))
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, filepath.Base(name))
}

// placeOf says where one file of the peer belongs.
func placeOf(conf *configs.System, c configs.Tenant, f api.ContextFile) (configs.Location, error) {
	if f.Config {
		return c.Config, nil
	}
	if name, onDisk := strings.CutPrefix(f.Name, "disk0:"); onDisk {
		if !strings.HasPrefix(name, "/") || path.Clean(name) != name {
			return configs.Location{}, fmt.Errorf("context %q: %q is no name of a file", f.Context, f.Name)
		}
		return configs.Location{Scheme: configs.SchemeDisk, Path: name, Context: c.Name, Root: configs.DiskRoot(conf.StateDir, c.Name)}, nil
	}
	name := f.Name
	if !filepath.IsAbs(name) {
		if c.Config.Scheme != configs.SchemeFile || !filepath.IsLocal(name) {
			return configs.Location{}, fmt.Errorf("context %q: %q has no place on this unit", f.Context, f.Name)
		}
		name = filepath.Join(filepath.Dir(c.Config.Path), name)
	}
	return configs.Location{Scheme: configs.SchemeFile, Path: filepath.Clean(name)}, nil
}
