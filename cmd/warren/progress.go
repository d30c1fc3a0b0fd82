package main

import (
	"fmt"
	"io"
	"time"
)

const (
	// patience is how long a copy lasts before anything is said of it.
	patience = 500 * time.Millisecond
	// glance is how often what is said changes.
	glance = 100 * time.Millisecond
)

// progress tells on standard error, if that is a terminal, how far something
// is.
type progress struct {
	e     *env
	begun time.Time
	last  time.Time // zero: nothing was said
}

func (e *env) progress() *progress { return &progress{e: e, begun: e.now()} }

// at says how far it is.
func (p *progress) at(done, total int64) {
	now := p.e.now()
	if !p.e.watched || now.Sub(p.begun) < patience || now.Sub(p.last) < glance {
		return
	}
	p.last = now
	text := size(done)
	if total > 0 {
		text = fmt.Sprintf("%3d%%  %s of %s", done*100/total, text, size(total))
	}
	rate := float64(done) / now.Sub(p.begun).Seconds()
	fmt.Fprintf(p.e.stderr, "\r%s  %s/s\x1b[K", text, size(int64(rate)))
}

// end takes back what was said.
func (p *progress) end() {
	if !p.last.IsZero() {
		fmt.Fprint(p.e.stderr, "\r\x1b[K")
	}
}

// size prints a number of bytes for a reader in a hurry.
func size(n int64) string {
	if n < 1<<10 {
		return count(int(n), "byte", "bytes")
	}
	f, unit := float64(n)/(1<<10), "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if f < 1<<10 {
			break
		}
		f, unit = f/(1<<10), next
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// followed is a reader that tells how far it is.
type followed struct {
	io.Reader
	done, total int64
	tell        func(done, total int64)
}

// Read implements io.Reader.
func (f *followed) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	f.done += int64(n)
	f.tell(f.done, f.total)
	return n, err
}
