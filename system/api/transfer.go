package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/system/fault"
)

const (
	// stallTimeout ends a caller that neither sends nor takes content.
	stallTimeout = 30 * time.Second
	// eventInterval is how often a copy tells how far it is.
	eventInterval = 100 * time.Millisecond

	contentType = "application/octet-stream"
	eventsType  = "application/x-ndjson"
)

// content is the body of a request or an answer that is the content of a file.
type content struct{}

// upload is the body of a request whose sender may take long, but not stall.
type upload struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read implements io.Reader.
func (u *upload) Read(b []byte) (int, error) {
	if err := u.control.SetReadDeadline(time.Now().Add(stallTimeout)); err != nil &&
		!errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return u.ReadCloser.Read(b)
}

// transfer is an answer that is written as it comes.
type transfer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// begin sends the header; size is -1 where the length is not known.
func (t *transfer) begin(media string, size int64) {
	t.begun = true
	h := t.w.Header()
	h.Set("Content-Type", media)
	h.Set("X-Content-Type-Options", "nosniff")
	if size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	t.w.WriteHeader(http.StatusOK)
}

// pass passes on an answer of another server as it is.
func (t *transfer) pass(resp *http.Response) {
	t.begun = true
	h := t.w.Header()
	h.Set("Content-Type", resp.Header.Get("Content-Type"))
	h.Set("X-Content-Type-Options", "nosniff")
	if resp.ContentLength >= 0 {
		h.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	t.w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(t, resp.Body) // whoever asked sees that it is cut short
}

// Write implements io.Writer.
func (t *transfer) Write(b []byte) (int, error) {
	if err := t.control.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil &&
		!errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return t.w.Write(b)
}

// event sends one line. A caller that has gone is no concern of ours.
func (t *transfer) event(e CopyEvent) {
	if !t.begun {
		t.begin(eventsType, -1)
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic("api: internal error: " + err.Error())
	}
	t.Write(append(text, '\n'))
	t.control.Flush()
}

func (s *Server) listFiles(r *http.Request) (any, error) {
	dir, err := s.cfg.Backend.ListFiles(r.Context(), r.URL.Query().Get(nameParam))
	dir.Files = orEmpty(dir.Files)
	return dir, err
}

func (s *Server) deleteFile(r *http.Request) (any, error) {
	name := r.URL.Query().Get(nameParam)
	return s.cfg.Backend.DeleteFile(r.Context(), name)
}

func (s *Server) verifyFile(r *http.Request) (any, error) {
	return s.cfg.Backend.VerifyFile(r.Context(), r.URL.Query().Get(nameParam))
}

func (s *Server) writeFile(r *http.Request) (any, error) {
	if r.ContentLength < 0 {
		return nil, &fault.Error{Code: fault.CodeInvalid, Reason: "the length of the content is not given",
			Hint: "send a Content-Length"}
	}
	return s.cfg.Backend.WriteFile(r.Context(), r.URL.Query().Get(nameParam), r.ContentLength, r.Body)
}

// readFile answers with the content. Where it ends early, the answer is shorter
// than its header says, and the caller sees that.
func (s *Server) readFile(t *transfer, r *http.Request) error {
	name := r.URL.Query().Get(nameParam)
	who, _ := r.Context().Value(callerKey{}).(caller) // serve has refused others
	if who.peer && !onDisk(name) {
		return &fault.Error{Code: fault.CodeDenied,
			Reason: fmt.Sprintf("%s is not on the disk of a context: the other unit needs nothing else", name)}
	}
	info, size, body, err := s.content(r, name)
	if err != nil {
		return err
	}
	defer body.Close()
	t.begin(contentType, size)
	if n, err := io.Copy(t, io.LimitReader(body, size)); err != nil || n < size {
		s.log.Debug("api answer is cut off", "file", info.Name, "count", n, "reason", err)
	}
	return nil
}

// content opens what is asked for: a file, or a content of it from an offset on.
func (s *Server) content(r *http.Request, name string) (info FileInfo, size int64, body io.ReadCloser, err error) {
	q := r.URL.Query()
	offset, err := number(q.Get(offsetParam))
	switch sum := q.Get(sumParam); {
	case err != nil || offset > math.MaxInt64 || offset > 0 && sum == "":
		return info, 0, nil, &fault.Error{Code: fault.CodeInvalid, Reason: "the offset makes no sense",
			Hint: "it is a number of bytes, and goes with sha256"}
	case sum == "":
		info, body, err = s.cfg.Backend.OpenFile(r.Context(), name)
	default:
		info, body, err = s.cfg.Backend.OpenContent(r.Context(), name, sum, int64(offset))
	}
	return info, info.Size - int64(offset), body, err
}

// onDisk reports whether a file is on the disk of a context: "context:disk0:/path".
func onDisk(name string) bool {
	owner, rest, _ := strings.Cut(name, ":")
	return owner != "" && strings.HasPrefix(rest, "disk0:/")
}

// copyFile answers with events. Until there is one, an error decides the status.
func (s *Server) copyFile(t *transfer, r *http.Request) error {
	var which Copy
	if err := decode(r, &which); err != nil {
		return err
	}
	owners := []string{ownerOf(which.From), ownerOf(which.To)}
	owners = slices.Compact(slices.DeleteFunc(owners, func(name string) bool { return name == "" }))
	leave, err := s.enter(owners...)
	if err != nil {
		return err
	}
	defer leave()
	last, latest := time.Now(), CopyEvent{}
	info, err := s.cfg.Backend.CopyFile(r.Context(), which, func(done, total int64) {
		latest = CopyEvent{Done: done, Total: total}
		if now := time.Now(); now.Sub(last) >= eventInterval {
			last = now
			t.event(latest)
		}
	})
	switch {
	case err != nil && !t.begun:
		return err
	case err != nil:
		latest.Error = asError(err)
	default:
		latest = CopyEvent{Done: info.Size, Total: info.Size, File: &info}
		s.log.Info("file copied", "file", which.To, "source", which.From)
	}
	t.event(latest)
	return nil
}
