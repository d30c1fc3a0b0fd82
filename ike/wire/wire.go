// Package wire is the byte format of IKE messages: the header, the chain of
// payloads, and one codec per payload (RFC 7296 section 3, RFC 7383 section
// 2.5). It checks form, not meaning: whether a payload belongs into an exchange
// is the engine's business, and encryption is that of package suite, which sees
// the SK payload as offsets only. It does no I/O.
//
// What is parsed aliases the bytes it was parsed from: keep them unchanged for
// as long as the payloads are in use. Parse functions named after a payload
// take its body, which is what follows the generic payload header.
package wire

import "fmt"

// Error is a message or payload that cannot be accepted, with the notification
// that RFC 7296 section 2.21 has for it.
type Error struct {
	Notify  NotifyType  // INVALID_SYNTAX, INVALID_MAJOR_VERSION or UNSUPPORTED_CRITICAL_PAYLOAD
	Payload PayloadType // the payload at fault; NoNextPayload: the header or the chain itself
	Text    string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Payload == NoNextPayload {
		return "wire: " + e.Text
	}
	return fmt.Sprintf("wire: %v payload: %s", e.Payload, e.Text)
}

// Response returns the notification that tells the peer. Its data are those of
// RFC 7296 section 3.10.1: the payload type for an unsupported critical
// payload, our major version for a version that we do not speak.
func (e *Error) Response() Notify {
	n := Notify{Type: e.Notify}
	switch e.Notify {
	case UnsupportedCriticalPayload:
		n.Data = []byte{byte(e.Payload)}
	case InvalidMajorVersion:
		n.Data = []byte{byte(Version2)}
	}
	return n
}

// syntax returns the error for a malformed payload of type t.
func syntax(t PayloadType, text string) error {
	return &Error{Notify: InvalidSyntax, Payload: t, Text: text}
}
