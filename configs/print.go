package configs

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// maxSnippet is how many lines of a place are shown: it is to be recognised, and
// an editor opens file:line.
const maxSnippet = 3

// maxShown is how many characters of a line are shown, and of the blocks that
// it is in.
const maxShown = 200

// The colours of what a person looks for first.
const (
	colourError   = "\x1b[1;31m"
	colourWarning = "\x1b[1;33m"
	colourNone    = "\x1b[0m"
)

// printer prints diagnostics one by one:
//
//	blue.hcl:21: error: Unknown attribute, in ipsec_proposal "strong"
//	  21 |   lifetmie = "8h"
//	     |   ^~~~~~~~
//	  "lifetmie" is nothing that ipsec_proposal knows. Did you mean "lifetime"?
type printer struct {
	files  map[string]*file
	width  int // of the remedy's lines; 0: one line
	colour bool
}

func (p *printer) one(d *hcl.Diagnostic) string {
	var b strings.Builder
	if d.Subject != nil {
		b.WriteString(place(*d.Subject) + ": ")
	}
	severity, shade := "error", colourError
	if d.Severity == hcl.DiagWarning {
		severity, shade = "warning", colourWarning
	}
	if p.colour {
		severity = shade + severity + colourNone
	}
	b.WriteString(severity + ": " + d.Summary)
	if d.Subject != nil {
		p.snippet(&b, *d.Subject)
	} else {
		b.WriteByte('\n')
	}
	for _, line := range wrap(d.Detail, p.width-2) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return b.String()
}

// snippet ends the first line with the block that the place is in, and shows
// the place.
func (p *printer) snippet(b *strings.Builder, at hcl.Range) {
	f := p.files[at.Filename]
	if f == nil {
		b.WriteByte('\n')
		return
	}
	if nav, ok := f.nav.(interface{ ContextString(int) string }); ok {
		if block := nav.ContextString(at.Start.Byte); block != "" {
			b.WriteString(", in " + shorten(visible(block), maxShown))
		}
	}
	b.WriteByte('\n')
	lines := bytes.Split(f.text(), []byte("\n"))
	last := min(max(at.End.Line, at.Start.Line), at.Start.Line+maxSnippet-1, len(lines))
	for n := at.Start.Line; n >= 1 && n <= last; n++ {
		line := visible(string(bytes.TrimRight(lines[n-1], "\r")))
		if at.Start.Line != at.End.Line {
			fmt.Fprintf(b, "%4d | %s\n", n, shorten(line, maxShown))
			continue
		}
		line, at = clip(line, at)
		fmt.Fprintf(b, "%4d | %s\n", n, line)
		underline(b, line, at)
	}
}

// shorten cuts text behind so many characters.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// clip returns the part of a long line that a place in it is in, and the place
// within that part.
func clip(line string, at hcl.Range) (string, hcl.Range) {
	runes := []rune(line)
	if len(runes) <= maxShown {
		return line, at
	}
	if from := min(at.Start.Column-1, len(runes)) - maxShown/2; from > 0 {
		runes = append([]rune("…"), runes[from:]...)
		at.Start.Column -= from - 1
		at.End.Column -= from - 1
	}
	line = shorten(string(runes), maxShown)
	at.End.Column = min(at.End.Column, utf8.RuneCountInString(line)+1)
	return line, at
}

// visible replaces what a terminal would act upon: a tenant may have written it.
func visible(line string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, line)
}

// underline marks the columns of a place within its one line.
func underline(b *strings.Builder, line string, at hcl.Range) {
	if at.Start.Column < 1 || at.End.Column <= at.Start.Column || at.Start.Column > utf8.RuneCountInString(line) {
		return
	}
	var indent strings.Builder
	for _, r := range []rune(line)[:at.Start.Column-1] {
		if r == '\t' {
			indent.WriteByte('\t')
		} else {
			indent.WriteByte(' ')
		}
	}
	fmt.Fprintf(b, "     | %s^%s\n", indent.String(), strings.Repeat("~", at.End.Column-at.Start.Column-1))
}

// wrap breaks text into lines of at most width runes where words allow it; its
// own line breaks stay.
func wrap(text string, width int) []string {
	var out []string
	for para := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line := ""
		for word := range strings.FieldsSeq(para) {
			switch {
			case line == "":
				line = word
			case width > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
				out = append(out, line)
				line = word
			default:
				line += " " + word
			}
		}
		if line != "" {
			out = append(out, line)
		}
	}
	return out
}
