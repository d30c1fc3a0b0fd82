package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/password"
)

// TestPasswd: the file verifies the password, nobody else can read it, and none is replaced.
func TestPasswd(t *testing.T) {
	for _, tt := range []struct{ form, line, want string }{
		{"argon2id", "a password\r\n", "$argon2id$"},
		{"nt", "password", "$3$$8846f7eaee8fb117ad06bdd830b7586c"},
		{"nt", "\n", ""},
		{"md5", "password", ""},
		{"nt", strings.Repeat("x", maxPasswordLine+1), ""},
	} {
		path := filepath.Join(t.TempDir(), "alice.pw")
		run := func() error {
			e := &env{stdin: strings.NewReader(tt.line), stdout: &strings.Builder{}, stderr: &strings.Builder{}}
			c := newPasswd(e)
			c.SetArgs([]string{"--form", tt.form, path})
			c.SilenceErrors, c.SilenceUsage = true, true
			return c.Execute()
		}
		err := run()
		if (err == nil) != (tt.want != "") {
			t.Errorf("%s %.20q: %v", tt.form, tt.line, err)
		}
		if err != nil {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(b), tt.want) {
			t.Errorf("%s: %q, %v; want %s", tt.form, b, err, tt.want)
		}
		if s, err := os.Stat(path); err != nil || s.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", s, err)
		}
		h, err := password.Parse(string(b))
		if tt.form == "argon2id" && (err != nil || !h.Verify([]byte("a password"))) {
			t.Errorf("it does not verify the password: %v", err)
		}
		if run() == nil {
			t.Error("a file that there is was replaced")
		}
	}
}
