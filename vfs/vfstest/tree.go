package vfstest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// HostTree returns what operators see below a directory of the host, in the order of names,
// as in "d d/x=text y=": no index, and no copy that has not ended.
func HostTree(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir || strings.HasSuffix(p, ".index") ||
			strings.HasPrefix(e.Name(), ".~warren-part-") {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err == nil && e.Type().IsRegular() {
			var b []byte
			b, err = os.ReadFile(p)
			name += "=" + string(b)
		}
		out = append(out, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}
