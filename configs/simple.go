package configs

// simple reports whether a file is written in so few signs that its tokens can be
// told without the lexer, and none of them is one that bounded tells of: names, "=",
// whole numbers, text in quotes without escapes and templates, lists, objects,
// comments to the end of a line. Nearly every configuration is. False says nothing:
// the lexer decides.
func simple(src []byte) bool {
	s := simpleScanner{src: src}
	for s.at < len(src) {
		if !s.token() {
			return false
		}
	}
	return len(s.open) == 0
}

// simpleScanner is one run of simple.
type simpleScanner struct {
	src     []byte
	at      int
	open    []byte // the closing brackets that are awaited
	operand bool   // a value can end with what was read last: a bracket would be an index
}

// token reads one token, or the blanks before it.
func (s *simpleScanner) token() bool {
	switch c := s.src[s.at]; {
	case c == ' ' || c == '\t':
		s.at++
		return true // as if it were not there
	case isNameStart(c):
		s.operand = true
		return s.length(isNamePart) <= maxWord
	case isDigit(c):
		s.operand = true
		return s.length(isDigit) <= maxNumber && (s.at == len(s.src) || endsNumber(s.src[s.at]))
	case c == '"':
		s.operand = true
		return s.text()
	case c == '{' || c == '[':
		return s.opens(c)
	case c == '}' || c == ']':
		return s.closes(c)
	case c == '#':
		return s.comment()
	case c == '/':
		return s.at+1 < len(s.src) && s.src[s.at+1] == '/' && s.comment()
	case c == '=' || c == ':': // "==" and "::" are operators
		s.at, s.operand = s.at+1, false
		return s.at == len(s.src) || s.src[s.at] != c
	case c == ',' || c == '\n':
		s.at, s.operand = s.at+1, false
		return true
	}
	return false
}

// length moves behind the characters that belong to a token, and returns how many
// there are.
func (s *simpleScanner) length(belongs func(byte) bool) int {
	from := s.at
	for s.at < len(s.src) && belongs(s.src[s.at]) {
		s.at++
	}
	return s.at - from
}

// text reads text in quotes.
func (s *simpleScanner) text() bool {
	s.at++
	length := s.length(func(c byte) bool { return c >= ' ' && c != '"' && c != '\\' && c != '$' && c != '%' })
	if length > maxLiteral || s.at == len(s.src) || s.src[s.at] != '"' {
		return false
	}
	s.at++
	return true
}

// opens reads an opening bracket.
func (s *simpleScanner) opens(c byte) bool {
	if c == '[' && s.operand || len(s.open) == maxDepth {
		return false
	}
	s.open = append(s.open, c+2) // in ASCII, '{' and '[' stand two before their counterparts
	s.at, s.operand = s.at+1, false
	return true
}

// closes reads a closing bracket.
func (s *simpleScanner) closes(c byte) bool {
	last := len(s.open) - 1
	if last < 0 || s.open[last] != c {
		return false
	}
	s.open = s.open[:last]
	s.at, s.operand = s.at+1, true
	return true
}

// comment reads a comment with the end of its line.
func (s *simpleScanner) comment() bool {
	s.length(func(c byte) bool { return c != '\n' && c != '\r' })
	if s.at == len(s.src) || s.src[s.at] != '\n' {
		return false
	}
	s.at, s.operand = s.at+1, false
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(c byte) bool {
	return c < 0x80 && !isDigit(c) && (isAlphanumeric(rune(c)) || c == '_')
}

func isNamePart(c byte) bool { return isNameStart(c) || isDigit(c) || c == '-' }

// endsNumber reports whether a number is over before c, and c belongs to no other
// number or name.
func endsNumber(c byte) bool {
	switch c {
	case ' ', '\t', '\n', ',', ']', '}':
		return true
	}
	return false
}
