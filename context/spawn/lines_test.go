package spawn

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startLines returns lines that write to out, what the worker writes to, and how
// many lines were said to be lost.
func startLines(t *testing.T, out *bytes.Buffer, format string, perSecond int) (*lines, *os.File, *int64) {
	t.Helper()
	var told int64
	var h slog.Handler = slog.NewTextHandler(out, nil)
	if format == "json" {
		h = slog.NewJSONHandler(out, nil)
	}
	l, w, err := pipedLines(linesConfig{
		tenant: "blue", format: format, perSecond: perSecond, to: out, log: slog.New(h).With("tenant", "blue"),
		tell: func(n int64) { told += n },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.start()
	return l, w, &told
}

// pipedLines returns lines, and what the worker writes to.
func pipedLines(cfg linesConfig) (*lines, *os.File, error) {
	from, w, err := newBurstPipe()
	if err != nil {
		return nil, nil, err
	}
	return newLines(cfg, from), w, nil
}

// finish stops l, and waits until its writer has ended.
func finish(l *lines) {
	l.stop()
	<-l.done
}

// TestLinesAreBounded has a worker write without end, in a class with a limit and
// in one without: what is beyond the bound is lost, and the log tells of it.
func TestLinesAreBounded(t *testing.T) {
	for _, perSecond := range []int{1, 0} {
		var out bytes.Buffer
		l, w, told := startLines(t, &out, "text", perSecond)
		burst, rate := l.bucket.Burst, l.bucket.Rate
		begin := time.Now()
		n := int(burst) + 20_000
		for range n {
			if _, err := w.WriteString("line\n"); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		finish(l)
		most := int(burst + rate*time.Since(begin).Seconds() + 1)
		if got := strings.Count(out.String(), "text=line\n"); got < int(burst) || got > most {
			t.Errorf("limit %d: %d lines of %d passed, want %v to %d", perSecond, got, n, burst, most)
		}
		if *told == 0 {
			t.Error("nobody was told")
		}
	}
}

// writes counts how often something is written.
type writes struct{ count, bytes int }

func (w *writes) Write(b []byte) (int, error) {
	w.count, w.bytes = w.count+1, w.bytes+len(b)
	return len(b), nil
}

// TestLinesGather: lines that wait are passed on together.
func TestLinesGather(t *testing.T) {
	var out writes
	l, w, err := pipedLines(linesConfig{tenant: "blue", format: "text", to: &out, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1000 // less than a pipe holds
	line := "time=2026-01-02T03:04:05Z level=INFO msg=x tenant=blue\n"
	for range n {
		if _, err := w.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	l.start()
	finish(l)
	if out.bytes != n*len(line) || out.count > n/10 {
		t.Errorf("%d bytes in %d writes, want %d in %d at most", out.bytes, out.count, n*len(line), n/10)
	}
}

// TestLogStalls: a log that takes nothing holds up neither the worker nor stop. What
// has no room is counted, and told when the log goes on; nothing is lost otherwise.
func TestLogStalls(t *testing.T) {
	r, log, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var told int64
	l, w, err := pipedLines(linesConfig{
		tenant: "blue", format: "text", perSecond: 1 << 20, to: log, log: slog.New(slog.NewTextHandler(log, nil)),
		tell: func(n int64) { told += n },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.start()
	line := "time=2026-01-02T03:04:05Z level=INFO msg=x tenant=blue text=" + strings.Repeat("x", 200) + "\n"
	n := 4 * queueBytes / len(line)
	for range n {
		if _, err := w.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	for ended := false; !ended; <-time.After(time.Millisecond) { // all of it is read
		ended = l.queue.Ended()
	}
	l.stop()
	select {
	case <-l.done:
		t.Error("the log takes all")
	default:
	}
	read := make(chan int)
	go func() {
		var b bytes.Buffer
		b.ReadFrom(r)
		read <- strings.Count(b.String(), line)
	}()
	<-l.done
	log.Close()
	if got := <-read; got+int(told) != n || got < queueBytes/2/len(line) || told == 0 {
		t.Errorf("%d lines of %d are in the log, and %d are said to be lost", got, n, told)
	}
	r.Close()
}

// TestForgedLines: whatever a worker writes is its own tenant's, is printable,
// and begins a line of its own.
func TestForgedLines(t *testing.T) {
	stamp := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC).Format(time.RFC3339Nano)
	head, jsonHead := "time="+stamp+" level=INFO ", `{"time":"`+stamp+`","level":"INFO",`
	own := "level=WARN msg=\"worker wrote outside its log\" tenant=blue text="
	long := strings.Repeat("x", 3*longestLine)
	for _, tt := range []struct{ name, format, in, want string }{
		{"a record", "text", head + `msg="IKE SA established" tenant=blue sa=6f1c assigned="[10.0.0.1 ::1]"`,
			head + `msg="IKE SA established" tenant=blue sa=6f1c assigned="[10.0.0.1 ::1]"`},
		{"another tenant's", "text", head + "msg=x tenant=red sa=1 tenant=green", head + "msg=x tenant=blue sa=1"},
		{"nobody's", "text", head + "msg=x", head + "msg=x tenant=blue"},
		{"escape sequences", "text", head + "msg=\x1b[2J\u009b tenant=blue",
			own + `"` + strings.ReplaceAll(head+"msg=?[2J? tenant=blue", `"`, `\"`) + `"`},
		{"invalid UTF-8", "text", "\xff\xfe", own + "??"},
		{"two times", "text", head + "msg=x time=" + stamp, own + `"` + head + "msg=x time=" + stamp + `"`},
		{"no time", "text", "time=never level=INFO msg=x", own + `"time=never level=INFO msg=x"`},
		{"an open quote", "text", head + `msg="x`, own + `"` + head + `msg=\"x"`},
		{"a carriage return", "text", "a\rtime=x", own + `"a?time=x"`},
		{"a trace", "text", "goroutine 1 [running]:", own + `"goroutine 1 [running]:"`},
		{"a long line", "text", long, own + long[:longestLine]},
		{"the other format", "text", jsonHead + `"msg":"x"}`, own + `"` + strings.ReplaceAll(jsonHead+`"msg":"x"}`, `"`,
			`\"`) + `"`},
		{"JSON", "json", jsonHead + `"msg":"x","tenant":"red","assigned":["10.0.0.1"],"sa":{"a":1}}`,
			jsonHead + `"msg":"x","tenant":"blue","assigned":["10.0.0.1"],"sa":{"a":1}}`},
		{"JSON, cut short", "json", jsonHead + `"msg":"x"`,
			`"msg":"worker wrote outside its log","tenant":"blue","text":`},
		{"JSON, and more", "json", jsonHead + `"msg":"x"}{}`,
			`"msg":"worker wrote outside its log","tenant":"blue","text":`},
		{"JSON, a hidden key", "json", jsonHead + `"msg":"x","ten\u0061nt":"red"}`,
			jsonHead + `"msg":"x","tenant":"blue"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			l, w, _ := startLines(t, &out, tt.format, 0)
			fmt.Fprintln(w, tt.in)
			w.Close()
			finish(l)
			got, ends := strings.CutSuffix(out.String(), "\n")
			if !ends || !strings.Contains(got, tt.want) || strings.Contains(got, "\n") ||
				printable([]byte(got)) != got {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestWorkerNeverHoldsTheLog: standard error of a worker is a pipe, in every
// class.
func TestWorkerNeverHoldsTheLog(t *testing.T) {
	w := run(t, "good")
	s := w.until(t, "ready", ready)
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", s.PID))
	if err != nil || !strings.HasPrefix(link, "pipe:") {
		t.Errorf("descriptor 2 is %s, %v", link, err)
	}
	var own, log syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/fd/2", s.PID), &own); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fstat(int(w.cfg.Stderr.Fd()), &log); err != nil {
		t.Fatal(err)
	}
	if own.Ino == log.Ino && own.Dev == log.Dev {
		t.Error("descriptor 2 is the log itself")
	}
}

// TestLinesHeldOpen has somebody hold the worker's end open.
func TestLinesHeldOpen(t *testing.T) {
	var out bytes.Buffer
	l, w, _ := startLines(t, &out, "text", 1)
	defer w.Close()
	if _, err := w.WriteString("last words\n"); err != nil {
		t.Fatal(err)
	}
	finish(l)
	if !strings.Contains(out.String(), `text="last words"`) {
		t.Errorf("got %q", out.String())
	}
}

// FuzzRelabel: a line that is passed on as a record is of its tenant alone, is
// one line, and can be passed on again as it is.
func FuzzRelabel(f *testing.F) {
	f.Add("time=2026-01-02T03:04:05Z level=INFO msg=x tenant=red a=\"b c\"", false)
	f.Add(`{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"x","tenant":"red","a":[1,{"b":null}]}`, true)
	f.Add("panic: x", false)
	f.Fuzz(func(t *testing.T, line string, isJSON bool) {
		format := map[bool]string{true: "json", false: "text"}[isJSON]
		out, ok := relabel(nil, []byte(line), format, "blue")
		if !ok {
			return
		}
		text, ended := strings.CutSuffix(string(out), "\n")
		if !ended || printable([]byte(text)) != text {
			t.Fatalf("%q becomes %q", line, out)
		}
		again, ok := relabel(nil, out, format, "blue")
		if !ok || !bytes.Equal(again, out) {
			t.Fatalf("%q becomes %q, and that %q", line, out, again)
		}
	})
}
