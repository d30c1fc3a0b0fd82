package configs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The two units of a pair have these blocks of the system file in common: classes,
// contexts, and the groups of "failover". All else is a unit's own: its name and
// directories, the totals of the machine, its devices, and how it reaches its peer.
var commonBlocks = []string{"class", "context"}

// errNoPair is why a system file has nothing in common with another one.
var errNoPair = errors.New("it has no failover block")

// Common returns the blocks of a system file that the units of a pair have in common, as
// they are written; those of "failover" stand in a block of that name. A file that does not
// parse is an error with the line.
func Common(system []byte) ([]byte, error) {
	s, err := splitSystem("the system file", system)
	if err != nil {
		return nil, err
	}
	var out, groups bytes.Buffer
	for _, b := range s.blocks {
		to := &out
		if b.inFailover {
			to = &groups
		}
		fmt.Fprintf(to, "%s\n", b.text)
	}
	if groups.Len() > 0 {
		fmt.Fprintf(&out, "failover {\n%s}\n", groups.Bytes())
	}
	return out.Bytes(), nil
}

// WithCommon returns a unit's own system file with what Common has returned of the other
// unit's. Blocks that say the same stay as they are written; comments go with their blocks.
// A config_url that is an absolute path on both units stays, too: it is a place on a host.
func WithCommon(own, common []byte) ([]byte, error) {
	is, err := splitSystem("this unit's system file", own)
	if err != nil {
		return nil, err
	}
	next, err := splitSystem("the other unit's system file", common)
	if err != nil {
		return nil, err
	}
	if is.failover == nil {
		return nil, errNoPair
	}
	var edits []edit
	var added, addedGroups bytes.Buffer
	for _, b := range next.blocks {
		switch old := is.find(b.key); {
		case old == nil && b.inFailover:
			fmt.Fprintf(&addedGroups, "  %s\n", b.text)
		case old == nil:
			fmt.Fprintf(&added, "\n%s\n", b.text)
		default:
			if text := keepPlace(old.text, b.text); len(Compare(old.text, text)) > 0 {
				edits = append(edits, edit{old.start, old.end, text})
			}
		}
	}
	for _, old := range is.blocks {
		if next.find(old.key) == nil {
			edits = append(edits, edit{old.start, old.end, nil})
		}
	}
	if addedGroups.Len() > 0 {
		end := is.failover.CloseBraceRange.Start.Byte
		edits = append(edits, edit{end, end, append([]byte("\n"), addedGroups.Bytes()...)})
	}
	edits = append(edits, edit{len(own), len(own), added.Bytes()})
	return applyEdits(own, edits), nil
}

// Statements returns what a text of Common says, in an order of their own: the same for texts
// that differ in comments, spaces, or the order of blocks, or in places of a host. Secrets
// are in it.
func Statements(common []byte) []string {
	var list []string
	for _, e := range flatten(common).list {
		value := e.canonical()
		if e.name == "config_url" && absolute(strings.Trim(value, `"`)) {
			value = "a place on the host"
		}
		list = append(list, fmt.Sprintf("%q %s = %s", e.blocks, e.name, value))
	}
	slices.Sort(list)
	return list
}

// ConfigPlaces returns where the configuration of each context is, as far as the system file
// at path says. Problems are ignored: Load tells them.
func ConfigPlaces(l Loader, path string) map[string]Location {
	s := newSystemReader(newReader(l, Machine{}), path)
	places := map[string]Location{}
	n := s.parse(s.at, hcl.Range{}, systemSchema)
	if n == nil {
		return places
	}
	s.readGlobals(n.one("system"))
	for i, c := range n.each("context") {
		if i >= maxContexts || !isName(c.label.text, 32) {
			continue
		}
		if _, _, at, ok := s.configOf(c); ok {
			places[c.label.text] = at
		}
	}
	return places
}

// splitFile is a system file, and where its common blocks are.
type splitFile struct {
	failover *hclsyntax.Block // nil: there is none
	blocks   []commonBlock
}

