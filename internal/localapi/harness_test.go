package localapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	begin = time.Date(2026, 11, 21, 4, 20, 48, 123e6, time.UTC)
	track = mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte{1, 2, 3}, Width: 16, Height: 16}
)

// api is a server with the helpers of its tests.
type api struct {
	t      *testing.T
	server *Server
	socket string
	http   *http.Client
	stop   func() error
}

// serveOptions serves until the end of the test, or until stop.
func serveOptions(t *testing.T, o Options, change ...func(*Server)) *api {
	t.Helper()
	base := options(filepath.Join(shortDir(t), "agent.sock"), nil)
	o.Socket, o.Component, o.Log = base.Socket, base.Component, base.Log
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var dialer net.Dialer
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", o.Socket)
	}}}
	stop := func() error {
		cancel()
		client.CloseIdleConnections()
		err, ok := <-ended
		if ok {
			close(ended)
		}
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return &api{t: t, server: s, socket: o.Socket, http: client, stop: stop}
}

// get asks, and returns the status and the body.
func (a *api) get(path string) (status int, body string) {
	a.t.Helper()
	text, status := send(a.t, a.http, http.MethodGet, "http://agent"+path, "")
	return status, text
}

// decode asks for JSON.
func (a *api) decode(path string, into any) {
	a.t.Helper()
	status, body := a.get(path)
	if status != http.StatusOK {
		a.t.Fatalf("%s: %d %s", path, status, body)
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		a.t.Fatalf("%s: %v in %s", path, err, body)
	}
}

// openStore opens a store of the test's own.
func openStore(t *testing.T) *segment.Store {
	t.Helper()
	s, err := segment.Open(segment.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// record records fragments of a second, 25 frames, and leaves the segment open.
func record(t *testing.T, s *segment.Store, stream string, at time.Time, fragments int) *segment.Writer {
	t.Helper()
	w, err := s.Create(stream, headerOf(stream, at))
	if err != nil {
		t.Fatal(err)
	}
	for n := range fragments {
		writeSecond(t, w, time.Duration(n)*time.Second)
	}
	return w
}

func headerOf(stream string, at time.Time) mkv.Header {
	return mkv.Header{Start: at, Title: stream, Tracks: []mkv.Track{track}}
}

func writeSecond(t *testing.T, w *segment.Writer, at time.Duration) {
	t.Helper()
	if err := writeFrames(w, at); err != nil {
		t.Fatal(err)
	}
}

// writeFrames writes a fragment of a second.
func writeFrames(w *segment.Writer, at time.Duration) error {
	if err := w.BeginFragment(at, true); err != nil {
		return err
	}
	for i := range 25 {
		frame := bytes.Repeat(fmt.Appendf(nil, "frame %06d ", i), 20)
		if err := w.WriteFrame(1, at+time.Duration(i)*40*time.Millisecond, i == 0, [][]byte{frame}); err != nil {
			return err
		}
	}
	_, err := w.EndFragment()
	return err
}

func seal(t *testing.T, w *segment.Writer) segment.Key {
	t.Helper()
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	return w.Key()
}

// door is a store of the stream door: segments of 10 s at these times since begin.
func door(t *testing.T, at ...time.Duration) *segment.Store {
	t.Helper()
	s := openStore(t)
	for _, at := range at {
		seal(t, record(t, s, "door", begin.Add(at), 10))
	}
	return s
}

// body reads the whole of an answer.
func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
