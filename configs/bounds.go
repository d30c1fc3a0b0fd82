package configs

import (
	"bytes"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Bounds of what is read at all. A context's file may be written by anybody, and
// the parser recurses: what it recurses on is counted here, before it sees the
// file. The other bounds keep the work and the report of a hopeless file finite.
const (
	maxDepth = 16 // brackets open at once; the language needs 6
	// maxOperators is how much of one file may be what the language of HCL has and
	// a configuration needs nothing of: operators, parentheses, templates, indexes,
	// attributes of values. An expression nests as deep as it has such parts.
	maxOperators = 256
	// maxSigns are words and signs of one file, comments included: 3,000 tunnel
	// groups with a static entry each have so many. Every one becomes at most one
	// token, and a token and what is made of it are some 500 bytes, for as long as
	// the file is read.
	maxSigns       = 3 << 17
	maxNumber      = 32      // characters of a number
	maxWord        = 128     // of a name
	maxLiteral     = 4 << 10 // of a piece of text in quotes; the longest value, a banner, has half of it
	maxElements    = 512     // of one list
	maxDiagnostics = 200     // errors, and as many warnings
)

// bounded reports whether the parser can be trusted with a file: its brackets fit
// together, and nothing of it is beyond the bounds. What is wrong is told.
func (r *reader) bounded(src []byte, name string) bool {
	if len(src) > MaxFileSize { // of Format and Compare; readFile has looked
		r.problem(hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}, "File too large",
			"%s has more than %d bytes, the most that is read.", name, MaxFileSize)
		return false
	}
	if at := manySigns(src); at.Byte > 0 {
		r.problem(hcl.Range{Filename: name, Start: at, End: at}, "File too large",
			"The file has more than %d words and signs up to here. Divide it: a system has up to %d contexts.",
			maxSigns, maxContexts)
		return false
	}
	return simple(src) || r.boundedTokens(src, name)
}

// boundedTokens is the part of bounded that looks at the tokens.
func (r *reader) boundedTokens(src []byte, name string) bool {
	tokens, diags := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	if len(diags) > maxDiagnostics {
		r.tell(diags[:maxDiagnostics+1]...)
		return false
	}
	var open []hclsyntax.Token
	operators, slip, ok := 0, 0, true
	for i, t := range tokens {
		if !r.isShort(t) {
			return false
		}
		if isOperator(tokens, i) {
			operators++
		}
		if r.isSlip(t) { // of which one on each line is told
			if ok = false; t.Range.Start.Line > slip {
				r.tellSlip(t)
			}
			slip = t.Range.Start.Line
		}
		if shut, opens := counterpart[t.Type]; opens {
			open = append(open, hclsyntax.Token{Type: shut, Range: t.Range, Bytes: t.Bytes})
		} else if slices.Contains(closing, t.Type) {
			if len(open) == 0 || open[len(open)-1].Type != t.Type {
				r.unmatched(t, open)
				return false
			}
			open = open[:len(open)-1]
		}
		switch {
		case len(open) > maxDepth:
			r.problem(t.Range, "Nested too deeply", "More than %d brackets are open here.", maxDepth)
			return false
		case operators > maxOperators:
			r.problem(t.Range, "Too many operators",
				"Values are written out: text, numbers, true, false, lists. The file has more than %d operators.",
				maxOperators)
			return false
		}
	}
	return ok
}

// isSlip reports whether a token is one of the slips that the parser has no good
// words for: an address without quotes, and text that looks like a template.
func (r *reader) isSlip(t hclsyntax.Token) bool {
	switch t.Type {
	case hclsyntax.TokenNumberLit:
		return bytes.Count(t.Bytes, []byte(".")) > 1
	case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		return true
	}
	return false
}

// tellSlip says what to write instead.
func (r *reader) tellSlip(t hclsyntax.Token) {
	if t.Type == hclsyntax.TokenNumberLit {
		r.problem(t.Range, "Text without quotes",
			`This is no number. Addresses, ranges and names are written in quotes, as in range = "10.99.0.10-10.99.0.250".`)
		return
	}
	first := string(t.Bytes[:1])
	r.problem(t.Range, "Template in text",
		`%s{ begins a template, and a configuration has none. For these characters themselves write %s%s{.`, first,
		first, first)
}

