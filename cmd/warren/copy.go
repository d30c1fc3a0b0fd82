package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// newCopy is `warren copy`.
func newCopy(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy a file to, from or between contexts",
		Long: "Copy a file. At least one of the two names is that of a context's file, such as\n" +
			"blue:disk0:/certs/ca.pem, or of shared storage as the system sees it, such as\n" +
			"images:/client.pkg; the other may be a local file. Where TO ends in a slash, the file\n" +
			"keeps its name. Directories that are missing are made.\n\n" +
			"Whatever happens, the file at TO is what it was, or all of the new one. In a failover\n" +
			"pair the command waits up to 5 seconds for the standby unit to have the file, too, and\n" +
			"warns when it has not.",
		Example: "  warren copy ca.pem blue:disk0:/certs/\n" +
			"  warren copy images:/client.pkg blue:disk0:/client.pkg\n" +
			"  warren copy blue:disk0:/blue.hcl .",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) != 2:
				return fmt.Errorf("it takes two names, FROM and TO, and got %d", len(args))
			case !isStored(args[0]) && !isStored(args[1]):
				return errors.New("both files are local: cp copies those, and names of a context's files look like " +
					"blue:disk0:/x")
			}
			return nil
		},
		ValidArgsFunction: e.completeFiles(2, true),
		RunE: does(func(ctx context.Context, args []string) error {
			from, to := args[0], args[1]
			p := e.progress()
			info, err := e.copy(ctx, from, to, p)
			p.end()
			if err != nil {
				return localHint(err, from)
			}
			if _, err = fmt.Fprintf(e.stdout, "%s copied to %s\n", count(int(info.Size), "byte", "bytes"),
				plain(info.Name)); err == nil && info.Pending {
				_, err = fmt.Fprintf(e.stderr,
					"warning: it is not yet on the standby unit, and would be lost with this one\n"+
						"hint: `warren dir` says so for as long as it holds\n")
			}
			return err
		}),
	}
}

// localHint adds to an error about a name of warrend's that there is a local file
// of that name.
func localHint(err error, name string) error {
	var refused *fault.Error
	if !isStored(name) || !errors.As(err, &refused) {
		return err
	}
	if _, statErr := os.Stat(name); statErr != nil {
		return err
	}
	out := *refused
	out.Hint = "for the local file of that name write ./" + name
	return &out
}

func (e *env) copy(ctx context.Context, from, to string, p *progress) (api.FileInfo, error) {
	switch {
	case !isStored(from):
		return e.upload(ctx, from, intoDirectory(to, from), p)
	case !isStored(to):
		return e.download(ctx, from, to, p)
	}
	return e.client().CopyFile(ctx, api.Copy{From: from, To: intoDirectory(to, from)}, p.at)
}

// upload copies a local file.
func (e *env) upload(ctx context.Context, from, to string, p *progress) (api.FileInfo, error) {
	f, err := os.OpenFile(from, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return api.FileInfo{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return api.FileInfo{}, err
	}
	if !info.Mode().IsRegular() {
		return api.FileInfo{}, fmt.Errorf("%s is not a regular file", from)
	}
	sum := sha256.New()
	r := &followed{Reader: io.TeeReader(f, sum), total: info.Size(), tell: p.at}
	done, err := e.client().WriteFile(ctx, to, info.Size(), r)
	if err != nil {
		return api.FileInfo{}, err
	}
	if want := hex.EncodeToString(sum.Sum(nil)); done.SHA256 != want {
		return api.FileInfo{}, fmt.Errorf("%s is damaged: its SHA-256 is %s, and that of %s %s", to,
			done.SHA256, from, want)
	}
	return done, nil
}

// download copies to a local file, which is readable by its owner only unless it
// was there before: what a context has may be secret.
func (e *env) download(ctx context.Context, from, to string, p *progress) (api.FileInfo, error) {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, filepath.Base(from))
	}
	if info, err := os.Stat(to); err == nil {
		if !info.Mode().IsRegular() {
			return api.FileInfo{}, fmt.Errorf("%s is not a regular file", to)
		}
		mode = info.Mode().Perm()
		if to, err = filepath.EvalSymlinks(to); err != nil { // replace the file, not a link to it
			return api.FileInfo{}, err
		}
	}
	r, size, err := e.client().ReadFile(ctx, from)
	if err != nil {
		return api.FileInfo{}, err
	}
	defer r.Close()
	n, err := replaceFile(to, &followed{Reader: r, total: size, tell: p.at}, mode)
	return api.FileInfo{Name: to, Size: n}, err
}
