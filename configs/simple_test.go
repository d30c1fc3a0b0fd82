package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSimple(t *testing.T) {
	tests := []struct {
		name, src string
		want      bool
	}{
		{"nothing", "", true},
		{"blocks", "a \"b\" {\n\tc = [1, 2, \"x-y\"] # why\n  d = { e = true }\n}\n", true},
		{"comment", "// text with ${ and ( in it\n", true},
		{"comment without an end", "# text", false},
		{"text beyond ASCII", "a = \"Zürich\"\n", true},
		{"name beyond ASCII", "ä = 1\n", false},
		{"escape", `a = "\n"`, false},
		{"template", `a = "${b}"`, false},
		{"percent", `a = "100%"`, false},
		{"text over two lines", "a = \"b\nc\"\n", false},
		{"address without quotes", "a = 192.0.2.1\n", false},
		{"exponent", "a = 1e9\n", false},
		{"operator", "a = b - c\n", false},
		{"index", "a = b[1]\n", false},
		{"index of a list", "a = [1] [0]\n", false},
		{"comparison", "a == b\n", false},
		{"path", "a::b\n", false},
		{"heredoc", "a = <<E\nx\nE\n", false},
		{"bracket too many", "a {}}\n", false},
		{"bracket too few", "a {\n", false},
		{"brackets that do not fit", "a = [1}\n", false},
		{"as deep as can be", "a = " + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + "\n", true},
		{"too deep", "a = " + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + "\n", false},
		{"long name", strings.Repeat("a", maxWord+1) + " = 1\n", false},
		{"long number", "a = " + strings.Repeat("1", maxNumber+1) + "\n", false},
		{"long text", "a = \"" + strings.Repeat("x", maxLiteral+1) + "\"\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := simple([]byte(tt.src)); got != tt.want {
				t.Errorf("simple = %v, want %v", got, tt.want)
			}
			checkSimple(t, []byte(tt.src))
		})
	}
}

// checkSimple fails where simple lets in what the lexer's tokens do not.
func checkSimple(t *testing.T, src []byte) {
	t.Helper()
	if !simple(src) {
		return
	}
	if r := newReader(nil, Machine{}); !r.boundedTokens(src, "x") || len(r.diags.list) > 0 {
		t.Errorf("%q is simple, and not bounded: %v", src, r.diags.Err())
	}
}

// TestSimpleFiles are configurations as users write them: simple is worth its while
// only where most of them are.
func TestSimpleFiles(t *testing.T) {
	var files []string
	for _, pattern := range []string{"reference/*.hcl", "contract/*.hcl", "contract/*/*.hcl"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		files = append(files, found...)
	}
	count := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkSimple(t, src)
		if simple(src) {
			count++
		} else {
			t.Logf("%s is not", file)
		}
	}
	if count*4 < len(files)*3 {
		t.Errorf("%d of %d files are simple", count, len(files))
	}
}

func FuzzSimple(f *testing.F) {
	f.Add([]byte("a \"b\" {\n  c = [1, \"x\"]\n}\n"))
	f.Add([]byte("# c\na = {\"k\" = 1, x : 2}\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if r := newReader(nil, Machine{}); len(src) > 1<<12 || !r.isText(src, Location{}) {
			return
		}
		checkSimple(t, src)
	})
}
