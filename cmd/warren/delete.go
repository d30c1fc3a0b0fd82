package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// mostDeleted is how many files one command deletes: those of a whole directory.
const mostDeleted = 10_000

// newDelete is `warren delete`.
func newDelete(e *env) *cobra.Command {
	var orphans, sure bool
	c := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete files or empty directories of a context, or disks of removed contexts",
		Long: "Delete files or empty directories of a context. In a failover pair the command waits up to\n" +
			"5 seconds for the standby unit to delete each, too, and warns when it has not.\n\n" +
			"With --orphans, erase for good the disks of contexts that were removed: those of the context\n" +
			"NAME, the one whose ID is NAME, or without NAME all. On a pair both units erase theirs. It asks\n" +
			"first, unless --yes is given.",
		Example: "  warren delete blue:disk0:/old.hcl\n  warren delete --orphans dora",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case orphans:
				return atMostOne(cmd, args)
			case sure:
				return errors.New("--yes is for --orphans: files are deleted without a question")
			}
			return storedNames(1, mostDeleted)(cmd, args)
		},
		ValidArgsFunction: e.completeFiles(mostDeleted, false),
		RunE: does(func(ctx context.Context, args []string) error {
			if orphans {
				return e.eraseOrphans(ctx, strings.Join(args, ""), sure)
			}
			for _, name := range args {
				done, err := e.client().DeleteFile(ctx, name)
				if err != nil {
					return err
				}
				fmt.Fprintf(e.stdout, "%s deleted\n", name)
				if done.Pending {
					fmt.Fprintf(e.stderr, "warning: the standby unit has not deleted it yet, and it would come back "+
						"if this unit were lost now\nhint: `warren dir` says so for as long as it holds\n")
				}
			}
			return nil
		}),
	}
	c.Flags().BoolVar(&orphans, "orphans", false, "erase disks of contexts that were removed")
	c.Flags().BoolVar(&sure, "yes", false, "with --orphans: do not ask")
	return c
}

// eraseOrphans erases disks of removed contexts, once somebody has said so.
func (e *env) eraseOrphans(ctx context.Context, name string, sure bool) error {
	if !sure {
		what := "all disks of contexts that were removed"
		if name != "" {
			what = fmt.Sprintf("what was on disk0: of the removed context %q", plain(name))
		}
		fmt.Fprintf(e.stderr, "erase %s for good, also on the other unit of a pair? (yes) ", what)
		answer, err := bufio.NewReader(e.stdin).ReadString('\n')
		if strings.TrimSpace(answer) != "yes" || err != nil && answer == "" {
			fmt.Fprintln(e.stderr)
			return errors.New("nothing was erased: the answer was not yes")
		}
	}
	done, err := e.client().EraseOrphans(ctx, api.EraseOrphans{Name: name})
	if err != nil {
		return err
	}
	for _, id := range done.Erased {
		fmt.Fprintf(e.stdout, "%s erased\n", plain(id))
	}
	for _, id := range done.Peer {
		fmt.Fprintf(e.stdout, "%s erased on the other unit\n", plain(id))
	}
	for _, w := range done.Warnings {
		fmt.Fprintf(e.stderr, "warren: %s\n", plain(w))
	}
	if len(done.Warnings) > 0 {
		return errSaid
	}
	return nil
}
