package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// newVerify is `warren verify`.
func newVerify(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "verify NAME [SHA256]",
		Short: "Read a whole file of a context and print its checksum",
		Long: "Read a whole file of a context and print its SHA-256. With the checksum that it\n" +
			"should have, the exit code is 1 if it has another.",
		Example: "  warren verify blue:disk0:/ca.pem\n  warren verify images:/client.pkg $(sha256sum < client.pkg | " +
			"cut -c 1-64)",
		Args: func(cmd *cobra.Command, args []string) error {
			names := args
			if len(args) == 2 {
				if sum, err := hex.DecodeString(args[1]); err != nil || len(sum) != sha256.Size {
					return fmt.Errorf("%q is no SHA-256: that has 64 hexadecimal digits", args[1])
				}
				names = args[:1]
			}
			return storedNames(1, 1)(cmd, names)
		},
		ValidArgsFunction: e.completeFiles(1, false),
		RunE: does(func(ctx context.Context, args []string) error {
			f, err := e.client().VerifyFile(ctx, args[0])
			if err != nil {
				return err
			}
			if err := e.print(f, func(w io.Writer) {
				fmt.Fprintf(w, "SHA-256 (%s) = %s\n", plain(f.Name), f.SHA256)
			}); err != nil {
				return err
			}
			if len(args) == 2 && !strings.EqualFold(args[1], f.SHA256) {
				return fmt.Errorf("%s is not what was expected: its SHA-256 should be %s", f.Name,
					strings.ToLower(args[1]))
			}
			return nil
		}),
	}
	e.jsonFlag(c)
	return c
}
