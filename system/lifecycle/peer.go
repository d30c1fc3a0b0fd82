package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/plan"
	"github.com/warrenvpn/warren/system/texts"
)

// active tells whether a failover group is active on this unit.
func (l *Lifecycle) active(group string) bool { return l.cfg.Active != nil && l.cfg.Active(group) }

// GiveFiles returns the texts of all contexts that are active here, for the TakeFiles of a unit
// whose program knows no Take; fetched are the contexts whose configuration each unit has from a server.
func (l *Lifecycle) GiveFiles(by Author) (give PeerFiles, fetched []string, err error) {
	give.Author = by.Name
	running := l.snapshot().running
	for _, c := range running.conf.Contexts {
		if !l.active(c.FailoverGroup) {
			continue
		}
		if c.Config.Scheme == configs.SchemeHTTPS {
			fetched = append(fetched, c.Name)
			continue
		}
		give.Files = append(give.Files, contextFiles(running, c)...)
	}
	if len(give.Files) == 0 {
		return give, fetched, nothingActive()
	}
	return give, fetched, nil
}

// Given says that the other unit has what GiveFiles returned: that this one differs is not
// meant any more.
func (l *Lifecycle) Given() { l.history.setLocal(false, l.log) }

// contextFiles are the files that a context is configured with.
func contextFiles(running *loaded, c configs.Tenant) (list []PeerFile) {
	for _, t := range running.texts.List {
		if slices.Contains(t.Contexts, c.Name) && unwritable[t.At.Scheme] == "" {
			list = append(list, PeerFile{Context: c.Name, Name: relativeName(c, t), Config: t.At == c.Config,
				Content: t.Body})
		}
	}
	return list
}

// relativeName is what the two nodes call a file alike: on the disk of the
// context, or beside its configuration.
func relativeName(c configs.Tenant, t texts.Text) string {
	if t.At.Scheme == configs.SchemeDisk {
		return "disk0:" + t.At.Path
	}
	if c.Config.Scheme == configs.SchemeFile {
		if rel, err := filepath.Rel(filepath.Dir(c.Config.Path), t.At.Path); err == nil &&
			!strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return t.At.Path
}

// TakeFiles makes the files of the active unit those of this one, and runs what
// they say: wholly or, on any error, not at all.
func (l *Lifecycle) TakeFiles(ctx context.Context, take PeerFiles) (Synced, error) {
	by := Author{Name: "peer/" + take.Author}
	if err := l.lock("a copy of the peer's configuration", by); err != nil {
		return Synced{}, err
	}
	defer l.unlock()
	st := l.snapshot()
	if err := decided(st.pend); err != nil {
		return Synced{}, err
	}
	files, err := l.places(st.running.conf, take)
	if err == nil {
		err = permit(files, func(at configs.Location) string { return l.protected(at, st.running) })
	}
	if err != nil {
		return Synced{}, err
	}
	next, _, err := read(&overlay{source: fetchAll(ctx, l.path, l.cfg.Check), files: files}, l.path)
	if err == nil {
		err = l.fixed(st.running.conf, next.conf)
	}
	if err == nil {
		err = permit(files, func(at configs.Location) string { return l.foreign(at, st.running, next) })
	}
	if err != nil {
		return Synced{}, err
	}
	out := Synced{Warnings: next.news(st.running), Version: st.number}
	todo := l.different(files)
	for _, one := range todo {
		out.Files = append(out.Files, one.at.String())
	}
	slices.Sort(out.Files)
	c := l.changeTo(next, st)
	out.Steps = plan.Explain(c.Steps, st.running.texts, next.texts)
	if len(todo) == 0 && len(c.Steps) == 0 {
		return out, nil
	}
	note := version{Time: l.cfg.Now(), Author: by.Name, Origin: originShare}
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
	l.setState(st)
	l.history.setLocal(false, l.log)
	out.Version = v.Number
	l.log.Info("configuration taken from the peer", "version", v.Number, "steps", len(c.Steps), "count", len(todo))
	return out, nil
}

// different are those of the peer's files that are written otherwise here. The disk
// of a standby context follows by itself.
func (l *Lifecycle) different(files map[configs.Location][]byte) (todo []rewrite) {
	for at, body := range files {
		if at.Scheme == configs.SchemeDisk || unwritable[at.Scheme] != "" {
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
	left  []string // contexts that are left out
}

// LeaveOut implements configs.Selective.
func (o *overlay) LeaveOut(context string) bool { return slices.Contains(o.left, context) }

// ReadFile implements configs.Loader.
func (o *overlay) ReadFile(at configs.Location) ([]byte, error) {
	if b, ok := o.files[at]; ok {
		return bytes.Clone(b), nil
	}
	return o.source.ReadFile(at)
}
