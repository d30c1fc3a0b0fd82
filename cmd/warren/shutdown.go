package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// shutdownTimeout is how long warrend may take to end.
const shutdownTimeout = 30 * time.Second

// newShutdown is `warren shutdown`.
func newShutdown(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "shutdown",
		Short: "End warrend and all contexts",
		Long: "End warrend and all contexts: peers get a DELETE, devices are given back to the host.\n\n" +
			"Where systemd keeps descriptors for warrend, the end of warrend alone leaves all tunnels up,\n" +
			"for the next one to go on with; this command ends them, too.",
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			done, err := e.client().Shutdown(ctx)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
			defer cancel()
			if err := awaitEnd(ctx, done.PID); err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.stdout, "warrend has ended")
			return err
		}),
	}
}

// awaitEnd waits until a process has ended.
func awaitEnd(ctx context.Context, pid int) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := unix.Kill(pid, 0); errors.Is(err, unix.ESRCH) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("warrend (process %d) has not ended yet: %w", pid, ctx.Err())
		}
	}
}
