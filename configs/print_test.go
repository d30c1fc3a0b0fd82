package configs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

func TestWrite(t *testing.T) {
	src := "a = 1\n\tblock \"ü\" {\n  bad = 2\n}\n" + strings.Repeat("a", 300) + "bb" + strings.Repeat("c", 600) + "\n"
	span := func(l1, c1, l2, c2 int) *hcl.Range {
		return &hcl.Range{Filename: "x.hcl", Start: hcl.Pos{Line: l1, Column: c1}, End: hcl.Pos{Line: l2, Column: c2}}
	}
	tests := []struct {
		name   string
		width  uint
		colour bool
		d      hcl.Diagnostic
		want   string
	}{
		{name: "a word", d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum", Detail: "Do this.",
			Subject: span(3, 3, 3, 6)},
			want: "x.hcl:3: error: Sum\n   3 |   bad = 2\n     |   ^~~\n  Do this.\n"},
		{name: "tab and umlaut", d: hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "Sum",
			Subject: span(2, 8, 2, 11)},
			want: "x.hcl:2: warning: Sum\n   2 | \tblock \"ü\" {\n     | \t      ^~~\n"},
		{name: "a block", d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum", Subject: span(2, 2, 4, 2)},
			want: "x.hcl:2: error: Sum\n   2 | \tblock \"ü\" {\n   3 |   bad = 2\n   4 | }\n"},
		{name: "long line", d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum", Subject: span(5, 301, 5, 303)},
			want: "x.hcl:5: error: Sum\n   5 | …" + strings.Repeat("a", 100) + "bb" + strings.Repeat("c", 96) +
				"…\n     | " + strings.Repeat(" ", 101) + "^~\n"},
		{name: "place as long as a long line", d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum",
			Subject: span(5, 1, 5, 900)},
			want: "x.hcl:5: error: Sum\n   5 | " + strings.Repeat("a", 199) + "…\n     | ^" +
				strings.Repeat("~", 199) + "\n"},
		{name: "behind the end", d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum",
			Subject: span(99, 1, 99, 2)},
			want: "x.hcl:99: error: Sum\n"},
		{name: "no place", d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum", Detail: "Do."},
			want: "error: Sum\n  Do.\n"},
		{name: "unknown file", d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum",
			Subject: &hcl.Range{Filename: "y", Start: hcl.Pos{Line: 1}}},
			want: "y:1: error: Sum\n"},
		{name: "wrapped", width: 12, d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum",
			Detail: "one two three four\nfive"},
			want: "error: Sum\n  one two\n  three four\n  five\n"},
		{name: "colour", colour: true, d: hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sum"},
			want: "\x1b[1;31merror\x1b[0m: Sum\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &Diagnostics{
				list:  hcl.Diagnostics{&tt.d},
				files: map[string]*file{"x.hcl": newFile([]byte(src), "x.hcl")},
			}
			var b strings.Builder
			if err := d.Write(&b, tt.width, tt.colour); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
