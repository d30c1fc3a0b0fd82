// Package datatest finds third-party test data, which are no part of the project. It reads
// files.
package datatest

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of third-party vectors and captures: $WARREN_TEST_DATA,
// or ../shared/data beside the module. Where there is none the test is skipped,
// except in CI, where it fails.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("WARREN_TEST_DATA")
	if dir == "" {
		dir = filepath.Join(moduleRoot(tb), "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatalf("third-party test data are missing: %v", err)
		}
		tb.Skipf("third-party test data are not here (set WARREN_TEST_DATA): %v", err)
	}
	return dir
}

// moduleRoot returns the folder with go.mod above the test.
func moduleRoot(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

// File returns the content of a file of Dir, decompressed if its name ends in
// .gz.
func File(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(Dir(tb), name))
	if err == nil && filepath.Ext(name) == ".gz" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			b, err = io.ReadAll(z)
		}
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// JSON decodes a file of Dir into v.
func JSON(tb testing.TB, name string, v any) {
	tb.Helper()
	if err := json.Unmarshal(File(tb, name), v); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
}

// Hex is bytes that JSON writes in hexadecimal.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}
