package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
)

// memory is Volumes in memory.
type memory struct {
	files   map[string]string
	follows string
	full    string // a name that cannot be written
}

func (m *memory) Open(name string) (io.ReadCloser, error) {
	text, ok := m.files[name]
	if !ok {
		return nil, &fault.Error{Code: fault.CodeNoFile, Reason: "no such file"}
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (m *memory) Write(_ context.Context, name string, size int64, r io.Reader) error {
	b, err := io.ReadAll(r)
	switch {
	case err != nil:
		return err
	case name == m.full:
		return errors.New("the disk is full")
	case int64(len(b)) != size:
		return fmt.Errorf("%d bytes, and %d were announced", len(b), size)
	}
	m.files[name] = string(b)
	return nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	if _, ok := m.files[name]; !ok {
		return &fault.Error{Code: fault.CodeNoFile, Reason: "no such file"}
	}
	delete(m.files, name)
	return nil
}

func (m *memory) Follows(context string) bool { return context != "" && context == m.follows }

func file(name, text string) File {
	return File{Name: name, Size: int64(len(text)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

// archive is a backup with two files.
func archive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	err := Write(t.Context(), &b, Manifest{Made: time.Unix(1e9, 0).UTC(), System: "warren", Path: "/etc/system.hcl",
		Running: 7}, []byte(`{"Path":"/etc/system.hcl","List":null}`), []File{file("000007.version", "x")},
		[]File{file("blue:disk0:/certs/ca.pem", "a certificate"), file("images:/client.pkg", "")})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBackup: what was backed up is restored, and nothing is left of the archive.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	s, err := Read(bytes.NewReader(archive(t)), dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Manifest.Running != 7 || s.Manifest.System != "warren" || s.Running.Path != "/etc/system.hcl" ||
		len(s.Files) != 2 {
		t.Errorf("got %+v", s)
	}
	m := &memory{files: map[string]string{"blue:disk0:/other": "stays", "images:/client.pkg": ""}}
	names, err := s.Differing(t.Context(), m)
	if err != nil || len(names) != 1 || names[0] != "blue:disk0:/certs/ca.pem" {
		t.Errorf("differing are %v, %v", names, err)
	}
	if _, err := s.Write(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"blue:disk0:/other": "stays", "images:/client.pkg": "",
		"blue:disk0:/certs/ca.pem": "a certificate"}
	if !maps.Equal(m.files, want) {
		t.Errorf("got %v", m.files)
	}
	if names, err := s.Differing(t.Context(), m); err != nil || len(names) > 0 {
		t.Errorf("afterwards %v, %v", names, err)
	}
	m.follows = "blue"
	delete(m.files, "blue:disk0:/certs/ca.pem")
	if names, err := s.Write(t.Context(), m); err != nil || len(names) > 0 || len(s.Followed(m)) != 1 {
		t.Errorf("a standby disk: %v, %v", names, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestRestoreIsUndone: where one file cannot be written, all are as before.
func TestRestoreIsUndone(t *testing.T) {
	s, err := Read(bytes.NewReader(archive(t)), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, before := range []map[string]string{
		{"blue:disk0:/certs/ca.pem": "the old one", "images:/client.pkg": "old"}, {},
	} {
		m := &memory{files: maps.Clone(before), full: "images:/client.pkg"}
		if _, err := s.Write(t.Context(), m); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("got %v", err)
		}
		if !maps.Equal(m.files, before) {
			t.Errorf("got %v, want %v", m.files, before)
		}
		m.full = ""
		s.reset(t)
	}
}

// reset forgets what was kept, as a later restore of its own staging would.
func (s *Staged) reset(t *testing.T) {
	t.Helper()
	kept, err := filepath.Glob(filepath.Join(s.dir, "before-*"))
	for _, k := range kept {
		err = errors.Join(err, os.Remove(k))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestHostileArchives: what is no backup is refused, and leaves nothing anywhere.
func TestHostileArchives(t *testing.T) {
	manifest := `{"format":"warren backup","version":1}`
	head := []*tar.Header{{Name: manifestName, Typeflag: tar.TypeReg, Size: int64(len(manifest))},
		{Name: runningName, Typeflag: tar.TypeReg, Size: 2}}
	build := func(more ...*tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i, h := range append(head[:len(head):len(head)], more...) {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			text := []string{manifest, "{}"}
			if i < len(text) {
				io.WriteString(w, text[i])
			} else {
				w.Write(make([]byte, h.Size))
			}
		}
		w.Close()
		return b.Bytes()
	}
	reg := func(name string) *tar.Header { return &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1} }
	end := &tar.Header{Name: endName, Typeflag: tar.TypeReg}
	good := archive(t)
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte(strings.Repeat("no backup", 1000)), "a part": good[:len(good)/2],
		"without its end": build(reg("files/blue:disk0:/x")),
		"dots":            build(reg("files/blue:disk0:/../../x"), end), "no volume": build(reg("files/x"), end),
		"absolute":    build(reg("/etc/passwd"), end),
		"a volume":    build(reg("files/blue:disk0:"), end),
		"another one": build(reg("files/blue:images:/x"), end),
		"twice":       build(reg("files/blue:disk0:/x"), reg("files/blue:disk0:/x"), end),
		"unclean":     build(reg("files/blue:disk0://x"), end),
		"a link": build(&tar.Header{Name: "files/blue:disk0:/x", Typeflag: tar.TypeSymlink,
			Linkname: "/etc/passwd"}, end),
		"a device":    build(&tar.Header{Name: "files/blue:disk0:/x", Typeflag: tar.TypeBlock}, end),
		"a directory": build(&tar.Header{Name: "files/blue:disk0:/x/", Typeflag: tar.TypeDir}, end),
		"later":       bytes.Replace(build(end), []byte(`"version":1`), []byte(`"version":9`), 1),
	} {
		dir := t.TempDir()
		s, err := Read(bytes.NewReader(b), dir)
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.CodeInvalid || e.Hint == "" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
}

// TestDamagedArchives: a bit that is another one, anywhere in what entries have, is found.
func TestDamagedArchives(t *testing.T) {
	good := archive(t)
	for _, text := range []string{"a certificate", "/certs/ca.pem", "000007.version", "images:/client", `7}`} {
		b := bytes.Clone(good)
		at := bytes.LastIndex(b, []byte(text))
		if at < 0 {
			t.Fatalf("%q is not in the archive", text)
		}
		b[at] ^= 1
		dir := t.TempDir()
		_, err := Read(bytes.NewReader(b), dir)
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.CodeInvalid {
			t.Errorf("%q: got %v", text, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%q: %v is left", text, left)
		}
	}
}

// TestCheck: who makes a backup hears that it could not be restored.
func TestCheck(t *testing.T) {
	if err := Check([]byte(`{"Path":"/etc/system.hcl","List":null}`)); err != nil {
		t.Error(err)
	}
	err := Check(make([]byte, texts.MaxJSON+1))
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.CodeRefused || e.Hint == "" {
		t.Errorf("got %v", err)
	}
}

// TestClean: what a crash has left goes, and nothing else.
func TestClean(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(bytes.NewReader(archive(t)), dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "history"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v is left", left)
	}
}
