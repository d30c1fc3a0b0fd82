package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/warrenvpn/warren/system/api"
)

// Files lists a directory of a context, or one file: "blue:disk0:/certs". With
// "" it lists all volumes, by their whole names.
func (c *Client) Files(ctx context.Context, name string) (api.Directory, error) {
	return call[api.Directory](ctx, c, request{verb: http.MethodGet, path: filePath("", name), timeout: quickTimeout})
}

// DeleteFile deletes a file or an empty directory.
func (c *Client) DeleteFile(ctx context.Context, name string) (api.Deleted, error) {
	return call[api.Deleted](ctx, c, request{verb: http.MethodDelete, path: filePath("", name), timeout: quickTimeout})
}

// VerifyFile makes the server read a whole file, and returns its checksum.
func (c *Client) VerifyFile(ctx context.Context, name string) (api.FileInfo, error) {
	return stream[api.FileInfo](ctx, c, http.MethodGet, filePath("/checksum", name), nil, 0)
}

// DiskVersions tells in which state the disks are.
func (c *Client) DiskVersions(ctx context.Context) (api.Versions, error) {
	return get[api.Versions](ctx, c, "/v1/disks", "")
}

// DiskManifest returns everything on disk0: of a context. It may take as
// long as reading all of it.
func (c *Client) DiskManifest(ctx context.Context, name string) (api.Manifest, error) {
	return stream[api.Manifest](ctx, c, http.MethodGet, "/v1/disks/manifest?context="+url.QueryEscape(name), nil, 0)
}

// ReadFile returns the content of a file and its size. The caller reads to the
// end, where content that was cut off is an error, and closes it.
func (c *Client) ReadFile(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	resp, err := c.open(ctx, http.MethodGet, filePath("/content", name), nil, 0)
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}

// WriteFile makes or replaces a file of size bytes, with the directories that it
// needs. On an error the file is as it was.
func (c *Client) WriteFile(ctx context.Context, name string, size int64, r io.Reader) (api.FileInfo, error) {
	return stream[api.FileInfo](ctx, c, http.MethodPut, filePath("/content", name), r, size)
}

// CopyFile makes the server copy a file, and calls progress, which may be nil,
// now and then.
func (c *Client) CopyFile(ctx context.Context, which api.Copy, progress func(done, total int64)) (api.FileInfo, error) {
	body, err := json.Marshal(which)
	if err != nil {
		return api.FileInfo{}, fmt.Errorf("client: encoding copy: %w", err)
	}
	resp, err := c.open(ctx, http.MethodPost, "/v1/files/copy", bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return api.FileInfo{}, err
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var e api.CopyEvent
		err := d.Decode(&e)
		switch {
		case ctx.Err() != nil:
			return api.FileInfo{}, c.unreachable(ctx.Err())
		case err != nil:
			return api.FileInfo{}, c.foreign(fmt.Sprintf("reading how far the copy is: %v", err))
		case e.Error != nil:
			return api.FileInfo{}, e.Error
		case e.File != nil:
			return *e.File, nil
		case progress != nil:
			progress(e.Done, e.Total)
		}
	}
}

// filePath returns the path of a route for one file.
func filePath(route, name string) string {
	return "/v1/files" + route + "?name=" + url.QueryEscape(name)
}

// stream is call for content of any length: it may take as long as it moves.
func stream[T any](ctx context.Context, c *Client, verb, path string, body io.Reader, size int64) (T, error) {
	var answer T
	resp, err := c.open(ctx, verb, path, body, size)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return answer, c.foreign(fmt.Sprintf("reading its answer: %v", err))
	}
	return answer, nil
}

// open asks and returns the answer if it is a success; the caller closes its
// body.
func (c *Client) open(ctx context.Context, verb, path string, body io.Reader, size int64) (*http.Response, error) {
	source := &source{r: body}
	var sent io.Reader
	if body != nil {
		sent = source
	}
	if size == 0 && body != nil {
		sent = http.NoBody
	}
	req, err := http.NewRequestWithContext(ctx, verb, "http://warrend"+path, sent)
	if err != nil {
		return nil, fmt.Errorf("client: making request: %w", err)
	}
	if body != nil {
		req.ContentLength = size
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := c.http.Do(req)
	switch {
	case err != nil && source.err.Load() != nil:
		return nil, fmt.Errorf("client: reading what is to be written: %w", *source.err.Load())
	case err != nil:
		return nil, c.unreachable(err)
	case resp.StatusCode != http.StatusOK:
		defer resp.Body.Close()
		return nil, c.refusal(resp.StatusCode, io.LimitReader(resp.Body, maxAnswer))
	}
	return resp, nil
}

// source remembers that reading failed: that is not the server's fault. The
// transport may still read when it has returned.
type source struct {
	r   io.Reader
	err atomic.Pointer[error]
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err.Store(&err)
	}
	return n, err
}
