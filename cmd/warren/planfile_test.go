package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/system/api/apitest"
)

// TestPlanFile: a plan comes back as it was written, and no other file is taken for one.
func TestPlanFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.plan")
	want := apitest.PlannedBasis()
	if err := writePlan(path, want, now); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	got, err := readPlan(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(string) string
		mode   os.FileMode
		says   string
	}{
		"others may read it": {func(s string) string { return s }, 0o640, "others may read or change it"},
		"another file":       {func(string) string { return "interface {}" }, 0o600, "is no plan"},
		"other JSON":         {func(string) string { return "{}" }, 0o600, "is no plan"},
		"a later version": {func(s string) string { return strings.Replace(s, `"version": 1`, `"version": 2`, 1) },
			0o600, "is a plan of version 2"},
		"another field": {func(s string) string { return strings.Replace(s, `"held"`, `"hold"`, 1) }, 0o600,
			"was damaged"},
		"a part":   {func(s string) string { return s[:len(s)/2] }, 0o600, "is no plan"},
		"no basis": {func(string) string { return `{"format":"warren plan","version":1}` }, 0o600, "was damaged"},
		"too much": {func(s string) string { return s + strings.Repeat(" ", maxPlanFile) }, 0o600, "at most"},
	}
	for name, tt := range tests {
		file := filepath.Join(t.TempDir(), "y.plan")
		if err := os.WriteFile(file, []byte(tt.change(string(good))), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := readPlan(file); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want %q", name, err, tt.says)
		}
	}
	if err := writePlan(filepath.Join(t.TempDir(), "none", "x"), want, now); err == nil {
		t.Error("a folder that is not there is written to")
	}
	if err := writePlan(path, nil, now); err == nil {
		t.Error("a plan without a basis is written")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
