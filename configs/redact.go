package configs

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// redacted stands for a secret in a text that is shown. Its length says
// nothing.
const redacted = `********`

// inComment finds an assignment of a secret in a comment, where the tokens of
// the language end.
var inComment = regexp.MustCompile(
	`(?im)([\w-]*(?:key|psk|secret|passw|passphrase|token|authentication)[\w-]*"?\s*[=:]).*$`)

// Redact returns a configuration file as it may be shown: the values of secrets
// are stars, names of files and variables stay, and what could be parsed can
// still be. A file that is not text becomes stars as a whole.
func Redact(src []byte, name string) []byte {
	if !utf8.Valid(src) {
		return []byte("# " + redacted + "\n")
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	return redactTokens(src, tokens)
}

// redactTokens is Redact of a text with these tokens.
func redactTokens(src []byte, tokens hclsyntax.Tokens) []byte {
	r := redactor{src: src, tokens: tokens}
	for i := 0; i < len(tokens); i++ {
		switch {
		case tokens[i].Type == hclsyntax.TokenComment:
			r.replace(i, i+1, redactComment(string(tokens[i].Bytes)))
		case assigned(tokens, i) && isSecretName(string(tokens[i].Bytes)):
			i = max(i, r.value(i+2)-1)
		}
	}
	return append(r.out, src[r.done:]...)
}

func redactComment(text string) string {
	inner, isBlock := strings.CutSuffix(text, "*/")
	inner = inComment.ReplaceAllString(inner, "${1} "+redacted)
	if isBlock {
		inner += "*/"
	}
	return inner
}

// redactor copies a file and replaces parts of it.
type redactor struct {
	src    []byte
	tokens hclsyntax.Tokens
	out    []byte
	done   int // so much of src is in out
}

// replace puts text in place of the tokens from i to before end.
func (r *redactor) replace(i, end int, text string) {
	r.out = append(r.out, r.src[r.done:r.tokens[i].Range.Start.Byte]...)
	r.out = append(r.out, text...)
	r.done = r.tokens[end-1].Range.End.Byte
}

// value replaces what is secret of the value that begins at token i, and
// returns the token behind it.
func (r *redactor) value(i int) int {
	depth := 0
	identities := -1 // the depth at which quoted keys are identities
	for i < len(r.tokens) {
		switch r.tokens[i].Type {
		case hclsyntax.TokenEOF:
			return i
		case hclsyntax.TokenNewline:
			if depth <= 0 {
				return i
			}
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen:
			if depth++; opensKeys(r.tokens, i) {
				identities = depth
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			if depth == identities {
				identities = -1
			}
			if depth--; depth < 0 {
				return i
			}
		case hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			if depth == identities && i+1 < len(r.tokens) && isQuotedKey(r.tokens, i+1) {
				i += 3
				continue
			}
			i = r.template(i)
			continue
		case hclsyntax.TokenEqual, hclsyntax.TokenColon, hclsyntax.TokenComma, hclsyntax.TokenCQuote:
		case hclsyntax.TokenComment:
			r.replace(i, i+1, redactComment(string(r.tokens[i].Bytes)))
			if depth <= 0 && endsLine(r.tokens[i].Bytes) {
				return i + 1
			}
		default:
			if !isReference(r.tokens, i) {
				r.replace(i, i+1, `"`+redacted+`"`)
			}
		}
		i++
	}
	return i
}

// endsLine tells whether a comment holds the line end behind it.
func endsLine(comment []byte) bool {
	return len(comment) > 0 && comment[len(comment)-1] == '\n'
}

// template replaces the text in quotes, or the heredoc, that begins at token i,
// unless it is a name: a quoted key, or the file or variable with a secret. It
// returns the token behind it.
func (r *redactor) template(i int) int {
	end, depth := i, 0
	for ; end < len(r.tokens) && r.tokens[end].Type != hclsyntax.TokenEOF; end++ {
		switch r.tokens[end].Type {
		case hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			depth++
		case hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			depth--
		}
		if depth == 0 {
			end++
			break
		}
	}
	if end == i+3 && isReference(r.tokens, i+1) {
		return end
	}
	text := `"` + redacted + `"`
	if r.tokens[i].Type == hclsyntax.TokenOHeredoc && end > i && endsLine(r.tokens[end-1].Bytes) {
		text += "\n"
	}
	r.replace(i, end, text)
	return end
}
