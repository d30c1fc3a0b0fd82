package vfs

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// TestManifest: it has everything that can be used, and another version after
// every change, also one that somebody made by hand.
func TestManifest(t *testing.T) {
	v, dir := volume(t, Limit{})
	must(t, put(v, "/d/x", "text"), put(v, "/y", ""), v.MakeDir("/e/f"), os.Symlink("y", dir+"/link"),
		os.WriteFile(dir+"/"+reserved+"1", nil, 0o600))
	m, err := v.Manifest(t.Context())
	must(t, err)
	var got []string
	for _, f := range m.Files {
		got = append(got, f.Path+" "+f.SHA256)
	}
	want := []string{"/d ", "/d/x " + sumOf("text"), "/e ", "/e/f ", "/y " + sumOf("")}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	seen := map[string]string{m.Version: "before"}
	for _, change := range []struct {
		name string
		make func() error
	}{
		{"replaced", func() error { return put(v, "/d/x", "TEXT") }},
		{"deleted", func() error { return v.Remove("/y") }},
		{"directory", func() error { return v.MakeDir("/g") }},
		{"by hand, with its old time", func() error {
			info, err := os.Stat(dir + "/d/x")
			return errors.Join(err, os.WriteFile(dir+"/d/x", []byte("hand"), 0o600),
				os.Chtimes(dir+"/d/x", info.ModTime(), info.ModTime()))
		}},
	} {
		must(t, change.make())
		m, err := v.Manifest(t.Context())
		must(t, err)
		version, err := v.Version(0)
		must(t, err)
		if was, ok := seen[m.Version]; ok || version != m.Version {
			t.Errorf("%s: the version is that of %q; it is %s", change.name, was, version)
		}
		seen[m.Version] = change.name
	}
	m, err = v.Manifest(t.Context())
	must(t, err)
	if again, err := v.Manifest(t.Context()); err != nil || again.Version != m.Version ||
		m.Files[1].SHA256 != sumOf("hand") {
		t.Errorf("without a change: %+v, %v, want %+v", again, err, m)
	}
}

// TestVersionIsRemembered: what is changed through the volume is seen at once,
// and what is changed by hand after a while.
func TestVersionIsRemembered(t *testing.T) {
	v, dir := volume(t, Limit{})
	version := func(maxAge time.Duration) string {
		t.Helper()
		text, err := v.Version(maxAge)
		must(t, err)
		return text
	}
	empty := version(time.Hour)
	must(t, put(v, "/x", "text"))
	one := version(time.Hour)
	must(t, os.WriteFile(dir+"/y", nil, 0o600))
	if later := version(time.Hour); one == empty || later != one || version(0) == one || version(time.Hour) == one {
		t.Errorf("versions: %s, %s, %s", empty, one, later)
	}
}

// TestManifestReadsOnce: content that has not changed is not read again.
func TestManifestReadsOnce(t *testing.T) {
	v, dir := volume(t, Limit{})
	must(t, put(v, "/x", "text"))
	first, err := v.Manifest(t.Context())
	must(t, err)
	stamp := v.sums["/x"].stamp
	v.sums["/x"] = summed{stamp, "remembered"}
	second, err := v.Manifest(t.Context())
	must(t, err)
	if first.Files[0].SHA256 != sumOf("text") || second.Files[0].SHA256 != "remembered" {
		t.Errorf("got %+v, %+v", first, second)
	}
	must(t, os.Chtimes(dir+"/x", time.Unix(1, 0), time.Unix(1, 0)))
	if third, err := v.Manifest(t.Context()); err != nil || third.Files[0].SHA256 != sumOf("text") {
		t.Errorf("got %+v, %v", third, err)
	}
}

func TestCommit(t *testing.T) {
	v, dir := volume(t, Limit{})
	must(t, put(v, "/x", "old"))
	no := errors.New("no")
	c := Content{Reader: strings.NewReader("new"), Size: 3, Commit: func() error { return no }}
	if _, err := v.Replace(t.Context(), "/x", c); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(dir + "/x"); err != nil || string(b) != "old" || left(t, dir) != "x" {
		t.Errorf("afterwards: %q, %v", b, err)
	}
}