// manySigns returns where a file has one word or sign more than are read; the
// zero place where it has not. What the lexer would return for such a file is a
// hundred times as large as the file.
func manySigns(src []byte) hcl.Pos {
	count, line := 0, 1
	var last byte // ' ': between words, '0': in a number, 'a': in a name
	for i, c := range src {
		kind := byte(' ')
		switch {
		case '0' <= c && c <= '9':
			kind = '0'
		case c < 0x80 && isAlphanumeric(rune(c)), c == '_':
			kind = 'a'
		case c == '\n':
			line++
		}
		if kind != ' ' && kind == last || kind == '0' && last == 'a' {
			continue
		}
		if last = kind; c == ' ' || c == '\t' || c == '\r' {
			continue
		}
		if c == '$' || c == '%' { // the text of a template is cut before and behind one
			count++
		}
		if count++; count > maxSigns {
			return hcl.Pos{Line: line, Column: 1, Byte: i}
		}
	}
	return hcl.Pos{}
}

// counterpart is what closes a token that opens something.
var counterpart = map[hclsyntax.TokenType]hclsyntax.TokenType{
	hclsyntax.TokenOBrace:          hclsyntax.TokenCBrace,
	hclsyntax.TokenOBrack:          hclsyntax.TokenCBrack,
	hclsyntax.TokenOParen:          hclsyntax.TokenCParen,
	hclsyntax.TokenOQuote:          hclsyntax.TokenCQuote,
	hclsyntax.TokenOHeredoc:        hclsyntax.TokenCHeredoc,
	hclsyntax.TokenTemplateInterp:  hclsyntax.TokenTemplateSeqEnd,
	hclsyntax.TokenTemplateControl: hclsyntax.TokenTemplateSeqEnd,
}

// closing are the tokens that close something.
var closing = []hclsyntax.TokenType{
	hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen,
	hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd,
}

// unmatched tells of a bracket that closes nothing, or something else than what
// is open. Counting would not do: a closing bracket too many would hide an
// opening one.
func (r *reader) unmatched(t hclsyntax.Token, open []hclsyntax.Token) {
	const summary = "Bracket without its other half"
	if len(open) == 0 {
		r.problem(t.Range, summary, "%s closes nothing: remove it, or add what is missing before it.", sign(t))
		return
	}
	last := open[len(open)-1]
	r.problem(t.Range, summary, "%s stands here, and %s (%s) is open: close that one first.", sign(t), sign(last),
		place(last.Range))
}

// sign shows a token of a few characters in a message.
func sign(t hclsyntax.Token) string {
	text := bytes.TrimSpace(t.Bytes)
	return string(text[:min(len(text), 16)])
}

// isShort tells of a word, number or text that is too long. A number is costly
// beyond its length: one with an exponent can have a billion digits.
func (r *reader) isShort(t hclsyntax.Token) bool {
	what, most := "", 0
	switch t.Type {
	case hclsyntax.TokenNumberLit:
		if bytes.ContainsAny(t.Bytes, "eE") {
			r.problem(t.Range, "Unusable number", "A number here has no exponent: write its digits.")
			return false
		}
		what, most = "A number", maxNumber
	case hclsyntax.TokenIdent:
		what, most = "A name", maxWord
	case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
		what, most = "A piece of text", maxLiteral
	default:
		return true
	}
	if len(t.Bytes) > most {
		r.problem(t.Range, "Word too long", "%s has at most %d characters, and this one has %d.", what, most,
			len(t.Bytes))
		return false
	}
	return true
}

// isOperator reports whether token i is a part of an expression that no
// configuration needs.
func isOperator(tokens hclsyntax.Tokens, i int) bool {
	switch tokens[i].Type {
	case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenPlus, hclsyntax.TokenStar, hclsyntax.TokenSlash,
		hclsyntax.TokenPercent, hclsyntax.TokenQuestion, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEqualOp,
		hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan,
		hclsyntax.TokenGreaterThanEq, hclsyntax.TokenDot, hclsyntax.TokenDoubleColon, hclsyntax.TokenEllipsis,
		hclsyntax.TokenFatArrow, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		return true
	case hclsyntax.TokenOBrack:
		return i > 0 && isOperand(tokens[i-1].Type)
	}
	return false
}

// isOperand reports whether a value can end with a token, so that a bracket
// behind it is an index.
func isOperand(t hclsyntax.TokenType) bool {
	return t == hclsyntax.TokenIdent || t == hclsyntax.TokenNumberLit || slices.Contains(closing, t)
}
