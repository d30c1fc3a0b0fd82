package api

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/warrenvpn/warren/context/control"
)

// counting is a backend that notes what is asked of contexts.
type counting struct {
	*backend
	mu    sync.Mutex // guards asked
	asked []string
}

func (c *counting) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, what)
}

func (c *counting) IKESAs(ctx context.Context, name string) ([]control.IKESA, error) {
	c.note("IKE SAs")
	return c.backend.IKESAs(ctx, name)
}

func (c *counting) Sessions(ctx context.Context, name string) ([]control.Session, error) {
	c.note("sessions")
	return c.backend.Sessions(ctx, name)
}

func (c *counting) Resources(ctx context.Context, name string) ([]control.Resource, error) {
	c.note("resources")
	return c.backend.Resources(ctx, name)
}

func (c *counting) IPsecStats(ctx context.Context, name string) (control.IPsecStats, error) {
	c.note("counters")
	return c.backend.IPsecStats(ctx, name)
}

// TestOneQuestion: who asks for one fact has every context asked for that one alone. A
// context that does not answer is an error, and no row of zeros.
func TestOneQuestion(t *testing.T) {
	for _, tt := range []struct{ target, asked, rows string }{
		{"/v1/ike-sas", "IKE SAs", `"context"`},
		{"/v1/child-sas", "IKE SAs", `"context"`},
		{"/v1/sessions", "sessions", `"user"`},
		{"/v1/resources", "resources", `"resource"`},
		{"/v1/ipsec-stats", "counters", `"offloads"`},
	} {
		t.Run(tt.target, func(t *testing.T) {
			b := &counting{backend: &backend{names: []string{"blue", "dead", "red"}}}
			code, body := do(t, newServer(t, b), 0, "GET", tt.target, "")
			if want := strings.Repeat(tt.asked+" ", 3); code != 200 || strings.Join(b.asked, " ")+" " != want {
				t.Errorf("status %d, asked for %q, want %q", code, b.asked, want)
			}
			if tt.asked != "resources" && strings.Count(body, tt.rows) < 2 ||
				!strings.Contains(body, `"errors":[{"context":"dead"`) {
				t.Errorf("got %s", body)
			}
			if tt.asked == "counters" && strings.Count(body, tt.rows) != 2 {
				t.Errorf("a context that does not answer has counters: %s", body)
			}
		})
	}
}
