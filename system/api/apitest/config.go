package apitest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// Configurations is an api.Configurations of fixed answers: version 3 runs, and
// the startup configuration has another pool for the context blue.
type Configurations struct {
	Now     time.Time
	Refusal error // of everything that changes something; nil: none
}

var _ api.Configurations = (*Configurations)(nil)

func (c *Configurations) steps() []api.Step {
	return []api.Step{
		{Context: "grey", Action: api.ActionRemove, SAs: api.EffectEnd,
			Why: "it is no longer configured; its disk0: is set aside"},
		{Context: "blue", Action: api.ActionConfigure, SAs: api.EffectSomeEnd, Why: "its configuration has changed",
			Changes: []api.ConfigChange{
				{File: "/etc/warren/blue.hcl", Block: `ip_pool "staff"`, Attribute: "range", Change: "changed",
					Old: `"10.99.0.10-10.99.0.250"`, New: `"10.99.7.10-10.99.7.250"`},
				{File: "/etc/warren/blue.hcl", Block: `tunnel_group "staff" ikev2`, Attribute: "local_authentication",
					Change: "changed",
					Old:    `{ pre_shared_key = "********" }`, New: `{ pre_shared_key = "********" }`},
				{File: "/etc/warren/blue.hcl", Block: `tunnel_group "guests"`, Change: "removed"},
				{File: "/etc/warren/blue.hcl", Block: "dataplane", Attribute: "mtu", Change: "added", New: "1400"},
				{File: "/etc/warren/staff.psk", Change: "changed"},
			}},
		{Context: "green", Action: api.ActionCreate, SAs: api.EffectNone, Why: "it is new"},
	}
}

// Plan implements api.Configurations.
func (c *Configurations) Plan(context.Context, api.Leniency) (api.Plan, error) {
	return api.Plan{
		Steps:    c.steps(),
		Warnings: []string{"blue.hcl:7: 3des is weak"},
		Problems: []fault.ContextError{{Context: "green", Error: "device wg-out is not there",
			Hint: "ip link show lists the devices"}},
		Basis: PlannedBasis(),
	}, c.Refusal
}

// PlannedBasis is that of every plan.
func PlannedBasis() *api.Basis {
	return &api.Basis{Path: "/etc/warren/system.hcl", Running: 3, RunningDigest: "00ff", Steps: []string{"a step"},
		Sources: []api.PlanSource{{Name: "/etc/warren/system.hcl", Digest: "01"}}, Held: []string{}}
}

// Apply implements api.Configurations. There is a mistake in red's configuration
// where the comment is Mistaken.
func (c *Configurations) Apply(_ context.Context, by api.Author, how api.Apply) (api.Applied, error) {
	out := c.applied(4, how.Confirm)
	if how.Comment == Mistaken {
		out.Problems = mistakes()
	}
	switch {
	case c.Refusal != nil:
		return out, c.Refusal
	case how.Basis != nil && !reflect.DeepEqual(how.Basis, PlannedBasis()):
		return out, &fault.Error{Code: fault.CodeRefused,
			Reason: "the plan does not hold any more, so nothing was changed",
			Detail: "/etc/warren/staff.psk has changed\n", Hint: "`warren plan --out FILE` makes another one"}
	case how.Strict && out.Problems != nil:
		return out, &fault.Error{Code: fault.CodeRefused,
			Reason: "the configuration /etc/warren/system.hcl is not valid"}
	}
	return out, nil
}

// Mistaken as a comment puts a mistake into the configuration of one context.
const Mistaken = "mistaken"

func mistakes() []fault.ContextError {
	return []fault.ContextError{{Context: "red", Hint: "mend that, then `warren apply`",
		Error: `its last good configuration is used: red.hcl:3: Unknown attribute: "rage"`}}
}

func (c *Configurations) applied(version, confirm int) api.Applied {
	out := api.Applied{Steps: c.steps(), Version: version}
	if confirm > 0 {
		out.ConfirmBefore = c.Now.Add(time.Duration(confirm) * time.Second)
	}
	return out
}

