package configs

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// reader is one run of Load.
type reader struct {
	loader   Loader
	machine  Machine
	diags    *Diagnostics
	reads    []Location
	told     map[string]bool   // problems, so that each is told once
	looked   map[Location]bool // files of secrets, whose mode is known
	context  string            // whose file is read: its mistakes are the context's
	dropped  bool
	errors   int // that were told, and those that were dropped
	warnings int
	parsed   func(Location, *hclsyntax.Body) // is told of each file that has no mistake of syntax; nil: nobody is
}

func newReader(l Loader, m Machine) *reader {
	return &reader{
		loader: l, machine: m,
		diags:  &Diagnostics{files: map[string]*file{}},
		told:   map[string]bool{},
		looked: map[Location]bool{},
	}
}

// tell adds diagnostics, each once, and not more than a person will read.
func (r *reader) tell(list ...*hcl.Diagnostic) {
	for _, d := range list {
		if r.dropped {
			return
		}
		key := fmt.Sprint(d.Subject, d.Severity, d.Summary, d.Detail)
		if r.told[key] {
			continue
		}
		r.told[key] = true
		if r.context != "" && d.Extra == nil {
			d.Extra = mistakeOf(r.context)
		}
		if d.Severity == hcl.DiagWarning {
			r.warn(d)
			continue
		}
		if r.errors++; r.errors <= maxDiagnostics {
			r.diags.list = append(r.diags.list, d)
			continue
		}
		if !r.dropped {
			r.dropped = true
			r.diags.list = append(r.diags.list, &hcl.Diagnostic{
				Severity: hcl.DiagError, Summary: "Too many problems",
				Detail: fmt.Sprintf("%d are shown; correct these first.", maxDiagnostics),
			})
		}
	}
}

// warn adds a warning: many contexts may have the same, and however many there are
// they are no error.
func (r *reader) warn(d *hcl.Diagnostic) {
	switch r.warnings++; r.warnings - maxDiagnostics {
	case 1:
		r.diags.list = append(r.diags.list, &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Summary: "More warnings",
			Detail: fmt.Sprintf("%d are shown, and there are more.", maxDiagnostics),
		})
	default:
		if r.warnings <= maxDiagnostics {
			r.diags.list = append(r.diags.list, d)
		}
	}
}

// problem adds an error at a place: what is wrong, and what to do.
func (r *reader) problem(at hcl.Range, summary, format string, args ...any) {
	if r.dropped { // do not even write it: a hopeless file may have millions
		return
	}
	r.tell(&hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary,
		Detail: fmt.Sprintf(format, args...), Subject: at.Ptr(),
	})
}

// warning adds what is accepted but should be known.
func (r *reader) warning(at hcl.Range, summary, format string, args ...any) {
	r.tell(&hcl.Diagnostic{
		Severity: hcl.DiagWarning, Summary: summary,
		Detail: fmt.Sprintf(format, args...), Subject: at.Ptr(),
	})
}

// sort puts the diagnostics into the order in which a person works through the
// files. What has no place comes first.
func (r *reader) sort() {
	order := map[string]int{}
	for i, at := range r.reads {
		if _, ok := order[at.String()]; !ok {
			order[at.String()] = i + 1
		}
	}
	key := func(d *hcl.Diagnostic) (file, offset int) {
		if d.Subject == nil {
			return 0, 0
		}
		return order[d.Subject.Filename], d.Subject.Start.Byte
	}
	slices.SortStableFunc(r.diags.list, func(a, b *hcl.Diagnostic) int {
		fileA, offsetA := key(a)
		fileB, offsetB := key(b)
		return cmp.Or(fileA-fileB, offsetA-offsetB)
	})
}

// readFile reads what text at range named names. Reading problems are told
// there, and ok is false.
func (r *reader) readFile(at Location, named hcl.Range) (src []byte, ok bool) {
	src, err := r.loader.ReadFile(at)
	switch {
	case err != nil:
		r.tell(&hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "File cannot be read",
			Detail:  fmt.Sprintf("Reading %s: %s.", at, bareError(err)),
			Subject: subject(named),
		})
		return nil, false
	case len(src) > MaxFileSize:
		r.tell(&hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "File too large",
			Detail:  fmt.Sprintf("%s has more than %d bytes, the most that is read.", at, MaxFileSize),
			Subject: subject(named),
		})
		return nil, false
	}
	r.reads = append(r.reads, at)
	return src, true
}

// subject is a place, or nil where there is none.
func subject(at hcl.Range) *hcl.Range {
	if at.Filename == "" {
		return nil
	}
	return at.Ptr()
}

// parse reads a file of the language that s describes.
func (r *reader) parse(at Location, named hcl.Range, s *schema) *node {
	src, ok := r.readFile(at, named)
	if !ok {
		return nil
	}
	if !r.passes(src, at, named) {
		return nil
	}
	name := at.String()
	if r.diags.files[name] == nil { // two contexts may have the same
		r.diags.files[name] = newFile(src, name)
	}
	if !r.isText(src, at) || !r.bounded(src, name) {
		return nil
	}
	f, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	r.tell(diags...)
	if f == nil {
		return nil
	}
	r.diags.files[name].nav = f.Nav
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok {
		return nil
	}
	if r.parsed != nil && !diags.HasErrors() {
		r.parsed(at, body)
	}
	return r.decode(body, s, &hclsyntax.Block{Body: body, TypeRange: body.SrcRange, OpenBraceRange: body.SrcRange})
}

// passes tells of a context's text that is not to be parsed, where it is named: not even
// its lines are looked for.
func (r *reader) passes(src []byte, at Location, named hcl.Range) bool {
	checker, ok := r.loader.(Checker)
	if !ok || r.context == "" {
		return true
	}
	err := checker.Check(src)
	if err != nil {
		r.problem(named, "File refused", "%s was not read: %s.", at, err)
	}
	return err == nil
}

// isText tells of a file that is not text.
func (r *reader) isText(src []byte, at Location) bool {
	if !utf8.Valid(src) {
		r.problem(hcl.Range{Filename: at.String(), Start: hcl.InitialPos, End: hcl.InitialPos}, "Not a text file",
			"%s is not valid UTF-8.", at)
		return false
	}
	return true
}
