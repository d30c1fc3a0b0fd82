package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/sealed"
)

// maxPassphrase is the longest file with a passphrase in bytes.
const maxPassphrase = 4 << 10

// newBackup is `warren backup`.
func newBackup(e *env) *cobra.Command {
	var out, secret string
	c := &cobra.Command{
		Use:   "backup --out FILE [--passphrase-file FILE]",
		Short: "Write a backup of the configuration and of all files",
		Long: "Write a backup of what runs: the configuration with its secrets, the versions before it, disk0: of\n" +
			"every context, and shared storage. SAs are not in it.\n\n" +
			"The file is its owner's alone (mode 0600). With --passphrase-file it is encrypted with what the\n" +
			"first line of that file says, and then it may leave the machine: keep the two apart. Without, it\n" +
			"is a tar archive, and whoever reads it has the keys of all tenants.",
		Example: "  warren backup --out monday.backup --passphrase-file backup.pass",
		Args: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return errors.New("--out is missing: where is it to be written?")
			}
			return noArgs(cmd, args)
		},
		RunE: does(func(ctx context.Context, _ []string) error {
			passphrase, err := readPassphrase(secret)
			if err != nil {
				return err
			}
			n, err := writeFile(out, 0o600, func(w io.Writer) error { return e.fill(ctx, w, passphrase) })
			if err == nil {
				fmt.Fprintf(e.stdout, "%s written, %s\n", out, count(int(n), "byte", "bytes"))
			}
			return err
		}),
	}
	c.Flags().StringVar(&out, "out", "", "write the backup to `FILE`")
	c.Flags().StringVar(&secret, "passphrase-file", "", "encrypt it with the first line of `FILE`")
	return c
}

// fill writes a backup, sealed where there is a passphrase.
func (e *env) fill(ctx context.Context, w io.Writer, passphrase []byte) error {
	body, err := e.client().Backup(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	done := func() error { return nil }
	if passphrase != nil {
		s, err := sealed.NewWriter(w, passphrase)
		if err != nil {
			return err
		}
		w, done = s, s.Close
	}
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("the backup was cut off: %w", err)
	}
	return done()
}

// readPassphrase reads the first line of a file; "" is no file, and nil no passphrase.
func readPassphrase(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = ownersAlone(info)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassphrase))
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) < sealed.MinPassphrase {
		return nil, fmt.Errorf("%s: %w", path, sealed.ErrPassphrase)
	}
	return line, nil
}
