package configs

import (
	"bytes"
	"encoding/hex"
	"slices"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/warrenvpn/warren/internal/secret"
)

// field is one entry of an object.
type field struct {
	name item
	val  *value
}

// fields returns the entries of an object with the names allowed; others are
// told. ok is false where the value is no object, which is not told.
func (n *node) fields(v *value, allowed ...string) (out []field, ok bool) {
	all, ok := n.entries(v)
	for _, f := range all {
		if !slices.Contains(allowed, f.name.text) {
			n.problem(f.name.at, "Unknown entry", "%s has no such entry.%s", v.name, suggest(f.name.text, allowed))
			continue
		}
		out = append(out, f)
	}
	return out, ok
}

// entries returns the entries of an object, in the order of the file. ok is
// false where the value is no object, which is not told.
func (n *node) entries(v *value) (out []field, ok bool) {
	object, ok := v.expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return nil, false
	}
	for _, it := range object.Items {
		key := n.evaluate(v.name, it.KeyExpr)
		if key.broken || key.val.IsNull() || key.val.Type() != cty.String {
			continue
		}
		out = append(out, field{item{key.val.AsString(), key.at}, n.evaluate(key.val.AsString(), it.ValueExpr)})
	}
	return out, true
}

// bounds are how many characters a secret has; bytes, where it is written in
// hexadecimal. Fewer than short are warned about.
type bounds struct{ low, high, short int }

// hexPrefix begins a secret that is written in hexadecimal: bytes that are no
// text.
const hexPrefix = "hex:"

// secret reads a secret in any of its forms: "text", { file = "..." } or
// { env = "NAME" }, each as it is or as "hex:" and hexadecimal digits. from says
// where it is named. The text itself is never part of a message.
func (n *node) secret(v *value, from origin, size bounds) (secret.Value, bool) {
	content, isHex, ok := n.secretText(v, from)
	if !ok {
		return secret.Value{}, false
	}
	count, unit := len(content), "bytes"
	if !isHex {
		count, unit = utf8.RuneCount(content), "characters"
	}
	if count < size.low || count > size.high {
		n.problem(v.at, "Secret of wrong length", "%s has %d %s; it needs %d to %d.", v.name, count, unit,
			size.low, size.high)
		clear(content)
		return secret.Value{}, false
	}
	if size.short > count {
		n.warning(v.at, "Short secret",
			"%s has %d %s: whoever records a handshake can try all that are so short. "+
				"Use %d or more, chosen by chance.", v.name, count, unit, size.short)
	}
	return secret.New(content), true
}

// secretText returns the bytes of a secret, and whether they were written in
// hexadecimal.
func (n *node) secretText(v *value, from origin) (content []byte, isHex, ok bool) {
	const form = `a secret: "text", { file = "..." } or { env = "NAME" }`
	if v.broken {
		return nil, false, false
	}
	switch fs, isObject := n.fields(v, "file", "env"); {
	case !isObject:
		it, ok := n.asText(v, form)
		if !ok {
			return nil, false, false
		}
		content = []byte(it.text)
		n.warnReadable(from.file, v.at)
	case len(fs) != 1:
		n.wrong(v, form)
		return nil, false, false
	default:
		it, ok := n.asText(fs[0].val, "the name of a file or variable, in quotes")
		if !ok {
			return nil, false, false
		}
		if content, ok = n.secretBehind(fs[0].name.text, it, from); !ok {
			return nil, false, false
		}
	}
	digits, isHex := bytes.CutPrefix(content, []byte(hexPrefix))
	if !isHex {
		return content, false, true
	}
	defer clear(content)
	raw := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(raw, digits); err != nil {
		n.problem(v.at, "Secret is not hexadecimal",
			"What follows hex: in %s is hexadecimal digits, two for each byte.", v.name)
		clear(raw)
		return nil, true, false
	}
	return raw, true, true
}

// secretBehind fetches a secret from a file, without the line end at its end,
// or from the environment.
func (n *node) secretBehind(form string, it item, from origin) ([]byte, bool) {
	if form == "env" {
		if from.file.Scheme != SchemeFile {
			n.problem(it.at, "Environment out of reach",
				"A context's own file, on disk0: or from a server, cannot read the environment of warrend. Use { "+
					"file = \"disk0:/...\" }.")
			return nil, false
		}
		text, ok := n.loader.LookupEnv(it.text)
		if !ok {
			n.problem(it.at, "Variable not set",
				"The environment of warrend has no variable %q. Set it, or use { file = \"...\" }.", it.text)
		}
		return []byte(text), ok
	}
	at, err := from.locate(it.text)
	if err != nil {
		n.problem(it.at, "Unusable path", "%q: %s.", it.text, err)
		return nil, false
	}
	content, ok := n.readFile(at, it.at)
	if ok {
		n.warnReadable(at, it.at)
	}
	content = bytes.TrimSuffix(content, []byte("\n"))
	content = bytes.TrimSuffix(content, []byte("\r"))
	if ok && hasUnseen(content) {
		n.warning(it.at, "Signs that nobody sees",
			"%s begins with a byte order mark, or has blanks around its text or more than one line: all of them are "+
				"a part of the secret.", at)
	}
	return content, ok
}

// hasUnseen reports whether the text of a secret has around or in it what an editor
// adds, and does not show.
func hasUnseen(content []byte) bool {
	return utf8.Valid(content) &&
		(bytes.HasPrefix(content, []byte("\ufeff")) || len(bytes.TrimSpace(content)) < len(content) ||
			bytes.ContainsAny(content, "\r\n"))
}

// warnReadable tells once of a file with a secret in it that everybody on the host
// can read. What a server has is as secret as the server keeps it.
func (r *reader) warnReadable(file Location, at hcl.Range) {
	modes, ok := r.loader.(ModeReader)
	if !ok || r.looked[file] || file.Scheme == SchemeHTTPS {
		return
	}
	r.looked[file] = true
	if mode, err := modes.Mode(file); err == nil && mode&0o004 != 0 {
		r.warning(at, "Secret that everybody can read",
			"%s has a secret in it, and its mode is %04o: take the right to read it from others, with `chmod o-r`.",
			file, mode.Perm())
	}
}
