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

// newStatus is `warren status`.
func newStatus(e *env) *cobra.Command {
	var wait time.Duration
	var service bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Exit with 0 while every context is ready and as configured, and redundant",
		Long: "Exit with 0 while every context is ready and as configured and, on a pair, the other unit could\n" +
			"take over. What stands against that is named: the other unit is silent, a failover link has\n" +
			"failed, a standby is not ready.",
		Example: "  warren status\n  warren status --wait 30s\n  warren status --service",
		Args: func(cmd *cobra.Command, args []string) error {
			if wait < 0 {
				return fmt.Errorf("--wait %v is negative", wait)
			}
			return noArgs(cmd, args)
		},
		RunE: does(func(ctx context.Context, _ []string) error {
			st, err := e.await(ctx, wait)
			if err != nil {
				return err
			}
			gone := !service && len(st.Redundancy) > 0 || wait > 0 && st.Changing != ""
			err = e.print(st, func(w io.Writer) {
				suspended := ""
				if st.Suspended > 0 {
					suspended = fmt.Sprintf(", %d suspended", st.Suspended)
				}
				fmt.Fprintf(w, "%s: %d of %s ready%s, pid %d, up %s, version %s\n", plain(st.Name), st.ReadyContexts,
					count(st.Total, "context", "contexts"), suspended, st.PID, e.since(st.Started), plain(st.Version))
				if st.Orphans > 0 {
					fmt.Fprintf(w, "%s kept: `warren show orphans`\n",
						count(st.Orphans, "disk of a removed context is", "disks of removed contexts are"))
				}
				for _, why := range st.Redundancy {
					fmt.Fprintf(w, "without redundancy: %s\n", plain(why))
				}
				if st.Changing != "" {
					fmt.Fprintf(w, "a change is under way: %s\n", plain(st.Changing))
				}
			})
			switch {
			case err != nil:
				return err
			case gone && st.Ready:
				return errSaid
			case st.Ready:
				return nil
			}
			e.lament(append(st.Waiting, st.Problems...))
			if len(st.Waiting)+len(st.Problems) == 0 {
				return errors.New("warrend is not ready yet")
			}
			return errSaid
		}),
	}
	c.Flags().DurationVar(&wait, "wait", 0, "wait that long for every context to be ready, and changes to be made")
	c.Flags().BoolVar(&service, "service", false, "exit with 0, too, while the other unit could not take over")
	e.jsonFlag(c)
	return c
}

// await asks once, or until all is ready or the time is over.
func (e *env) await(ctx context.Context, wait time.Duration) (api.Status, error) {
	if wait == 0 {
		return e.client().Status(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return e.client().WaitReady(ctx)
}
