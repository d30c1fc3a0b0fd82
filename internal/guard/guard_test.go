package guard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	defer Enable()()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	if err := Run(log, "nothing", func() error { return nil }); err != nil || out.Len() > 0 {
		t.Errorf("without a panic: %v, %s", err, out.String())
	}
	own := errors.New("own")
	if err := Run(log, "an error", func() error { return own }); err != own {
		t.Errorf("got %v", err)
	}
	var none []int
	index := 3
	for want, fn := range map[string]func(){
		"index out of range":                 func() { _ = none[index] },
		"a constant text":                    func() { panic("a constant text") },
		"a panic with struct { key string }": func() { panic(struct{ key string }{"hunter2"}) },
	} {
		out.Reset()
		err := Run(log, "a test", func() error { fn(); return nil })
		if !errors.Is(err, ErrPanic) {
			t.Errorf("%s: got %v", want, err)
		}
		got := out.String()
		if !strings.Contains(got, "level=ERROR") || !strings.Contains(got, want) ||
			!strings.Contains(got, "guard.TestRun.func") || strings.Contains(got, "hunter2") {
			t.Errorf("%s: the log says %s", want, got)
		}
	}
	if caught.Load() != 3 {
		t.Errorf("%d panics counted", caught.Load())
	}
}

// TestTestsPanic: where no main function has enabled it a panic goes on.
func TestTestsPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the panic was swallowed")
		}
	}()
	_ = Run(slog.Default(), "a test", func() error { panic("on purpose") })
}

// TestKeep: what ends is begun again, whether it has returned, failed or panicked,
// until its time is over.
func TestKeep(t *testing.T) {
	defer Enable()()
	ctx, cancel := context.WithCancel(t.Context())
	calls, failures := 0, 0
	Keep(ctx, slog.New(slog.DiscardHandler), "a test", time.Nanosecond, func() error {
		switch calls++; calls {
		case 1:
			return nil
		case 2:
			panic("on purpose")
		case 3:
			return errors.New("own")
		}
		cancel()
		return ctx.Err()
	}, func(error) { failures++ })
	if calls != 4 || failures != 1 {
		t.Errorf("%d calls, %d failures told, want 4 and 1", calls, failures)
	}
}

// TestApart: what runs apart is waited for, returns its error, and is caught like
// any other.
func TestApart(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	if err := Apart(log, "a test", func() error { return io.EOF }); err != io.EOF {
		t.Errorf("got %v, want the function's error", err)
	}
	defer Enable()()
	if err := Apart(log, "a test", func() error { panic("x") }); !errors.Is(err, ErrPanic) {
		t.Errorf("got %v, want ErrPanic", err)
	}
}
