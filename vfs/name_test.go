package vfs

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseName(t *testing.T) {
	tests := []struct {
		in   string
		want Name
	}{
		{"blue:disk0:/x", Name{"blue", "disk0", "/x"}},
		{"blue:disk0:", Name{"blue", "disk0", "/"}},
		{"blue:disk0:/", Name{"blue", "disk0", "/"}},
		{"blue:disk0://a//b/", Name{"blue", "disk0", "/a/b"}},
		{"images:/client.pkg", Name{"", "images", "/client.pkg"}},
		{"disk0:/a:b:/c", Name{"", "disk0", "/a:b:/c"}},
		{"b-1_x:disk0:/Zoë ...", Name{"b-1_x", "disk0", "/Zoë ..."}},
		{"blue:disk0:/..x", Name{"blue", "disk0", "/..x"}},
		{"blue:disk0:/" + strings.Repeat("n", maxName), Name{"blue", "disk0", "/" + strings.Repeat("n", maxName)}},
	}
	for _, tt := range tests {
		got, err := ParseName(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", "look like"},
		{"no volume", "/etc/passwd", "look like"},
		{"relative", "blue:disk0:x", "look like"},
		{"dotdot", "blue:disk0:/../x", `".." is no name`},
		{"dotdot inside", "blue:disk0:/a/../../x", `".." is no name`},
		{"dotdot at the end", "blue:disk0:/a/..", `".." is no name`},
		{"dot", "blue:disk0:/./x", `"." is no name`},
		{"empty context", ":disk0:/x", "the context's name"},
		{"context with a path", "../blue:disk0:/x", "the context's name"},
		{"empty volume", "blue::/x", "the volume's name"},
		{"three heads", "a:b:c:/x", "the volume's name"},
		{"option", "blue:-v:/x", "the volume's name"},
		{"long context", strings.Repeat("a", maxLabel+1) + ":disk0:/x", "the context's name"},
		{"NUL", "blue:disk0:/a\x00b", "printable"},
		{"line break", "blue:disk0:/a\nb", "printable"},
		{"escape", "blue:disk0:/\x1b[2J", "printable"},
		{"right to left", "blue:disk0:/a\u202eb", "printable"},
		{"not UTF-8", "blue:disk0:/\xff", "UTF-8"},
		{"reserved", "blue:disk0:/a/" + reserved + "1", "reserved"},
		{"long name", "blue:disk0:/" + strings.Repeat("n", maxName+1), "at most 200 bytes"},
		{"deep", "blue:disk0:" + strings.Repeat("/d", maxDepth+1), "nested"},
		{"long path", "blue:disk0:" + strings.Repeat("/"+strings.Repeat("d", 150), 8), "at most 1024 bytes"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			got, err := ParseName(tt.in)
			if !errors.Is(err, ErrName) || !strings.Contains(err.Error(), tt.want) ||
				!strings.HasPrefix(err.Error(), "vfs: ") {
				t.Errorf("got %+v, %v, want ErrName with %q", got, err, tt.want)
			}
		})
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"blue:disk0:/x", "disk0:", "images:/a/b", "a:b:c:/../d", "x:y://", "\x00:/\xff",
		"disk0:/a:/b:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseName(text)
		if err != nil {
			if n != (Name{}) || !errors.Is(err, ErrName) {
				t.Errorf("refused with %+v, %v", n, err)
			}
			return
		}
		again, err := ParseName(n.String())
		if err != nil || again != n {
			t.Errorf("%q: got %+v, %v, want %+v", n, again, err, n)
		}
		if !strings.HasPrefix(n.Path, "/") || strings.Contains(n.Path+"/", "/../") || len(n.Path) > maxPath {
			t.Errorf("%q became the path %q", text, n.Path)
		}
	})
}