// commonBlock is one of them with the comments right above it.
type commonBlock struct {
	key        string // type and label, as in context "blue"
	inFailover bool
	start, end int // in the file
	text       []byte
}

func (s *splitFile) find(key string) *commonBlock {
	for i := range s.blocks {
		if s.blocks[i].key == key {
			return &s.blocks[i]
		}
	}
	return nil
}

// splitSystem finds the common blocks of a system file, which is called what in errors. No
// two of them have the same key.
func splitSystem(what string, src []byte) (*splitFile, error) {
	if _, diags := Format(what, src); diags.HasErrors() {
		return nil, fmt.Errorf("%s cannot be read: %s", what, diags.ErrorIn(what))
	}
	f, _ := hclsyntax.ParseConfig(src, what, hcl.InitialPos) // it has been read above
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok {
		return nil, fmt.Errorf("%s cannot be read", what)
	}
	s := &splitFile{}
	for _, b := range body.Blocks {
		if b.Type == "failover" && s.failover == nil {
			s.failover = b
			for _, g := range b.Body.Blocks {
				if g.Type == "group" {
					s.add(src, g, true)
				}
			}
		}
		if slices.Contains(commonBlocks, b.Type) {
			s.add(src, b, false)
		}
	}
	seen := make(map[string]bool)
	for _, b := range s.blocks {
		if seen[b.key] {
			return nil, fmt.Errorf("%s has %s twice", what, b.key)
		}
		seen[b.key] = true
	}
	return s, nil
}

func (s *splitFile) add(src []byte, b *hclsyntax.Block, inFailover bool) {
	start, end := b.TypeRange.Start.Byte, b.CloseBraceRange.End.Byte
	for { // the lines above it that are comments
		lineEnd := bytes.LastIndexByte(src[:start], '\n')
		if lineEnd < 0 {
			break
		}
		lineStart := bytes.LastIndexByte(src[:lineEnd], '\n') + 1
		if line := bytes.TrimSpace(src[lineStart:lineEnd]); !bytes.HasPrefix(line, []byte("#")) &&
			!bytes.HasPrefix(line, []byte("//")) {
			break
		}
		start = lineStart
	}
	s.blocks = append(s.blocks, commonBlock{
		key: fmt.Sprintf("%s %q", b.Type, strings.Join(b.Labels, " ")), inFailover: inFailover,
		start: start, end: end, text: bytes.TrimLeft(src[start:end], " \t"),
	})
}

// keepPlace returns the other unit's text of a block, with the config_url of this one's
// where both are absolute paths of a host.
func keepPlace(own, other []byte) []byte {
	is, isURL := configURL(own)
	next, nextURL := configURL(other)
	if !absolute(isURL) || !absolute(nextURL) {
		return other
	}
	return applyEdits(other, []edit{{next.Start.Byte, next.End.Byte, own[is.Start.Byte:is.End.Byte]}})
}

func absolute(url string) bool { return strings.HasPrefix(strings.TrimPrefix(url, "file:"), "/") }

// configURL finds the config_url in the text of a block; "" where it has none.
func configURL(block []byte) (hcl.Range, string) {
	f, diags := hclsyntax.ParseConfig(block, "", hcl.InitialPos)
	body, ok := f.Body.(*hclsyntax.Body)
	if diags.HasErrors() || !ok || len(body.Blocks) != 1 {
		return hcl.Range{}, ""
	}
	a := body.Blocks[0].Body.Attributes["config_url"]
	if a == nil {
		return hcl.Range{}, ""
	}
	at := a.Expr.Range()
	return at, strings.Trim(string(block[at.Start.Byte:at.End.Byte]), `"`)
}

// edit replaces a part of a text.
type edit struct {
	start, end int
	with       []byte
}

// applyEdits makes edits that do not overlap.
func applyEdits(src []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.start - b.start })
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, src[at:e.start]...), e.with...)
		at = e.end
	}
	return append(out, src[at:]...)
}
