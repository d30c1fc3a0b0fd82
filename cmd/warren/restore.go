package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/sealed"
	"github.com/warrenvpn/warren/system/api"
)

// newRestore is `warren restore`.
func newRestore(e *env) *cobra.Command {
	var f confirmation
	var secret string
	var plan, sure, local bool
	c := &cobra.Command{
		Use:   "restore FILE [--passphrase-file FILE] [--plan]",
		Short: "Restore a backup: shown before, and wholly or not at all",
		Long: "Restore a backup. What would be done is shown, as `warren plan` does, and after a question it is\n" +
			"done: the configuration of the backup runs as a new version, its files are written to the volumes,\n" +
			"and the startup configuration says the same. Where any of it fails, all is as before. Files that\n" +
			"the backup does not have stay. `warren rollback` goes back to the version before; the files of\n" +
			"volumes stay as they were restored.\n\n" +
			"On a pair the active unit restores the configuration of both; disks follow.",
		Example:           "  warren restore monday.backup --passphrase-file backup.pass --plan",
		ValidArgsFunction: nil,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("it takes one backup")
			}
			return nil
		},
	}
	f.flags(c)
	e.jsonFlag(c)
	c.Flags().StringVar(&secret, "passphrase-file", "", "open it with the first line of `FILE`")
	c.Flags().BoolVar(&plan, "plan", false, "only show what would be done")
	c.Flags().BoolVar(&sure, "yes", false, "do not ask")
	c.Flags().BoolVar(&local, "local", false, "on this unit of a pair alone")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		seconds, err := f.seconds(cmd)
		if err != nil {
			return err
		}
		how := api.Restore{Confirm: seconds, Comment: f.comment, Local: local}
		return does(func(ctx context.Context, args []string) error {
			return e.restore(ctx, args[0], secret, how, plan, sure)
		})(cmd, args)
	}
	return c
}

// restore shows what a restore would do, and does it once somebody has said so.
func (e *env) restore(ctx context.Context, path, secret string, how api.Restore, plan, sure bool) error {
	passphrase, err := readPassphrase(secret)
	if err != nil {
		return err
	}
	ask := func(how api.Restore) (done api.Restored, err error) {
		f, r, err := openBackup(path, passphrase)
		if err != nil {
			return done, err
		}
		defer f.Close()
		return e.client().Restore(ctx, how, r)
	}
	planned := how
	planned.Plan = true
	p, err := ask(planned)
	if err != nil {
		return err
	}
	if plan || !e.json {
		e.warn(p.Warnings)
		if err := e.print(p, func(w io.Writer) { printRestored(w, p, "would be") }); err != nil {
			return err
		}
	}
	if err := e.silent(p.Problems, 0); err != nil || plan {
		return err
	}
	if !sure {
		fmt.Fprint(e.stderr, "restore it? (yes) ")
		answer, err := bufio.NewReader(e.stdin).ReadString('\n')
		if strings.TrimSpace(answer) != "yes" || err != nil && answer == "" {
			fmt.Fprintln(e.stderr)
			return errors.New("nothing was restored: the answer was not yes")
		}
	}
	how.Running = p.Version
	done, err := ask(how)
	if err != nil {
		return err
	}
	e.warn(done.Warnings)
	err = e.print(done, func(w io.Writer) {
		fmt.Fprintf(w, "restored: version %d runs\n", done.Version)
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

// printRestored prints what is, or would be, restored.
func printRestored(w io.Writer, r api.Restored, verb string) {
	fmt.Fprintf(w, "backup of %s, made %s\n", plain(r.System), moment(r.Made))
	printSteps(w, r.Steps, verb+" touched")
	for _, name := range r.Files {
		fmt.Fprintf(w, "write %s\n", plain(name))
	}
	fmt.Fprintf(w, "%s %s written\n", count(len(r.Files), "file", "files"), verb)
}

// openBackup opens a backup, sealed or not. The caller closes the file.
func openBackup(path string, passphrase []byte) (*os.File, io.Reader, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, nil, fmt.Errorf("reading the backup: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	b := bufio.NewReader(f)
	head, _ := b.Peek(len(sealed.Magic))
	switch isSealed := string(head) == sealed.Magic; {
	case isSealed && passphrase == nil:
		err = errors.New("it is encrypted: name the file with its passphrase with --passphrase-file")
	case !isSealed && passphrase != nil:
		err = errors.New("it is not encrypted, or is no backup: leave out --passphrase-file if that is as it should be")
	case !isSealed:
		return f, b, nil
	default:
		var r io.Reader
		if r, err = sealed.NewReader(b, passphrase); err == nil {
			return f, r, nil
		}
	}
	return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
}
