package figure

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os/exec"
)

// Code names what is checked out, apart from docs/, where tables of runs are. The tree
// must be clean: what is not committed is not in a clone.
func Code() (string, error) {
	dirty, err := exec.Command("git", "status", "--porcelain", "--", ".", ":!docs").Output()
	if err != nil {
		return "", fmt.Errorf("git status: %w", err)
	}
	if len(bytes.TrimSpace(dirty)) > 0 {
		return "", fmt.Errorf("the tree is not clean:\n%s", dirty)
	}
	files, err := exec.Command("git", "ls-files", "--stage", "--", ".", ":!docs").Output()
	if err != nil {
		return "", fmt.Errorf("git ls-files: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(files))[:12], nil
}
