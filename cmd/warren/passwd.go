package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/ike/eap"
	"github.com/warrenvpn/warren/internal/password"
	"github.com/warrenvpn/warren/internal/secret"
)

// maxPasswordLine bounds a password that is read, in bytes; a configuration takes 256
// characters.
const maxPasswordLine = 1024

// newPasswd is `warren passwd`.
func newPasswd(e *env) *cobra.Command {
	var form string
	c := &cobra.Command{
		Use:   "passwd [--form argon2id|nt] FILE",
		Short: "Write what a user's password is verified with into a file",
		Long: "Read a password, one line of the standard input, and write what a user's password = { file = ... }\n" +
			"needs to verify it into a new file, which its owner alone can read: an Argon2id hash, good for\n" +
			"methods that bring the password (EAP-GTC), or with --form nt an NT hash, good for EAP-MSCHAPv2,\n" +
			"too, and for whoever reads it as good as the password.",
		Example: "  warren passwd --form nt /etc/warren/alice.pw",
		Args:    someFiles,
		RunE: does(func(_ context.Context, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%d files: there is one for each password", len(args))
			}
			line, err := readPasswordLine(e.stdin)
			if err != nil {
				return err
			}
			text, err := hashed(line, form)
			clear(line)
			if err != nil {
				return err
			}
			defer text.Clear()
			return writeNew(args[0], text.Reveal(), 0o600)
		}),
	}
	c.Flags().StringVar(&form, "form", "argon2id", "the `form`: argon2id or nt")
	return c
}

// readPasswordLine reads one line, without its end.
func readPasswordLine(r io.Reader) ([]byte, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(r, maxPasswordLine+1), maxPasswordLine+1).ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) || len(line) > maxPasswordLine {
		return nil, fmt.Errorf("reading the password: it has one line of at most %d bytes", maxPasswordLine)
	}
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	if len(line) == 0 {
		return nil, errors.New("the password is empty: write it into the standard input, as one line")
	}
	return line, nil
}

// hashed returns what a password is verified with.
func hashed(line []byte, form string) (secret.Value, error) {
	switch form {
	case "argon2id":
		h, err := password.New(line, rand.Reader)
		if err != nil {
			return secret.Value{}, err
		}
		return h.Text(), nil
	case "nt":
		return secret.New([]byte("$3$$" + hex.EncodeToString(eap.NTHash(string(line)).Reveal()))), nil
	}
	return secret.Value{}, fmt.Errorf("--form %q: it is argon2id or nt", form)
}
