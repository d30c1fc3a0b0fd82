package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// newMore is `warren more`.
func newMore(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "more NAME",
		Short: "Print a file of a context",
		Long: "Print a file of a context. To a terminal, what the terminal would act upon is\n" +
			"printed as text; to a pipe or file, every byte is as it is.",
		Example:           "  warren more blue:disk0:/blue.hcl",
		Args:              storedNames(1, 1),
		ValidArgsFunction: e.completeFiles(1, false),
		RunE: does(func(ctx context.Context, args []string) error {
			r, _, err := e.client().ReadFile(ctx, args[0])
			if err != nil {
				return err
			}
			defer r.Close()
			if e.screen {
				err = show(e.stdout, r)
			} else {
				_, err = io.Copy(e.stdout, r)
			}
			if err != nil {
				return fmt.Errorf("printing %s: %w", args[0], err)
			}
			return nil
		}),
	}
}

// show prints text so that it is harmless for a terminal.
func show(w io.Writer, r io.Reader) error {
	in, out := bufio.NewReader(r), bufio.NewWriter(w)
	for {
		char, n, err := in.ReadRune()
		text := string(char)
		switch {
		case errors.Is(err, io.EOF):
			return out.Flush()
		case err != nil:
			return errors.Join(out.Flush(), err)
		case char == utf8.RuneError && n == 1: // no text: show the byte
			if err := in.UnreadRune(); err != nil {
				return err
			}
			c, err := in.ReadByte()
			if err != nil {
				return err
			}
			text = string([]byte{c})
		}
		if _, err := out.WriteString(plainLines(text)); err != nil {
			return err
		}
	}
}
