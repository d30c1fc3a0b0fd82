package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/client"
	"github.com/warrenvpn/warren/system/fault"
)

// query is a command that asks warrend one question and prints the answer A: as text,
// or with --json as it is.
type query[A any] struct {
	use, short, long, example string

	context string // what --context does; "": there is no such flag
	named   bool   // the context may also be the argument NAME
	detail  string // what --detail shows; "": there is no such flag

	// ask asks about a context, or with "" about all.
	ask func(c *client.Client, ctx context.Context, name string) (A, error)
	// text prints an answer for people.
	text func(e *env, w io.Writer, a *A)
	// missing returns the contexts that could not be asked, and how many rows the
	// others gave; nil: no context is asked.
	missing func(a *A) ([]fault.ContextError, int)
}

// unnamed is an ask for what is not about contexts.
func unnamed[A any](ask func(*client.Client, context.Context) (A, error)) func(*client.Client, context.Context,
	string) (A, error) {
	return func(c *client.Client, ctx context.Context, _ string) (A, error) { return ask(c, ctx) }
}

// command returns the command.
func (q *query[A]) command(e *env) *cobra.Command {
	var name string
	c := &cobra.Command{Use: q.use, Short: q.short, Long: q.long, Example: q.example, Args: noArgs}
	if q.named {
		c.Args, c.ValidArgsFunction = atMostOne, e.completeContexts
	}
	c.RunE = does(func(ctx context.Context, args []string) error {
		if len(args) > 0 && name != "" {
			return fmt.Errorf("%q and --context %q: give one of them", args[0], name)
		}
		a, err := q.ask(e.client(), ctx, name+strings.Join(args, ""))
		if err != nil {
			return err
		}
		if err := e.print(a, func(w io.Writer) { q.text(e, w, &a) }); err != nil || q.missing == nil {
			return err
		}
		return e.silent(q.missing(&a))
	})
	if q.detail != "" {
		c.Flags().BoolVar(&e.detail, "detail", false, q.detail)
	}
	if q.context != "" {
		e.contextFlag(c, &name, q.context)
	}
	return c
}
