package configs

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// mask returns a copy of src, of the same length, in which the values of
// secrets are stars. It works on tokens, so that a file that does not parse is
// masked as well, and on names that look like those of secrets, so that a
// misspelt one is; a URL with a user in it is masked wherever it is. What is not
// text is masked as a whole: its tokens are anybody's guess.
func mask(src []byte, name string) []byte {
	if !utf8.Valid(src) {
		out := bytes.Clone(src)
		hide(out)
		return out
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	return maskTokens(src, tokens)
}

// maskTokens is mask of a text with these tokens.
func maskTokens(src []byte, tokens hclsyntax.Tokens) []byte {
	out := bytes.Clone(src)
	for i := 0; i+1 < len(tokens); i++ {
		if at := tokens[i].Range; hasPassword(string(tokens[i].Bytes)) {
			hide(out[at.Start.Byte:at.End.Byte])
		}
		if tokens[i].Type == hclsyntax.TokenComment {
			maskComment(out[tokens[i].Range.Start.Byte:tokens[i].Range.End.Byte])
		}
		if assigned(tokens, i) && isSecretName(string(tokens[i].Bytes)) {
			end := maskValue(out, tokens, i+2)
			i = max(i, end-1)
		}
	}
	return out
}

// maskComment masks what a comment sets a secret to: a line that was switched off.
func maskComment(comment []byte) {
	for _, at := range inComment.FindAllSubmatchIndex(comment, -1) {
		hide(comment[at[3]:at[1]])
	}
}

// hasPassword reports whether text is a URL with a user in it.
func hasPassword(text string) bool {
	_, rest, isURL := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	return isURL && strings.Contains(host, "@")
}

// assigned reports whether token i is a name that is followed by "=" or ":".
// A quoted key of an object is a name too.
func assigned(tokens hclsyntax.Tokens, i int) bool {
	if i+1 >= len(tokens) {
		return false
	}
	t, next := tokens[i].Type, tokens[i+1].Type
	if t == hclsyntax.TokenQuotedLit && next == hclsyntax.TokenCQuote && i+2 < len(tokens) {
		next = tokens[i+2].Type
	}
	isName := t == hclsyntax.TokenIdent || t == hclsyntax.TokenQuotedLit
	return isName && (next == hclsyntax.TokenEqual || next == hclsyntax.TokenColon)
}

// notSecret are attributes that sound like secrets and hold none.
var notSecret = []string{"authentication_port", "authentication_server_group"}

// isSecretName reports whether an attribute of this name may hold a secret.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	if slices.Contains(notSecret, name) {
		return false
	}
	for _, part := range []string{"key", "psk", "secret", "passw", "passphrase", "token", "authentication"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	for _, known := range []string{"pre_shared_key", "local_authentication", "remote_authentication", "key"} {
		if distance(name, known) <= len(known)/4 {
			return true
		}
	}
	return false
}

// maskValue masks the value that begins at token i, and returns the token
// behind it. Names of files and variables stay readable.
func maskValue(out []byte, tokens hclsyntax.Tokens, i int) int {
	depth, heredoc := 0, false
	identities := -1 // the depth at which quoted keys are identities
	for ; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case hclsyntax.TokenEOF:
			return i
		case hclsyntax.TokenNewline:
			if depth <= 0 && !heredoc {
				return i
			}
		case hclsyntax.TokenOHeredoc:
			heredoc = true
		case hclsyntax.TokenCHeredoc:
			heredoc = false
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen:
			if depth++; opensKeys(tokens, i) {
				identities = depth
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			if depth == identities {
				identities = -1
			}
			if depth--; depth < 0 {
				return i
			}
		case hclsyntax.TokenEqual, hclsyntax.TokenColon, hclsyntax.TokenComma, hclsyntax.TokenOQuote,
			hclsyntax.TokenCQuote:
		case hclsyntax.TokenComment:
			maskComment(out[t.Range.Start.Byte:t.Range.End.Byte])
			if depth <= 0 && endsLine(t.Bytes) {
				return i + 1
			}
		default:
			if !isReference(tokens, i) && !(depth == identities && isQuotedKey(tokens, i)) {
				hide(out[t.Range.Start.Byte:t.Range.End.Byte])
			}
		}
	}
	return i
}

// isReference reports whether token i is the name of a part of an object, or
// the text that file or env is set to.
func isReference(tokens hclsyntax.Tokens, i int) bool {
	if assigned(tokens, i) {
		return slices.Contains([]string{"pre_shared_key", "pre_shared_keys", "certificate", "file", "env", "eap",
			"query_identity", "methods", "only"}, string(tokens[i].Bytes))
	}
	if word := string(tokens[i].Bytes); tokens[i].Type == hclsyntax.TokenIdent && (word == "true" || word == "false") {
		return true
	}
	if i < 3 || tokens[i].Type != hclsyntax.TokenQuotedLit || tokens[i-1].Type != hclsyntax.TokenOQuote ||
		!assigned(tokens, i-3) {
		return false
	}
	key := string(tokens[i-3].Bytes)
	return key == "file" || key == "env" || key == "certificate"
}

// opensKeys reports whether token i opens the object that pre_shared_keys is set
// to, the keys of which are identities.
func opensKeys(tokens hclsyntax.Tokens, i int) bool {
	return i >= 2 && tokens[i].Type == hclsyntax.TokenOBrace && assigned(tokens, i-2) &&
		string(tokens[i-2].Bytes) == "pre_shared_keys"
}

// isQuotedKey reports whether token i is the whole text of a quoted key of an
// object.
func isQuotedKey(tokens hclsyntax.Tokens, i int) bool {
	return i >= 1 && tokens[i].Type == hclsyntax.TokenQuotedLit && tokens[i-1].Type == hclsyntax.TokenOQuote &&
		assigned(tokens, i)
}

// hide overwrites text with at most eight stars and blanks: the length of a
// secret is nobody's business either. Line ends stay.
func hide(text []byte) {
	for i, c := range text {
		switch {
		case c == '\n' || c == '\r':
		case i < 8:
			text[i] = '*'
		default:
			text[i] = ' '
		}
	}
}
