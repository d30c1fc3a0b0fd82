package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The names that Wireshark looks for in a profile's directory.
const (
	ikeKeysFile = "ikev2_decryption_table"
	espKeysFile = "esp_sa"
)

// maxKeysFile bounds the files that export-keys adds to.
const maxKeysFile = 64 << 20

// newDebug is the group of commands for finding faults.
func newDebug(e *env) *cobra.Command {
	return group(&cobra.Command{Use: "debug", Short: "Commands for finding faults"}, newExportKeys(e))
}

// newExportKeys is `warren debug export-keys`.
func newExportKeys(e *env) *cobra.Command {
	var name, dir string
	c := &cobra.Command{
		Use:   "export-keys --context NAME [--dir DIR]",
		Short: "Write the keys of a context's SAs for Wireshark (root only)",
		Long: "Write the keys of a context's SAs in Wireshark's form: the files " + ikeKeysFile + "\n" +
			"and " + espKeysFile + ". Whoever reads them can read the traffic, so they have mode 0600.\n" +
			"Lines that the files have already stay, so that SAs which are gone can still be decrypted.",
		Example: "  warren debug export-keys --context blue --dir ~/.config/wireshark",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			keys, err := e.client().Keys(ctx, name)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return fmt.Errorf("making directory: %w", err)
			}
			dir, err := filepath.Abs(dir) // so that nobody has to guess where the keys are
			if err != nil {
				return fmt.Errorf("finding directory: %w", err)
			}
			for _, f := range []struct {
				name, noun string
				lines      []string
			}{
				{ikeKeysFile, "IKE SA", keys.IKE},
				{espKeysFile, "ESP SA", keys.ESP},
			} {
				path := filepath.Join(dir, f.name)
				if err := addLines(path, f.lines); err != nil {
					return err
				}
				fmt.Fprintf(e.stdout, "%s: %s\n", path, count(len(f.lines), f.noun, f.noun+"s"))
			}
			return nil
		}),
	}
	c.Flags().StringVar(&dir, "dir", ".", "the `directory` to write to")
	e.contextFlag(c, &name, "the `context`")
	mustRequire(c, "context")
	return c
}

// addLines adds those lines to a file that it has not, and replaces the file at
// once, readable by its owner only.
func addLines(path string, lines []string) error {
	had, err := readBounded(path, maxKeysFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	all := strings.FieldsFunc(string(had), func(r rune) bool { return r == '\n' })
	for _, l := range lines {
		if strings.ContainsAny(l, "\r\n") {
			return fmt.Errorf("a key of the worker holds a line break: refused")
		}
		if !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	var b bytes.Buffer
	for _, l := range all {
		b.WriteString(l + "\n")
	}
	_, err = replaceFile(path, &b, 0o600)
	return err
}
