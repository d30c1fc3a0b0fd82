package system

import (
	"context"
	"slices"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/lifecycle"
	"github.com/warrenvpn/warren/system/plan"
)

// configurations answers the API for the configuration, in its words.
type configurations struct {
	life *lifecycle.Lifecycle
	// differences says what the other unit of a pair does not have of it, and what
	// brings that along; nothing on a unit alone.
	differences func() []string
}

var _ api.Configurations = configurations{}

// Plan implements api.Configurations.
func (c configurations) Plan(ctx context.Context, how api.Leniency) (api.Plan, error) {
	p, err := c.life.Plan(ctx, lifecycle.Leniency(how))
	return api.Plan{Steps: stepsOf(p.Steps), Warnings: p.Warnings, Problems: p.Problems, Basis: basisOf(p.Basis)}, err
}

// Apply implements api.Configurations.
func (c configurations) Apply(ctx context.Context, by api.Author, how api.Apply) (api.Applied, error) {
	done, err := c.life.Apply(ctx, lifecycle.Author(by), lifecycle.Apply{
		Confirm: how.Confirm, Comment: how.Comment, Leniency: lifecycle.Leniency(how.Leniency),
		Basis: basisFrom(how.Basis),
	})
	return c.told(appliedOf(done), err)
}

// told adds what is to be told of the other unit.
func (c configurations) told(done api.Applied, err error) (api.Applied, error) {
	if err == nil {
		done.Warnings = append(slices.Clip(done.Warnings), c.differences()...)
	}
	return done, err
}

// Confirm implements api.Configurations.
func (c configurations) Confirm(ctx context.Context, by api.Author) (api.Version, error) {
	v, err := c.life.Confirm(ctx, lifecycle.Author(by))
	return api.Version(v), err
}

// Rollback implements api.Configurations.
func (c configurations) Rollback(ctx context.Context, by api.Author, how api.Rollback) (api.Applied, error) {
	done, err := c.life.Rollback(ctx, lifecycle.Author(by), lifecycle.Rollback(how))
	return c.told(appliedOf(done), err)
}

// WriteMemory implements api.Configurations.
func (c configurations) WriteMemory(ctx context.Context, by api.Author) (api.Written, error) {
	w, err := c.life.WriteMemory(ctx, lifecycle.Author(by))
	out := api.Written{Version: w.Version, Files: w.Files, Pending: w.Pending}
	for _, one := range w.Unwritable {
		out.Unwritable = append(out.Unwritable, api.Unwritable(one))
	}
	return out, err
}

// RunningConfig implements api.Configurations.
func (c configurations) RunningConfig(_ context.Context, name string) (api.ConfigTexts, error) {
	t, err := c.life.RunningConfig(name)
	return textsOf(t), err
}

// StartupConfig implements api.Configurations.
func (c configurations) StartupConfig(ctx context.Context, name string) (api.ConfigTexts, error) {
	t, err := c.life.StartupConfig(ctx, name)
	return textsOf(t), err
}

// Diff implements api.Configurations.
func (c configurations) Diff(ctx context.Context) (api.Diff, error) {
	d, err := c.life.Diff(ctx)
	return api.Diff(d), err
}

// History implements api.Configurations.
func (c configurations) History(context.Context) (api.History, error) {
	var out api.History
	for _, v := range c.life.History() {
		out.Versions = append(out.Versions, api.Version(v))
	}
	return out, nil
}

// Reload implements api.Configurations.
func (c configurations) Reload(ctx context.Context, by api.Author, how api.Leniency) (api.Reload, error) {
	done, err := c.life.Reload(ctx, lifecycle.Author(by), lifecycle.Leniency(how))
	if err == nil {
		done.Warnings = append(slices.Clip(done.Warnings), c.differences()...)
	}
	return api.Reload(done), err
}

func appliedOf(a lifecycle.Applied) api.Applied {
	return api.Applied{Steps: stepsOf(a.Steps), Warnings: a.Warnings, Problems: a.Problems, Version: a.Version,
		ConfirmBefore: a.ConfirmBefore}
}

func basisOf(b lifecycle.Basis) *api.Basis {
	out := &api.Basis{Path: b.Path, Running: b.Running, RunningDigest: b.RunningDigest, Steps: b.Steps, Held: b.Held,
		Strict: b.Strict, AllowStale: b.AllowStale}
	for _, s := range b.Sources {
		out.Sources = append(out.Sources, api.PlanSource(s))
	}
	return out
}

// basisFrom is the other way round; nil stays nil.
func basisFrom(b *api.Basis) *lifecycle.Basis {
	if b == nil {
		return nil
	}
	out := &lifecycle.Basis{Path: b.Path, Running: b.Running, RunningDigest: b.RunningDigest, Steps: b.Steps,
		Held: b.Held, Strict: b.Strict, AllowStale: b.AllowStale}
	for _, s := range b.Sources {
		out.Sources = append(out.Sources, lifecycle.Source(s))
	}
	return out
}

func textsOf(t lifecycle.Texts) api.ConfigTexts {
	out := api.ConfigTexts{Version: t.Version}
	for _, one := range t.Files {
		out.Files = append(out.Files, api.ConfigText(one))
	}
	return out
}

func syncedOf(s lifecycle.Synced) api.Synced {
	return api.Synced{Files: s.Files, Steps: stepsOf(s.Steps), Warnings: s.Warnings, Version: s.Version}
}

// stepsFrom are steps that the API of the other unit has told.
func stepsFrom(list []api.Step) []plan.Explained {
	var out []plan.Explained
	for _, st := range list {
		one := plan.Explained{Step: plan.Step{Context: st.Context, Action: plan.Action(st.Action),
			SAs: plan.Effect(st.SAs), Why: st.Why}}
		for _, c := range st.Changes {
			one.Changes = append(one.Changes, plan.Change(c))
		}
		out = append(out, one)
	}
	return out
}

// stepsOf are steps in the words of the API.
func stepsOf(list []plan.Explained) []api.Step {
	var out []api.Step
	for _, st := range list {
		one := api.Step{Context: st.Context, Action: api.Action(st.Action), SAs: api.Effect(st.SAs), Why: st.Why}
		for _, c := range st.Changes {
			one.Changes = append(one.Changes, api.ConfigChange(c))
		}
		out = append(out, one)
	}
	return out
}
