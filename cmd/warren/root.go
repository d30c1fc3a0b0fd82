package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/system/client"
	"github.com/warrenvpn/warren/system/fault"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	// exitChanges is that of `plan --detailed-exitcode` where there is something to do.
	exitChanges = 2
)

// env is the world of one run, so that tests can make another.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	colour         bool // on stderr, for diagnostics
	watched        bool // stderr is a terminal
	screen         bool // stdout is a terminal

	socket string // --socket
	peer   bool   // ask the other node of the pair
	json   bool   // --json, where a command has it
	detail bool   // --detail, where a command has it
}

// failure marks an error of a command that was used correctly. Every other
// error of cobra's is about usage.
type failure struct{ error }

// Unwrap lets errors.As look inside.
func (f failure) Unwrap() error { return f.error }

// errSaid ends a command whose reason is already on stderr.
var errSaid = errors.New("said already")

// errChanges ends a command that has found something to do.
var errChanges = errors.New("there are changes")

// run is the whole program: it returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if n := negative(args); n != "" && strings.Contains(err.Error(), "unknown shorthand flag") {
		err = fmt.Errorf("%q is no number that it takes: it begins like a flag", n)
	}
	if errors.Is(err, errChanges) {
		return exitChanges
	}
	var f failure
	if !errors.As(err, &f) {
		fmt.Fprintf(e.stderr, "%s: %v\nhint: `%s --help` explains\n", cmd.CommandPath(), err, cmd.CommandPath())
		return exitUsage
	}
	if !errors.Is(err, errSaid) {
		e.complain(f.error)
	}
	return exitFailed
}

// negative returns the first argument that is a negative number, "" for none.
func negative(args []string) string {
	for _, a := range args {
		if n, err := strconv.Atoi(a); err == nil && n < 0 {
			return a
		}
	}
	return ""
}

// complain writes an error and its remedy to stderr.
func (e *env) complain(err error) {
	var refused *fault.Error
	if !errors.As(err, &refused) {
		fmt.Fprintf(e.stderr, "warren: %v\n", err)
		return
	}
	fmt.Fprintf(e.stderr, "warren: %s\n", plainLines(refused.Reason))
	if refused.Detail != "" {
		fmt.Fprintf(e.stderr, "%s\n", strings.TrimRight(plainLines(refused.Detail), "\n"))
	}
	if refused.Hint != "" {
		fmt.Fprintf(e.stderr, "hint: %s\n", plainLines(refused.Hint))
	}
}

// newRoot builds the tree of commands.
func newRoot(e *env) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "warren",
		Short: "Ask and steer a running warrend",
		Long: "warren asks and steers a running warrend, and checks and formats its configuration.\n\n" +
			"Exit codes: 0 done, 1 refused or failed (the reason is on standard error), 2 wrong usage.",
		Version:       build.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	},
		newValidate(e), newFmt(e), newPKI(e), newPasswd(e),
		newStatus(e), newShow(e), newEvents(e), newLogoff(e),
		newRekey(e), newTerminate(e), newRestart(e), newFailover(e), newCapture(e),
		newPlan(e), newApply(e), newConfirm(e), newRollback(e), newDiff(e), newWrite(e), newReload(e),
		newBackup(e), newRestore(e),
		newDir(e), newCopy(e), newMore(e), newDelete(e), newVerify(e),
		newShutdown(e), newDebug(e), newVersion(e),
	)
	root.PersistentFlags().StringVar(&e.socket, "socket", "",
		"warrend's unix `path`; else $WARREN_SOCKET, else "+client.DefaultSocket)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			group(c) // a shell that it does not know is wrong usage
		}
	}
	return root
}

// group makes c a command that only has subcommands: used alone, or with one
// that is not there, it is wrong usage.
func group(c *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	c.AddCommand(subcommands...)
	c.Args = cobra.ArbitraryArgs
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		if len(args) == 0 {
			return fmt.Errorf("a command is missing: one of %s", strings.Join(names, ", "))
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return fmt.Errorf("unknown command %q: did you mean %q?", args[0], near[0])
		}
		return fmt.Errorf("unknown command %q: it is one of %s", args[0], strings.Join(names, ", "))
	}
	return c
}

// noArgs, oneFile, someFiles and atMostOne say what arguments a command takes.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("it takes no argument: what is %q?", args[0])
	}
	return nil
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("it takes one file, and got %d", len(args))
	}
	return nil
}

func someFiles(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("which files?")
	}
	return nil
}

func atMostOne(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("it takes one name at most: what is %q?", args[1])
	}
	return nil
}

// does turns what a command does into cobra's RunE.
func does(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd.Context(), args); err != nil {
			return failure{err}
		}
		return nil
	}
}

// client returns a client of the chosen socket.
func (e *env) client() *client.Client {
	socket := e.socket
	if socket == "" {
		socket = e.getenv("WARREN_SOCKET")
	}
	return client.New(&client.Config{Socket: socket, Peer: e.peer})
}

// completionTimeout bounds how long a shell waits for names to complete.
const completionTimeout = time.Second

// completeContexts offers the names of contexts to the shell.
func (e *env) completeContexts(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	var names []string
	if list, err := e.client().Contexts(ctx, ""); err == nil {
		for _, c := range list.Contexts {
			names = append(names, c.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// contextFlag gives c the flag --context.
func (e *env) contextFlag(c *cobra.Command, into *string, usage string) {
	c.Flags().StringVar(into, "context", "", usage)
	err := c.RegisterFlagCompletionFunc("context", func(cmd *cobra.Command, _ []string, part string) ([]string,
		cobra.ShellCompDirective) {
		return e.completeContexts(cmd, nil, part)
	})
	if err != nil {
		panic("warren: internal error: " + err.Error())
	}
}
