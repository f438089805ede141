package localapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/evidence"
	"github.com/kvs-edge/kvs-edge-agent/internal/evidence/collect"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// signing returns how an agent makes evidence of a store, with a certificate of its own, and whose signature that is.
func signing(t *testing.T, s *segment.Store) (make func(context.Context, Span) (Evidence, error), trust evidence.Trust) {
	t.Helper()
	cert, key := testtools.DeviceFiles(t, t.TempDir(), "hub")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	hub := collect.Hub{Thing: "hub", Version: "1", Clock: hubclock.New(hubclock.Options{}),
		Certificate: func() (*tls.Certificate, error) { return &pair, nil }}
	return func(ctx context.Context, span Span) (Evidence, error) {
		made, err := collect.Make(ctx, s, hub, span.Stream, span.From, span.To)
		return Evidence{From: made.From, To: made.To, Manifest: made.Manifest, Signature: made.Signature, Certificate: made.Certificate,
			Sums: made.Sums}, err
	}, evidence.Trust{Certificate: pair.Leaf}
}

// TestAnArchiveOverTheLocalAPI is one that `verify` finds intact, and is cut off where its media is deleted after it was signed.
func TestAnArchiveOverTheLocalAPI(t *testing.T) {
	t.Parallel()
	s := large(t)
	sign, trust := signing(t, s)
	var after func()
	a := serveOptions(t, Options{Store: s, Agent: Agent{Evidence: func(ctx context.Context, span Span) (Evidence, error) {
		made, err := sign(ctx, span)
		if after != nil {
			after()
		}
		return made, err
	}}})
	const path = "http://agent/v1/evidence.zip?stream=door&from=2026-11-21T04:20:52Z&to=2026-11-21T04:21:05Z"
	resp, err := a.http.Get(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/zip" ||
		resp.ContentLength != int64(len(data)) {
		t.Fatalf("%v: %s, %v, %d bytes", err, resp.Status, resp.Header, len(data))
	}
	v, err := evidence.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), trust, nil)
	if err != nil || !v.SignerKnown || len(v.Manifest.Fragments) < 10 || v.Manifest.Stream != "door" {
		t.Fatalf("%v: %+v", err, v)
	}
	after = func() { errIfAny(t, s.Delete(s.Segments("door", begin, begin.AddDate(0, 0, 1))[1].Key)) }
	if resp, err = a.http.Get(path); err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("an archive without a part of its media looks complete")
	}
}

func errIfAny(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// TestWhetherAnArchiveCanBeMade is asked by HEAD, without media being read for it; the sentence comes with GET.
func TestWhetherAnArchiveCanBeMade(t *testing.T) {
	t.Parallel()
	refusal := errors.New("there is no certificate")
	for name, c := range map[string]struct {
		agent  Agent
		path   string
		status int
		text   string
	}{
		"ready": {Agent{}, "?stream=door", http.StatusOK, ""},
		"cannot sign": {Agent{EvidenceReady: func(string) error { return refusal }}, "?stream=door", http.StatusInternalServerError,
			"no certificate"},
		"another stream": {Agent{}, "?stream=yard", http.StatusNotFound, ""},
		"no stream":      {Agent{}, "", http.StatusBadRequest, ""},
	} {
		made := 0
		c.agent.Evidence = func(context.Context, Span) (Evidence, error) { made++; return Evidence{}, refusal }
		a := serveOptions(t, Options{Store: large(t), Agent: c.agent})
		if _, status := send(t, a.http, http.MethodHead, "http://agent/v1/evidence.zip"+c.path, ""); status != c.status || made != 0 {
			t.Errorf("%s: %d, made %d", name, status, made)
		}
		if _, text := a.get("/v1/evidence.zip" + c.path); !strings.Contains(text, c.text) {
			t.Errorf("%s: %s", name, text)
		}
	}
	none := serveOptions(t, Options{Store: large(t)})
	if _, status := send(t, none.http, http.MethodHead, "http://agent/v1/evidence.zip?stream=door", ""); status != http.StatusNotFound {
		t.Errorf("without an agent: %d", status)
	}
}
