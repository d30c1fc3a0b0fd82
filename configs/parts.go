package configs

import "bytes"

// part is an attribute or a block at the top of a file.
type part struct {
	key  string // its name, with the labels of a block: no two parts of a valid file share one
	text []byte // from its first token to the end of its last line, or of the comment there
}

// partsOf returns the parts of a file that is simple, in their order; ok is false where it is
// not, or where two parts have the same key.
func partsOf(src []byte) (list []part, ok bool) {
	s := simpleScanner{src: src}
	known := map[string]bool{}
	var key []byte
	begin, named := -1, false // of the part that is read: where, and whether its key is known
	end := func() bool {
		if begin < 0 {
			return true
		}
		p := part{string(key), src[begin:s.at]}
		if known[p.key] {
			return false
		}
		known[p.key] = true
		list, key, begin, named = append(list, p), key[:0], -1, false
		return true
	}
	for s.at < len(src) {
		at := s.at
		if !s.token() {
			return nil, false
		}
		text := src[at:s.at]
		switch c := text[0]; {
		case c == ' ' || c == '\t':
		case len(s.open) == 0 && text[len(text)-1] == '\n':
			if !end() {
				return nil, false
			}
		default:
			if begin < 0 {
				begin = at
			}
			named = named || c == '{' || c == '='
			if !named { // a label may stand in quotes
				key = append(append(key, bytes.Trim(text, `"`)...), 0)
			}
		}
	}
	return list, len(s.open) == 0 && end()
}

// differing returns the parts of two versions of a file that are not the same in both, each
// version's in its order. Versions whose parts cannot be told come back as they are.
func differing(before, after []byte) (was, is []byte) {
	old, ok := partsOf(before)
	now, okNow := partsOf(after)
	if !ok || !okNow {
		return before, after
	}
	return without(old, now), without(now, old)
}

// without returns those of a version's parts that another version does not have.
func without(list, other []part) (text []byte) {
	has := make(map[string][]byte, len(other))
	for _, p := range other {
		has[p.key] = p.text
	}
	for _, p := range list {
		if same, ok := has[p.key]; !ok || !bytes.Equal(same, p.text) {
			text = append(append(text, p.text...), '\n')
		}
	}
	return text
}
