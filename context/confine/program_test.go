package confine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "closed", "program")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("#!"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Program(file); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("not executable for others: %v", err)
	}
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	path, release, err := Program(file)
	if err != nil || !strings.HasPrefix(path, "/proc/self/fd/") {
		t.Errorf("closed directory: %s, %v", path, err)
	} else if b, err := os.ReadFile(path); err != nil || string(b) != "#!" {
		t.Errorf("through the descriptor: %q, %v", b, err)
	}
	release()
	if _, _, err := Program(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a missing program is no error")
	}
}
