// Package fault is what an error is for an operator: what kind it is, one line that
// says what is wrong, and what can be done about it. It is a leaf, and does no I/O:
// who finds the error and who prints it share these values and nothing else.
package fault

import "fmt"

// Code is the kind of an error. A program may decide by it what to do next; the API
// decides the HTTP status by it.
type Code string

// The codes of errors.
const (
	CodeInvalid   Code = "invalid"    // the request is malformed
	CodeDenied    Code = "denied"     // the caller's role does not suffice
	CodeNoContext Code = "no_context" // there is no such context
	CodeNoFile    Code = "no_file"    // there is no such file or volume
	CodeNoRoute   Code = "no_route"   // there is no such path
	CodeNoMethod  Code = "no_method"  // the path does not know the verb
	CodeRefused   Code = "refused"    // understood, but it cannot be done now
	CodeNotReady  Code = "not_ready"  // the context's worker does not answer
	CodeInternal  Code = "internal"   // a fault of warrend
	// CodeUnreachable is never sent: the client uses it where there is no server.
	CodeUnreachable Code = "unreachable"
)

// Error is an error that the operator sees. Its JSON is the body of every answer of
// the API that is not a success.
type Error struct {
	Code   Code   `json:"code"`
	Reason string `json:"error"`            // one line: what is wrong
	Hint   string `json:"hint,omitempty"`   // what the operator can do
	Detail string `json:"detail,omitempty"` // text of several lines, such as diagnostics
}

// Error implements error.
func (e *Error) Error() string { return e.Reason }

// NoContext is the error for a context that does not exist.
func NoContext(name string) *Error {
	return &Error{
		Code:   CodeNoContext,
		Reason: fmt.Sprintf("there is no context %q", name),
		Hint:   "`warren show context` lists them",
	}
}

// NotReady is the error for a context whose worker cannot be asked.
func NotReady(name, reason string) *Error {
	return &Error{
		Code:   CodeNotReady,
		Reason: fmt.Sprintf("context %q does not answer: %s", name, reason),
		Hint:   fmt.Sprintf("`warren show context --detail %s` and warrend's log say more", name),
	}
}

// ContextError is what is wrong with one context, while the others may be well.
type ContextError struct {
	Context string `json:"context"` // its name; "" for the system
	Error   string `json:"error"`
	Hint    string `json:"hint,omitempty"`
}
