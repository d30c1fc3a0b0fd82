package api

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// oneFile has the same file under every name.
type oneFile struct{ Files }

func (oneFile) DiskVersions(context.Context, bool) (Versions, error)   { return Versions{}, nil }
func (oneFile) DiskManifest(context.Context, string) (Manifest, error) { return Manifest{}, nil }
func (oneFile) DiskNews(context.Context, string, uint64, uint64) ([]byte, error) {
	return nil, nil
}
func (oneFile) OpenContent(context.Context, string, string, int64) (FileInfo, io.ReadCloser, error) {
	return FileInfo{Size: 3}, io.NopCloser(strings.NewReader("")), nil
}
func (oneFile) OpenFile(context.Context, string) (FileInfo, io.ReadCloser, error) {
	return FileInfo{}, io.NopCloser(strings.NewReader("")), nil
}

// TestPeerRole: the other node of a pair reads, also the disks of contexts,
// and changes nothing; on behalf of its own callers it reads what every reader may.
func TestPeerRole(t *testing.T) {
	tests := []struct {
		name   string
		who    caller
		behalf bool
		verb   string
		target string
		status int
	}{
		{"peer reads versions", caller{peer: true}, false, "GET", "/v1/disks", 200},
		{"peer reads a manifest", caller{peer: true}, false, "GET", "/v1/disks/manifest?context=blue", 200},
		{"peer reads news", caller{peer: true}, false, "GET", "/v1/disks/news?context=blue&session=1&since=2", 200},
		{"peer reads no news", caller{peer: true}, false, "GET", "/v1/disks/news?context=blue&since=-2", 400},
		{"somebody at the peer reads news", caller{peer: true}, true, "GET", "/v1/disks/news?context=blue", 403},
		{"peer reads the rest of a file", caller{peer: true}, false, "GET",
			"/v1/files/content?name=blue:disk0:/x&sha256=00&offset=3", 200},
		{"peer reads the rest of any content", caller{peer: true}, false, "GET",
			"/v1/files/content?name=blue:disk0:/x&offset=3", 400},
		{"peer reads a file", caller{peer: true}, false, "GET", "/v1/files/content?name=blue:disk0:/x", 200},
		{"peer reads shared storage", caller{peer: true}, false, "GET", "/v1/files/content?name=nas:/x", 403},
		{"peer reads what is the system's", caller{peer: true}, false, "GET", "/v1/files/content?name=disk0:/x", 403},
		{"peer reads a context's shared storage", caller{peer: true}, false, "GET",
			"/v1/files/content?name=blue:nas:/x", 403},
		{"peer writes a file", caller{peer: true}, false, "PUT", "/v1/files/content?name=blue:disk0:/x", 403},
		{"peer deletes a file", caller{peer: true}, false, "DELETE", "/v1/files?name=blue:disk0:/x", 403},
		{"somebody at the peer reads versions", caller{peer: true}, true, "GET", "/v1/disks", 200},
		{"somebody at the peer reads a file", caller{peer: true}, true, "GET", "/v1/files/content?name=blue:disk0:/x",
			403},
		{"peer wants keys", caller{peer: true}, false, "GET", "/v1/contexts/blue/keys", 403},
		{"stranger reads a file", caller{uid: stranger}, false, "GET", "/v1/files/content?name=blue:disk0:/x", 403},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			b := &backend{names: []string{"blue"}, Files: oneFile{}}
			r := httptest.NewRequest(tt.verb, tt.target, nil)
			if tt.behalf {
				r.Header.Set(onBehalf, string(RoleRead))
			}
			w := httptest.NewRecorder()
			newServer(t, b).handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, tt.who)))
			if w.Code != tt.status {
				t.Errorf("got %d: %s", w.Code, w.Body)
			}
		})
	}
}

// TestNewerPeer: a field that this program does not know is the peer's business, and a
// mistake of anybody else.
func TestNewerPeer(t *testing.T) {
	const body = `{"author": "root", "files": [{"context": "blue", "name": "blue.hcl", "mode": 384}], "version": 2}`
	for _, tt := range []struct {
		name   string
		who    caller
		behalf bool
		body   string
		status int
	}{
		{"the peer", caller{peer: true}, false, body, 200},
		{"the peer, with two values", caller{peer: true}, false, body + "{}", 400},
		{"the peer, with another type", caller{peer: true}, false, `{"files": 1}`, 400},
		{"somebody at the peer", caller{peer: true}, true, body, 403},
		{"an operator", caller{}, false, body, 400},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			b := &backend{names: []string{"blue"}}
			r := httptest.NewRequest("POST", "/v1/failover/contexts", strings.NewReader(tt.body))
			if tt.behalf {
				r.Header.Set(onBehalf, string(RoleRead))
			}
			w := httptest.NewRecorder()
			newServer(t, b).handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, tt.who)))
			if w.Code != tt.status {
				t.Errorf("got %d: %s", w.Code, w.Body)
			}
			if tt.status == 200 && (len(b.taken) != 1 || b.taken[0].Files[0].Context != "blue") {
				t.Errorf("taken %+v", b.taken)
			}
		})
	}
}
