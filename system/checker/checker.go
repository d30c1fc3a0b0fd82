// Package checker keeps what tenants have written away from warrend's own parser
// until a process that nothing depends on has parsed it and lived on. That process is
// warrend's program in a sandbox (package confine): it has no file, no network, no
// privilege, one pipe to read texts from and one to answer to, and limits of memory
// and time. A text that ends it, or that takes too long, is refused.
//
// It does I/O. What the process answers is one byte, and is not trusted further than
// that: a parser that somebody takes over there could be taken over here as well.
// The sandbox guards against texts that crash a parser, fill the memory or never end.
package checker

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/configs"
)

// What is remembered.
const (
	// maxPassed is how many texts are known to be harmless: four versions of as many
	// contexts as a system has. 128 KiB.
	maxPassed = 4096
	// maxRefused is how many are known to be harmful, each for refusedFor, or, where that
	// is longer, until its check was that share of the time. A configuration with mistakes
	// is read several times within one command, and who was only out of luck on a busy host
	// is asked again by the next one; but a text that uses up what it gets is not given that
	// whenever somebody asks.
	maxRefused   = 256
	refusedFor   = 30 * time.Second
	refusedShare = 0.05 // of a processor
	// idleAfter ends a process that nobody has needed for so long.
	idleAfter = 2 * time.Second
)

// Config is what a Checker needs.
type Config struct {
	// Program runs Main when it is called with the Args of Started: the calling
	// process' own, if it is "".
	Program string
	UID     uint32 // of the process; of nobody else
	Log     *slog.Logger
}

// Checker checks texts, one after the other. Its methods may be called from several
// goroutines at once.
type Checker struct {
	cfg    Config
	limits limits
	rested time.Duration // after which a process ends that nobody needs
	caged  atomic.Bool   // see RequireSandbox
	// turn holds one token: whoever has it may use what follows.
	turn    chan struct{}
	child   *child // nil: there is none
	told    bool   // what confines the process was logged
	passed  memory[struct{}]
	refused memory[refusal]
	idle    *time.Timer // ends the child
}

// refusal is why a text was refused, and until when that holds.
type refusal struct {
	reason error
	until  time.Time
}

// New returns a Checker; Close ends it. It starts no process before there is something
// to be checked.
func New(cfg *Config) (*Checker, error) {
	if cfg.UID == 0 || cfg.Log == nil {
		return nil, errors.New("checker: a user that is not root, and a log, are needed")
	}
	c := &Checker{cfg: *cfg, limits: usual, rested: idleAfter, turn: make(chan struct{}, 1),
		passed:  memory[struct{}]{most: maxPassed},
		refused: memory[refusal]{most: maxRefused}}
	if c.cfg.Program == "" {
		c.cfg.Program = "/proc/self/exe"
	}
	c.idle = time.AfterFunc(time.Hour, c.rest)
	c.idle.Stop()
	c.turn <- struct{}{}
	return c, nil
}

// Check returns nil for a text of a context's file that may be parsed here, and else an
// error that says why not, as in "its checking took more than 5s of processor time".
// It blocks for as long as that takes: milliseconds for a text that is as it should be,
// half a minute at most. A text with mistakes may be parsed; who parses it tells
// them. Longer texts than configs.MaxFileSize are refused. A nil Checker has no
// objections.
func (c *Checker) Check(text []byte) error {
	if c == nil {
		return nil
	}
	if len(text) > configs.MaxFileSize {
		return fmt.Errorf("it has more than %d bytes", configs.MaxFileSize)
	}
	sum := sha256.Sum256(text)
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	if _, known := c.passed.get(sum); known {
		return nil
	}
	if r, known := c.refused.get(sum); known && time.Now().Before(r.until) {
		return r.reason
	}
	c.idle.Stop()
	defer c.idle.Reset(c.rested)
	if used, err := c.ask(text); err != nil {
		rest := time.Duration(float64(used) / refusedShare)
		c.refused.put(sum, refusal{err, time.Now().Add(max(refusedFor, rest))})
		return err
	}
	c.passed.put(sum, struct{}{})
	return nil
}

// RequireSandbox says whether texts are refused where the kernel lacks a part of what
// confines the process that checks them. It holds for the next text. A nil Checker has no
// process.
func (c *Checker) RequireSandbox(required bool) {
	if c != nil {
		c.caged.Store(required)
	}
}

// ask has a process check a text. One that has checked others before has used up some
// of what it may use, so that a new one has the last word. used is the processor time of
// those that the text has ended. The caller has the turn.
func (c *Checker) ask(text []byte) (used time.Duration, err error) {
	if c.child != nil && c.caged.Load() && len(c.child.box.Missing) > 0 {
		c.endChild()
	}
	for {
		fresh := c.child == nil
		if fresh {
			if c.child, err = c.start(); err != nil {
				return used, fmt.Errorf("the process that checks it cannot be started: %w", err)
			}
		}
		err := c.child.check(text)
		if err == nil {
			return used, nil
		}
		c.child.end()
		used += c.child.used()
		reason := c.child.reason(err)
		c.child = nil
		if fresh {
			c.cfg.Log.Warn("text of a context refused", "reason", reason)
			return used, reason
		}
	}
}

// rest ends the process; the next text gets a new one.
func (c *Checker) rest() {
	select {
	case <-c.turn:
	default: // it is at work
		return
	}
	c.endChild()
	c.turn <- struct{}{}
}

// Close ends the process and waits for its end. No text is checked any more.
func (c *Checker) Close() {
	if c == nil {
		return
	}
	<-c.turn
	c.idle.Stop()
	c.endChild()
}

func (c *Checker) endChild() {
	if c.child != nil {
		c.child.end()
		c.child = nil
	}
}
