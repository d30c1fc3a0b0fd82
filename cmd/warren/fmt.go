package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/configs"
)

// newFmt is `warren fmt`.
func newFmt(e *env) *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "fmt [--check] FILE...",
		Short: "Put configuration files into canonical form",
		Long: "Put configuration files into canonical form, and print the names of those that changed.\n\n" +
			"With --check no file is touched, and the exit code is 1 if one is not in canonical form.",
		Example: "  warren fmt /etc/warren/*.hcl\n  warren fmt --check system.hcl",
		Args:    someFiles,
		RunE: does(func(_ context.Context, args []string) error {
			var failed bool
			for _, path := range args {
				changed, err := e.format(path, !check)
				if err != nil {
					e.complain(err)
					failed = true
					continue
				}
				if changed {
					fmt.Fprintln(e.stdout, path)
					failed = failed || check
				}
			}
			if failed {
				return errSaid
			}
			return nil
		}),
	}
	c.Flags().BoolVar(&check, "check", false, "only print the names of files that are not canonical")
	return c
}

// format formats one file, and reports whether that changes it.
func (e *env) format(path string, write bool) (bool, error) {
	path, err := filepath.EvalSymlinks(path) // replace the file, not a link to it
	if err != nil {
		return false, err
	}
	src, err := readBounded(path, configs.MaxFileSize)
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", path, err)
	}
	out, diags := configs.Format(path, src)
	if diags.HasErrors() {
		if err := diags.Write(e.stderr, 0, e.colour); err != nil {
			return false, err
		}
		return false, fmt.Errorf("%s is not changed: it is not HCL", path)
	}
	if bytes.Equal(src, out) || !write {
		return !bytes.Equal(src, out), nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	_, err = replaceFile(path, bytes.NewReader(out), info.Mode().Perm())
	return true, err
}
