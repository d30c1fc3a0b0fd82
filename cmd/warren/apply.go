package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// timeFlag is a flag that is a time with its unit.
type timeFlag time.Duration

// String implements pflag.Value. No time is no text, so that it is no default.
func (s *timeFlag) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

// Set implements pflag.Value.
func (s *timeFlag) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("it is a time with its unit, such as 60s or 5m")
	}
	*s = timeFlag(d)
	return nil
}

// Type implements pflag.Value.
func (s *timeFlag) Type() string { return "span" }

// confirmation is the flag --confirm with its checks.
type confirmation struct {
	span    time.Duration
	comment string
}

func (f *confirmation) flags(c *cobra.Command) {
	c.Flags().Var((*timeFlag)(&f.span), "confirm",
		"roll back after `span`, such as 60s, unless `warren confirm` comes first")
	c.Flags().StringVar(&f.comment, "comment", "", "one line of `text` for the history")
}

// seconds returns how long a confirmation may take; 0 without one.
func (f *confirmation) seconds(c *cobra.Command) (int, error) {
	if !c.Flags().Changed("confirm") {
		return 0, nil
	}
	if f.span < time.Second || f.span > 24*time.Hour || f.span%time.Second != 0 {
		return 0, fmt.Errorf("--confirm is 1s to 24h in whole seconds, not %v", f.span)
	}
	return int(f.span / time.Second), nil
}

// newApply is `warren apply`.
func newApply(e *env) *cobra.Command {
	var f confirmation
	var how api.Leniency
	c := &cobra.Command{
		Use:   "apply [FILE] [--confirm SPAN] [--comment TEXT]",
		Short: "Make the startup configuration the running one, wholly or not at all",
		Long: "Make the startup configuration, which is what the files say, the running one: wholly or,\n" +
			"where any part of it fails, not at all.\n\n" + pairText + "\n\n" +
			leniencyText + "\n\n" +
			"With FILE, which `warren plan --out` has written, just what that plan says is done. Where it does\n" +
			"not hold any more, nothing is, and what has changed since is said.\n\n" +
			"With --confirm all is rolled back unless `warren confirm` comes in time, also where warrend\n" +
			"was restarted in between.",
		Example: "  warren apply --confirm 60s --comment \"a pool for guests\" && warren confirm",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return errors.New("it takes one plan at most")
			case len(args) == 1 && (cmd.Flags().Changed("strict") || cmd.Flags().Changed("allow-stale")):
				return errors.New("--strict and --allow-stale were said when the plan was made")
			}
			return nil
		},
	}
	f.flags(c)
	e.jsonFlag(c)
	leniencyFlags(c, &how)
	localFlag(c, &how.Local)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		seconds, err := f.seconds(cmd)
		if err != nil {
			return err
		}
		return does(func(ctx context.Context, args []string) error {
			change := api.Apply{Confirm: seconds, Comment: f.comment, Leniency: how}
			if len(args) == 1 {
				if change.Basis, err = readPlan(args[0]); err != nil {
					return err
				}
			}
			done, err := e.client().Apply(ctx, change)
			if err != nil {
				return err
			}
			return e.applied(done)
		})(cmd, args)
	}
	return c
}

// applied prints what an apply or rollback has done.
func (e *env) applied(done api.Applied) error {
	if !e.json {
		e.warn(done.Warnings)
	}
	err := e.print(done, func(w io.Writer) {
		printSteps(w, done.Steps, "touched")
		fmt.Fprintf(w, "version %d runs\n", done.Version)
		if !done.ConfirmBefore.IsZero() {
			fmt.Fprintf(w, "it is rolled back at %s, unless `warren confirm` comes before\n",
				moment(done.ConfirmBefore))
		}
	})
	if err != nil {
		return err
	}
	return e.silent(done.Problems, 0)
}
