package configs

import (
	"bytes"
	"encoding/hex"
	"slices"
	"unicode/utf8"

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
			n.problem(f.name.at, "Unknown entry", "This is nothing that %s knows.%s", v.name, suggest(f.name.text, allowed))
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
// hexadecimal.
type bounds struct{ low, high int }

// hexPrefix begins a secret that is written in hexadecimal: bytes that are no
// text.
const hexPrefix = "hex:"

// secret reads a secret in any of its forms: "text", { file = "..." } or
// { env = "NAME" }, each as it is or as "hex:" and hexadecimal digits. from says where it is named. The text itself is never
// part of a message.
func (n *node) secret(v *value, from origin, size bounds) (secret.Value, bool) {
	const form = `a secret: "text", { file = "..." } or { env = "NAME" }`
	if v.broken {
		return secret.Value{}, false
	}
	var content []byte
	switch fs, isObject := n.fields(v, "file", "env"); {
	case !isObject:
		it, ok := n.asText(v, form)
		if !ok {
			return secret.Value{}, false
		}
		content = []byte(it.text)
	case len(fs) != 1:
		n.wrong(v, form)
		return secret.Value{}, false
	default:
		it, ok := n.asText(fs[0].val, "the name of a file or variable, in quotes")
		if !ok {
			return secret.Value{}, false
		}
		if content, ok = n.secretBehind(fs[0].name.text, it, from); !ok {
			return secret.Value{}, false
		}
	}
	count, unit := utf8.RuneCount(content), "characters"
	if digits, isHex := bytes.CutPrefix(content, []byte(hexPrefix)); isHex {
		raw := make([]byte, hex.DecodedLen(len(digits)))
		if _, err := hex.Decode(raw, digits); err != nil {
			n.problem(v.at, "Secret is not hexadecimal", "What follows hex: in %s is hexadecimal digits, two for each byte.", v.name)
			clear(content)
			clear(raw)
			return secret.Value{}, false
		}
		clear(content)
		content, count, unit = raw, len(raw), "bytes"
	}
	if count < size.low || count > size.high {
		n.problem(v.at, "Secret of wrong length", "%s has %d %s; it needs %d to %d.", v.name, count, unit, size.low, size.high)
		clear(content)
		return secret.Value{}, false
	}
	return secret.New(content), true
}

// secretBehind fetches a secret from a file, without the line end at its end,
// or from the environment.
func (n *node) secretBehind(form string, it item, from origin) ([]byte, bool) {
	if form == "env" {
		if from.file.Scheme != SchemeFile {
			n.problem(it.at, "Environment out of reach", "A context's own file, on disk0: or from a server, cannot read the environment of warrend. Use { file = \"disk0:/...\" }.")
			return nil, false
		}
		text, ok := n.loader.LookupEnv(it.text)
		if !ok {
			n.problem(it.at, "Variable not set", "The environment of warrend has no variable %q. Set it, or use { file = \"...\" }.", it.text)
		}
		return []byte(text), ok
	}
	at, err := from.locate(it.text)
	if err != nil {
		n.problem(it.at, "Unusable path", "%q: %s.", it.text, err)
		return nil, false
	}
	content, ok := n.readFile(at, it.at)
	content = bytes.TrimSuffix(content, []byte("\n"))
	return bytes.TrimSuffix(content, []byte("\r")), ok
}