// Confirm implements api.Configurations.
func (c *Configurations) Confirm(context.Context, api.Author) (api.Version, error) {
	return api.Version{Number: 4, Time: c.Now, Author: "root", Origin: "apply", Running: true}, c.Refusal
}

// Rollback implements api.Configurations. It knows versions 1 to 3.
func (c *Configurations) Rollback(_ context.Context, _ api.Author, how api.Rollback) (api.Applied, error) {
	switch {
	case c.Refusal != nil:
		return api.Applied{}, c.Refusal
	case how.Version < 1 || how.Version > 3:
		return api.Applied{}, &fault.Error{Code: fault.CodeRefused,
			Reason: fmt.Sprintf("there is no version %d: nothing was changed", how.Version),
			Hint:   "versions 1 to 3 are kept; `warren show history` lists them"}
	case how.Version == 3:
		return api.Applied{Version: 3}, nil
	}
	return c.applied(4, how.Confirm), nil
}

// WriteMemory implements api.Configurations.
func (c *Configurations) WriteMemory(context.Context, api.Author) (api.Written, error) {
	return api.Written{Version: 3, Files: []string{"/etc/warren/system.hcl", "blue:disk0:/blue.hcl"}}, c.Refusal
}

// RunningConfig implements api.Configurations.
func (c *Configurations) RunningConfig(_ context.Context, name string) (api.ConfigTexts, error) {
	out := api.ConfigTexts{Version: 3}
	for _, f := range []api.ConfigText{
		{Name: "/etc/warren/system.hcl", Text: "context \"blue\" { config_url = \"file:blue.hcl\" }\n"},
		{Name: "/etc/warren/blue.hcl", Contexts: []string{"blue"},
			Text: "interface \"outside\" { address = \"198.51.100.1/24\" }"},
	} {
		if name == "" || len(f.Contexts) > 0 && f.Contexts[0] == name {
			out.Files = append(out.Files, f)
		}
	}
	if out.Files == nil {
		return out, fault.NoContext(name)
	}
	return out, nil
}

// StartupConfig implements api.Configurations.
func (c *Configurations) StartupConfig(ctx context.Context, name string) (api.ConfigTexts, error) {
	out, err := c.RunningConfig(ctx, name)
	out.Version = 0
	for i := range out.Files {
		out.Files[i].Text = strings.ReplaceAll(out.Files[i].Text, "198.51.100.1/", "198.51.100.2/")
	}
	return out, err
}

// Diff implements api.Configurations.
func (c *Configurations) Diff(context.Context) (api.Diff, error) {
	return api.Diff{Differs: true,
		Text: "--- startup /etc/warren/blue.hcl\n+++ running /etc/warren/blue.hcl\n@@ -1 +1 @@\n" +
			"-interface \"outside\" { address = \"198.51.100.2/24\" }\n" +
			"+interface \"outside\" { address = \"198.51.100.1/24\" }\n"}, nil
}

// History implements api.Configurations.
func (c *Configurations) History(context.Context) (api.History, error) {
	return api.History{Versions: []api.Version{
		{Number: 1, Time: c.Now.Add(-48 * time.Hour), Author: "warrend", Origin: "start"},
		{Number: 2, Time: c.Now.Add(-time.Hour), Author: "root", Origin: "apply", Comment: "a pool for guests"},
		{Number: 3, Time: c.Now.Add(-time.Minute), Author: "eve\x1b[2J", UID: 1000, Origin: "rollback",
			Comment: "rollback to version 1",
			Running: true, ConfirmBefore: c.Now.Add(time.Minute)},
	}}, nil
}

// Reload implements api.Configurations.
func (c *Configurations) Reload(context.Context, api.Author, api.Leniency) (api.Reload, error) {
	return api.Reload{}, c.Refusal
}
