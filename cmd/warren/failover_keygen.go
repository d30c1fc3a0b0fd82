package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

// failoverKeySize is the length of a failover key in bytes.
const failoverKeySize = 32

// newFailoverKeygen is `warren failover keygen`.
func newFailoverKeygen(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "keygen FILE",
		Short: "Write a new failover key",
		Long: "Write a new failover key, 32 bytes chosen by chance, into a file that only its owner can read.\n" +
			"A file that is there already is left alone.\n\n" +
			"Both nodes of a pair need the same key: copy the file, and name it in\n" +
			"failover { key = { file = \"failover.key\" } }.",
		Example: "  warren failover keygen /etc/warren/failover.key",
		Args:    oneFile,
		RunE: does(func(_ context.Context, args []string) error {
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already, and is not changed: without its key the nodes of a pair do "+
					"not find each other", args[0])
			}
			if err != nil {
				return fmt.Errorf("writing %s: %w", args[0], bare(err))
			}
			key := make([]byte, failoverKeySize)
			rand.Read(key) // never fails
			_, err = fmt.Fprintf(f, "hex:%s\n", hex.EncodeToString(key))
			clear(key)
			if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
				return fmt.Errorf("writing %s: %w", args[0], err)
			}
			return nil
		}),
	}
}
