package configs

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Diagnostics are the problems of a configuration, with the sources to show
// them in. Secrets are masked in those sources.
type Diagnostics struct {
	list  hcl.Diagnostics
	files map[string]*file
}

// file is a source. The text is masked when somebody asks for it: most files are in
// order, and what is wrong with others is often told without them.
type file struct {
	nav  any // of hcl.File
	text func() []byte
}

// newFile returns a source of which nothing but masked text can be had.
func newFile(src []byte, name string) *file {
	var masked []byte
	return &file{text: func() []byte {
		if masked == nil {
			masked, src = mask(src, name), nil
		}
		return masked
	}}
}

// HasErrors reports whether anything is wrong. Warnings are not.
func (d *Diagnostics) HasErrors() bool { return d.list.HasErrors() }

// All returns errors and warnings in the order they were found.
func (d *Diagnostics) All() hcl.Diagnostics { return d.list }

// Warnings returns what is accepted and yet worth a log line.
func (d *Diagnostics) Warnings() []*hcl.Diagnostic {
	var out []*hcl.Diagnostic
	for _, one := range d.list {
		if one.Severity == hcl.DiagWarning {
			out = append(out, one)
		}
	}
	return out
}

// Write prints every problem as file:line, snippet and remedy, wrapped at width
// columns (0: not at all), with colours or without.
func (d *Diagnostics) Write(w io.Writer, width uint, colour bool) error {
	p := printer{files: d.files, width: int(width), colour: colour}
	for _, one := range d.list {
		if _, err := io.WriteString(w, p.one(one)); err != nil {
			return fmt.Errorf("configs: writing diagnostics: %w", err)
		}
	}
	return nil
}

// ErrorIn returns the first error that has its place in a file, as one line; ""
// where there is none.
func (d *Diagnostics) ErrorIn(file string) string {
	for _, one := range d.list {
		if one.Severity == hcl.DiagError && one.Subject != nil && one.Subject.Filename == file {
			return Line(one)
		}
	}
	return ""
}

// Err returns the errors as one error of one line each, and nil where there
// are none.
func (d *Diagnostics) Err() error {
	var lines []string
	for _, one := range d.list {
		if one.Severity == hcl.DiagError {
			lines = append(lines, Line(one))
		}
	}
	if lines == nil {
		return nil
	}
	return fmt.Errorf("configs: %s", strings.Join(lines, "\n"))
}

// Mistake is one error.
type Mistake struct {
	// Context is whose configuration, with its secrets, has it; "": it is one of the
	// system file.
	Context string
	File    string // that has it, as Location.String says; "" where it has no place
	Line    string // place, summary and detail
}

// mistakeOf, as the Extra of a diagnostic, is the context whose mistake it is.
type mistakeOf string

// Mistakes returns the errors, in order.
func (d *Diagnostics) Mistakes() []Mistake {
	var list []Mistake
	for _, one := range d.list {
		if one.Severity != hcl.DiagError {
			continue
		}
		m := Mistake{Line: Line(one)}
		if whose, ok := one.Extra.(mistakeOf); ok {
			m.Context = string(whose)
		}
		if one.Subject != nil {
			m.File = one.Subject.Filename
		}
		list = append(list, m)
	}
	return list
}

// Line returns one diagnostic as one line: place, summary, detail.
func Line(one *hcl.Diagnostic) string {
	text := one.Summary
	if one.Detail != "" {
		text += ": " + strings.Join(strings.Fields(one.Detail), " ")
	}
	if one.Subject != nil {
		text = place(*one.Subject) + ": " + text
	}
	return text
}

// place is a range as diagnostics refer to it: file and line.
func place(at hcl.Range) string { return fmt.Sprintf("%s:%d", at.Filename, at.Start.Line) }
