package main

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/bench/figure"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/suite"
)

// What is measured of both, beside one another in one run.
const (
	setupTime = ": processor time of the gateway for one"
	saSize    = ": PSS of an IKE SA with its child SA"
)

// ratios adds how warren stands to strongSwan, where both were measured: medians of all
// rounds. The floor is what no gateway can do without.
func (r *report) ratios() error {
	if ours, theirs, ok := r.both(setupTime); ok {
		floor, err := keyExchangeTime()
		if err != nil {
			return err
		}
		r.Add("processor time of a set-up, strongSwan to warren", theirs/ours, "times as much", "5 or more")
		r.Add("processor time of a key exchange alone, X25519", floor, "ms", "")
	}
	if ours, theirs, ok := r.both(saSize); ok {
		r.Add("memory of an SA, warren to strongSwan", ours/theirs, "times", "")
	}
	return nil
}

// both returns the medians of a figure for both programs.
func (r *report) both(name string) (ours, theirs float64, ok bool) {
	values := map[string][]float64{}
	for _, f := range r.Figures {
		values[f.Name] = append(values[f.Name], f.Value)
	}
	a, b := values["warren"+name], values["strongSwan"+name]
	if len(a) == 0 || len(b) == 0 {
		return 0, 0, false
	}
	return figure.SpreadOf(a).Median, figure.SpreadOf(b).Median, true
}

// keyExchangeTime returns the processor time in milliseconds of what a responder
// computes for a key exchange: its public value, and the secret.
func keyExchangeTime() (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	peer, err := suite.Begin(sa.KEX25519, rand.Reader)
	if err != nil {
		return 0, err
	}
	const n = 5000
	before, err := threadTime()
	if err != nil {
		return 0, err
	}
	for range n {
		k, err := suite.Respond(sa.KEX25519, rand.Reader, peer.Public())
		if err == nil {
			_, err = k.Secret()
		}
		if err != nil {
			return 0, err
		}
	}
	after, err := threadTime()
	return float64(after-before) / n / float64(time.Millisecond), err
}

// threadTime returns the processor time of this thread.
func threadTime() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return 0, fmt.Errorf("processor time of a thread: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
