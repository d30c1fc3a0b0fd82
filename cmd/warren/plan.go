package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newPlan is `warren plan`.
func newPlan(e *env) *cobra.Command {
	var how api.Leniency
	var out string
	var detailed bool
	c := &cobra.Command{
		Use:   "plan [--out FILE] [--detailed-exitcode]",
		Short: "Say what applying the startup configuration would do",
		Long: "Say what applying the startup configuration would do, per context, and change nothing.\n\n" +
			"The exit code is 1 where the configuration has errors, or something stands against a step.\n" +
			leniencyText + "\n\n" +
			"With --out the plan is written to a file, for `warren apply FILE`: that does just what was shown,\n" +
			"or refuses where a file, a secret or what runs is not as it was. It holds no secrets.\n\n" +
			"With --detailed-exitcode the exit code is 0 where nothing would be done, 2 where something would\n" +
			"be, and 1 where anything is wrong.",
		Example: "  warren plan --out monday.plan && warren apply monday.plan",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			ask := e.client().Plan
			if out != "" {
				ask = e.client().PlanWithBasis
			}
			p, err := ask(ctx, how)
			if err != nil {
				return err
			}
			basis := p.Basis
			p.Basis = nil
			if !e.json {
				e.warn(p.Warnings)
			}
			if err := e.print(p, func(w io.Writer) { printSteps(w, p.Steps, "would be touched") }); err != nil {
				return err
			}
			if out != "" {
				if err := writePlan(out, basis, e.now()); err != nil {
					return err
				}
			}
			if err := e.silent(p.Problems, 0); err != nil || !detailed || len(p.Steps) == 0 {
				return err
			}
			return errChanges
		}),
	}
	c.Flags().StringVar(&out, "out", "", "write the plan to `FILE`, which only its owner may read")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 where there is something to do")
	e.jsonFlag(c)
	leniencyFlags(c, &how)
	return c
}

// leniencyText is what a command says of its leniency.
const leniencyText = "A context with a mistake in its own configuration, or whose server has nothing usable, " +
	"goes on as\n" +
	"it runs, or is left out where it is new; it is named, and the exit code is 1. A mistake in the\n" +
	"system file changes nothing."

// leniencyFlags gives c the flags of a Leniency.
func leniencyFlags(c *cobra.Command, how *api.Leniency) {
	c.Flags().BoolVar(&how.Strict, "strict", false, "change nothing where any context has a mistake")
	c.Flags().BoolVar(&how.AllowStale, "allow-stale", false,
		"take the last good copy where what a server has cannot be used")
}

// pairText is what a command that changes the configuration says of pairs.
const pairText = "On a pair it is run on the active unit, and reaches both: what either cannot run changes\n" +
	"neither. What is a unit's own, such as its devices and failover links, is changed on that unit."

// localFlag gives c the flag --local.
func localFlag(c *cobra.Command, local *bool) {
	c.Flags().BoolVar(local, "local", false,
		"change this unit of a pair alone: contexts that differ have no redundancy")
}

// jsonFlag gives c the flag --json.
func (e *env) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&e.json, "json", false, "print JSON for scripts")
}

// warn writes a configuration's warnings to stderr.
func (e *env) warn(list []string) {
	for _, text := range list {
		fmt.Fprintf(e.stderr, "%s\n", plainLines(text))
	}
}

// effects says what a step does to SAs.
var effects = map[api.Effect]string{
	api.EffectNone:    "",
	api.EffectStay:    "; its SAs stay",
	api.EffectSomeEnd: "; SAs that this concerns end or are rekeyed",
	api.EffectEnd:     "; its SAs end",
}

// printSteps prints what is, or would be, done to contexts.
func printSteps(w io.Writer, steps []api.Step, verb string) {
	for _, s := range steps {
		fmt.Fprintf(w, "%s context %q: %s%s\n", plain(string(s.Action)), plain(s.Context), plain(s.Why), effects[s.SAs])
		file := ""
		for _, c := range s.Changes {
			if c.File != file {
				file = c.File
				fmt.Fprintf(w, "  %s\n", plain(file))
			}
			fmt.Fprintf(w, "    %s\n", plain(changeLine(c)))
		}
	}
	if len(steps) == 0 {
		fmt.Fprintln(w, "nothing has changed")
		return
	}
	fmt.Fprintf(w, "%s %s\n", count(len(steps), "context", "contexts"), verb)
}

// changeLine is one change as a line.
func changeLine(c api.ConfigChange) string {
	what := strings.TrimSpace(c.Block + " " + c.Attribute)
	switch {
	case what == "":
		return "has " + c.Change
	case c.Change != "changed" && c.Attribute == "":
		return what + ": " + c.Change
	case c.Change == "added":
		return what + ": added, " + c.New
	case c.Change == "removed":
		return what + ": removed, was " + c.Old
	case c.Old == c.New:
		return what + ": another secret"
	}
	return what + ": " + c.Old + " -> " + c.New
}
