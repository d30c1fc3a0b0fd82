package configs

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// CheckSyntax returns the first reason why a text is not of the language at all, as one
// line; "" where it is. The file is called name there.
func CheckSyntax(name string, src []byte) string {
	r := newReader(nil, Machine{})
	if r.isText(src, Location{Scheme: SchemeFile, Path: name}) && r.bounded(src, name) {
		_, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
		r.tell(diags...)
	}
	return r.diags.ErrorIn(name)
}

// Format returns src in canonical form: indentation, alignment and spacing.
// Comments and the order of things stay. What does not parse is not formatted:
// the result is nil and the problems are in the Diagnostics. The file is called
// name in them.
func Format(name string, src []byte) ([]byte, *Diagnostics) {
	r := newReader(nil, Machine{})
	at := Location{Scheme: SchemeFile, Path: name}
	r.diags.files[name] = newFile(src, name)
	if !r.isText(src, at) || !r.bounded(src, name) {
		return nil, r.diags
	}
	_, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	r.tell(diags...)
	if diags.HasErrors() {
		return nil, r.diags
	}
	return hclwrite.Format(src), r.diags
}
