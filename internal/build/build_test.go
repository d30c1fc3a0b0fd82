package build

import (
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	setting := func(kv ...string) []debug.BuildSetting {
		var out []debug.BuildSetting
		for i := 0; i < len(kv); i += 2 {
			out = append(out, debug.BuildSetting{Key: kv[i], Value: kv[i+1]})
		}
		return out
	}
	tests := []struct {
		name     string
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		{name: "tagged", version: "v1.2.3", settings: setting("vcs.revision", "0123456789abcdef"), want: "v1.2.3"},
		{name: "no VCS", version: "(devel)", want: "devel"},
		{name: "clean tree", version: "(devel)", settings: setting("vcs.revision", "0123456789abcdef",
			"vcs.modified", "false"),
			want: "devel-0123456789ab"},
		{name: "changed tree", settings: setting("vcs.revision", "0123", "vcs.modified", "true"),
			want: "devel-0123+changes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info := &debug.BuildInfo{Main: debug.Module{Version: tt.version}, Settings: tt.settings}
			if got := describe(info); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
