package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/warrenvpn/warren/system/fault"
)

// TestErrorIsOneLine: what is printed of an error is its reason alone, whoever wraps
// it; hint and detail are for who looks for them.
func TestErrorIsOneLine(t *testing.T) {
	refused := &fault.Error{Code: fault.CodeRefused, Reason: "no", Hint: "try again", Detail: "a\nb\n"}
	if got := fmt.Errorf("asking: %w", refused).Error(); got != "asking: no" {
		t.Errorf("got %q", got)
	}
	var found *fault.Error
	if err := fmt.Errorf("asking: %w", refused); !errors.As(err, &found) || found.Hint != "try again" {
		t.Errorf("the hint is not found in %v", err)
	}
}

// TestErrorJSON: the keys are part of the API.
func TestErrorJSON(t *testing.T) {
	tests := []struct {
		name string
		err  any
		want string
	}{
		{"whole", &fault.Error{Code: fault.CodeRefused, Reason: "no", Hint: "h", Detail: "d"},
			`{"code":"refused","error":"no","hint":"h","detail":"d"}`},
		{"short", &fault.Error{Code: fault.CodeInternal, Reason: "no"}, `{"code":"internal","error":"no"}`},
		{"no such context", fault.NoContext("blue"),
			"{\"code\":\"no_context\",\"error\":\"there is no context \\\"blue\\\"\"," +
				"\"hint\":\"`warren show context` lists them\"}"},
		{"of one context", fault.ContextError{Context: "blue", Error: "no"}, `{"context":"blue","error":"no"}`},
	}
	for _, tt := range tests {
		b, err := json.Marshal(tt.err)
		if err != nil || string(b) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.name, b, err, tt.want)
		}
	}
}
