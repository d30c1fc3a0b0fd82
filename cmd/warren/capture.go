package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pcapng"
)

// captureSize is how much of a capture is moved at once.
const captureSize = 64 << 10

// newCapture is `warren capture`.
func newCapture(e *env) *cobra.Command {
	var (
		name, file string
		which      control.Capture
	)
	c := &cobra.Command{
		Use:   "capture --context NAME --interface INTERFACE [--count N] [--duration TIME] [--write FILE]",
		Short: "Capture packets of a context as pcapng (root only)",
		Long: "Capture packets of a context as pcapng, for Wireshark and tcpdump. The interface is one of\n" +
			"the context's, by its name there, or \"decrypted\": inner packets as the SAs carry them, each\n" +
			"with its SPI as a comment. Packets are written as they come; those for which the reader is\n" +
			"too slow are dropped and counted, and traffic is not held up. The capture ends when a bound is\n" +
			"reached, when the context ends, or with an interrupt.",
		Example: "  warren capture --context blue --interface outside --write outside.pcapng\n" +
			"  warren capture --context blue --interface decrypted --count 100 | tshark -r -",
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			return e.capture(ctx, name, which, file)
		}),
	}
	c.Flags().StringVar(&which.Interface, "interface", "", "an `interface` of the context, or decrypted")
	c.Flags().Uint64Var(&which.Count, "count", 0, "end after so many `packets`")
	c.Flags().DurationVar(&which.Duration, "duration", 0, "end after this `time`, such as 30s")
	c.Flags().StringVarP(&file, "write", "w", "-", "the `file` to write to; - is standard output")
	e.contextFlag(c, &name, "the `context`")
	mustRequire(c, "context")
	mustRequire(c, "interface")
	err := c.RegisterFlagCompletionFunc("interface", func(cmd *cobra.Command, _ []string, _ string) ([]string,
		cobra.ShellCompDirective) {
		return e.completeInterfaces(cmd.Context(), name), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic("warren: internal error: " + err.Error())
	}
	return c
}

// completeInterfaces offers what can be captured.
func (e *env) completeInterfaces(ctx context.Context, name string) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	names := []string{control.CaptureDecrypted}
	if list, err := e.client().Contexts(ctx, name); err == nil && name != "" {
		for _, c := range list.Contexts {
			for _, i := range c.Interfaces {
				names = append(names, i.Name)
			}
		}
	}
	return names
}

// capture writes a capture to a file or standard output and tells what it holds.
func (e *env) capture(ctx context.Context, name string, which control.Capture, file string) error {
	if f, ok := e.stdout.(*os.File); ok && file == "-" && isTerminal(f) {
		return errors.New("standard output is a terminal, and a capture is binary: use --write FILE, or a pipe")
	}
	body, err := e.client().Capture(ctx, name, which)
	if err != nil {
		return err
	}
	defer body.Close()
	out, done := e.stdout, func() error { return nil }
	if file != "-" {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("writing the capture: %w", err)
		}
		out, done = f, f.Close
	}
	var held pcapng.Counter
	err = errors.Join(passOn(ctx, out, body, &held), done())
	lost := ""
	if held.Ended {
		lost = fmt.Sprintf(", %d dropped", held.Dropped)
	}
	fmt.Fprintf(e.stderr, "%s captured%s\n", count(int(held.Packets), "packet", "packets"), lost)
	if err == nil && !held.Ended && ctx.Err() == nil {
		return errors.New("the capture was cut off: the context's worker has ended, or warrend is stopping")
	}
	return err
}

// passOn copies a capture until it ends, or ctx does.
func passOn(ctx context.Context, out io.Writer, in io.Reader, count *pcapng.Counter) error {
	for b := make([]byte, captureSize); ; {
		n, err := in.Read(b)
		if _, bad := count.Write(b[:n]); bad != nil {
			return fmt.Errorf("reading the capture: %w", bad)
		}
		if _, bad := out.Write(b[:n]); bad != nil {
			return fmt.Errorf("writing the capture: %w", bad)
		}
		switch {
		case errors.Is(err, io.EOF) || err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("reading the capture: %w", err)
		}
	}
}
