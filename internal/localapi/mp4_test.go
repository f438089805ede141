package localapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
)

// TestMediaComesAsMP4, with the pictures of the range, and as a file of it.
func TestMediaComesAsMP4(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	want := pictures(t, written(t, "source.h264", film(t, s, 15)))
	a := serveOptions(t, Options{Store: s})
	for query, pieces := range map[string][2]int{"": {0, 15}, "&from=" + at(4*time.Second) + "&to=" + at(11*time.Second): {4, 11}} {
		resp, err := a.http.Get("http://agent/v1/media?format=mp4&stream=door" + query)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != typeMP4 || resp.Header.Get(headerIndexBytes) == "" {
			t.Errorf("%q: %s %v", query, resp.Status, resp.Header)
		}
		path := written(t, "out.mp4", []byte(body(t, resp)))
		if got := pictures(t, path); !slices.Equal(got, want[25*pieces[0]:25*pieces[1]]) {
			t.Errorf("%q: %d pictures, want those of %v s", query, len(got), pieces)
		}
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "file.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	var file *mp4.File
	var done, total int64
	media, err := NewClient(a.socket).MP4(t.Context(), Span{Stream: "door"}, func(index int64) (_ io.Writer, err error) {
		file, err = mp4.NewFile(out, index)
		return file, err
	}, func(d, of int64) { done, total = d, of })
	if err == nil {
		_, err = file.Finish(t.Context())
	}
	if err != nil || media.Fragments != 15 || done != total || media.AudioTracks != 0 || len(media.Patches) > 0 {
		t.Errorf("%+v, %d of %d bytes, %v", media, done, total, err)
	}
	if got := pictures(t, out.Name()); !slices.Equal(got, want) {
		t.Errorf("the file has %d pictures", len(got))
	}
}

func TestFormatsOfMedia(t *testing.T) {
	t.Parallel()
	a := serveOptions(t, Options{Store: large(t)})
	for format, want := range map[string]string{"": typeMatroska, "mkv": typeMatroska, "mp4": typeMP4} {
		query := "?stream=door"
		if format != "" {
			query += "&format=" + format
		}
		resp, err := a.http.Head("http://agent/v1/media" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Content-Type"); got != want {
			t.Errorf("%q is %s, want %s", format, got, want)
		}
	}
	status, text := a.get("/v1/media?stream=door&format=avi")
	if status != http.StatusBadRequest || !strings.Contains(text, "must be mkv or mp4") {
		t.Errorf("another one: %d %s", status, text)
	}
}

// TestAnAgentThatKnowsNoFormats is of an earlier version.
func TestAnAgentThatKnowsNoFormats(t *testing.T) {
	t.Parallel()
	older := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(ErrorHeader, codeParameter)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `there is no parameter "format"; /v1/media takes: stream, from, to`)
	}))
	socket := filepath.Join(t.TempDir(), "agent.sock")
	serveOn(t, older, socket)
	_, err := NewClient(socket).MP4(t.Context(), Span{Stream: "door"}, func(int64) (io.Writer, error) { return io.Discard, nil },
		func(int64, int64) {})
	if !errors.Is(err, ErrOlderFormat) {
		t.Error(err)
	}
}

// serveOn serves on a unix socket.
func serveOn(t *testing.T, s *httptest.Server, socket string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}
