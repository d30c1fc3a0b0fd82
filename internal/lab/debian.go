package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// debianPlan is a line in which apt tells what it would install:
// "Inst libssl3 (3.0.15-1~deb12u1 Debian-Security:12/stable-security [amd64])".
var debianPlan = regexp.MustCompile(`(?m)^Inst (\S+) .*?\((\S+) .*\[(\w+)\]\)`)

// unpackDebian unpacks packages of this machine's release of Debian, and all that
// they depend on, below root. Nothing of them is run, here or there: neither their
// scripts nor a chroot. Archives are kept in cache.
func unpackDebian(root, cache string, packages []string) error {
	if err := os.MkdirAll(filepath.Join(cache, "partial"), 0o755); err != nil {
		return err
	}
	// As if nothing were installed.
	status := filepath.Join(cache, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return err
	}
	apt := func(mode string) ([]byte, error) {
		args := append([]string{mode, "-y", "--no-install-recommends", "-o", "Dir::State::status=" + status,
			"-o", "Dir::Cache::archives=" + cache, "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root",
			"-o", "quiet=2", "install"}, packages...)
		return output("apt-get", args...)
	}
	plan, err := apt("--simulate")
	if err != nil {
		return fmt.Errorf("%w\n(apt-get update brings the lists of packages up to date)", err)
	}
	chosen := debianPlan.FindAllSubmatch(plan, -1)
	if len(chosen) == 0 {
		return fmt.Errorf("apt-get would install nothing: %s", plan)
	}
	if _, err := apt("--download-only"); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} { // a merged /usr
		if err := errors.Join(os.MkdirAll(filepath.Join(root, "usr", dir), 0o755),
			os.Symlink("usr/"+dir, filepath.Join(root, dir))); err != nil {
			return err
		}
	}
	for _, c := range chosen {
		name, version, arch := string(c[1]), strings.ReplaceAll(string(c[2]), ":", "%3a"), string(c[3])
		if err := unpackArchive(filepath.Join(cache, name+"_"+version+"_"+arch+".deb"), root); err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
	}
	return nil
}

// unpackArchive unpacks one package below root, through the links that are there.
func unpackArchive(archive, root string) error {
	b, err := output("dpkg-deb", "--fsys-tarfile", archive)
	if err != nil {
		return err
	}
	tar := exec.Command("tar", "-x", "--keep-directory-symlink", "-C", root)
	tar.Stdin = bytes.NewReader(b)
	if out, err := tar.CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w: %s", err, out)
	}
	return nil
}

// output runs a program here and returns what it printed; the error carries what it
// complained of.
func output(name string, args ...string) ([]byte, error) {
	var errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &errs
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	b, err := cmd.Output()
	if err != nil {
		return b, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(errs.Bytes()))
	}
	return b, nil
}
