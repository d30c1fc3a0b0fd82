package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/warrenvpn/warren/system/fault"
)

// print writes an answer: as JSON with --json, else as human makes it.
func (e *env) print(answer any, human func(io.Writer)) error {
	var b strings.Builder
	if e.json {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(answer); err != nil {
			return fmt.Errorf("encoding the answer: %w", err)
		}
	} else {
		human(&b)
	}
	if _, err := io.WriteString(e.stdout, b.String()); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// silent tells on stderr which contexts could not be asked. What the others
// said is printed and is a success; that nobody said anything is not.
func (e *env) silent(errs []fault.ContextError, rows int) error {
	e.lament(errs)
	if len(errs) > 0 && rows == 0 {
		return errSaid
	}
	return nil
}

// lament writes what is wrong with contexts to stderr.
func (e *env) lament(errs []fault.ContextError) {
	for _, one := range errs {
		text := one.Error
		if one.Context != "" && !strings.Contains(text, strconv.Quote(one.Context)) {
			text = fmt.Sprintf("context %q: %s", one.Context, text)
		}
		fmt.Fprintf(e.stderr, "warren: %s\n", plain(text))
		if one.Hint != "" {
			fmt.Fprintf(e.stderr, "hint: %s\n", plain(one.Hint))
		}
	}
}

// plain makes text harmless for a terminal: identities come from the network,
// and could hold escape sequences.
func plain(s string) string { return plainText(s, "") }

// plainLines is plain for text of several lines.
func plainLines(s string) string { return plainText(s, "\n\t") }

func plainText(s, keep string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r) || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		i += n
	}
	return b.String()
}

// addresses joins addresses, "-" for none.
func addresses(list []netip.Addr) string {
	if len(list) == 0 {
		return "-"
	}
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}

// moment prints a time as the appliance world does: absolute, with its zone.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// span prints a duration as hours, minutes and seconds, with days above one.
func span(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	s := int64(d / time.Second)
	text := fmt.Sprintf("%dh:%02dm:%02ds", s/3600%24, s/60%60, s%60)
	if days := s / 86400; days > 0 {
		text = fmt.Sprintf("%dd %s", days, text)
	}
	return text
}

// since prints the time that has passed since t.
func (e *env) since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return span(e.now().Sub(t))
}

// yesNo prints a truth.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// count prints a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
