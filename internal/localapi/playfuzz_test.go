package localapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// FuzzPlay asks for what players ask for, with any parameters: each answer is media of the stream, or a refusal with a sentence, and none
// is of another status, or large.
func FuzzPlay(f *testing.F) {
	store, err := segment.Open(segment.Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	w, err := store.Create("door", headerOf("door", begin))
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		if err := writeFrames(w, time.Duration(i)*time.Second); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Seal(); err != nil {
		f.Fatal(err)
	}
	handler := newServer(Options{Store: store, Log: zap.NewNop()}).handler()
	paths := []string{pathOverview}
	for _, r := range playRoutes() {
		paths = append(paths, r.Path)
	}
	id := w.Key().ID().String()
	for _, query := range []string{
		"stream=door", "stream=door&segment=" + id, "stream=door&segment=" + id + "&start=1000&end=2000",
		"stream=door&segment=" + id + "&tracks=0",
		"stream=door&from=1795234848000&to=1795234908000", "stream=door&from=2026-11-21T04:20:48Z&columns=2000", "stream=door&at=1795234849000",
		"stream=..%2Fdoor", "stream=door&segment=..%2F..&start=-1", "stream=door&segment=e000001-" + id + "&start=4294967295",
	} {
		for i := range paths {
			f.Add(uint8(i), query)
		}
	}
	f.Fuzz(func(t *testing.T, path uint8, query string) {
		if _, err := url.ParseQuery(query); err != nil {
			return // the server of HTTP refuses it, or leaves it out
		}
		request := httptest.NewRequest(http.MethodGet, paths[int(path)%len(paths)], nil)
		request.URL.RawQuery = query
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		switch body := answer.Body.String(); answer.Code {
		case http.StatusOK:
			if len(body) > 100_000 || request.URL.Query().Get("stream") != "door" {
				t.Fatalf("%q: %d bytes", query, len(body))
			}
		case http.StatusBadRequest, http.StatusNotFound:
			if strings.TrimSpace(body) == "" || answer.Header().Get(ErrorHeader) == "" {
				t.Fatalf("%q: %d without a sentence", query, answer.Code)
			}
		default:
			t.Fatalf("%q: %d %s", query, answer.Code, body)
		}
	})
}
