package localapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/export"
)

// TestEvidenceOverTheLocalAPI comes as the agent makes it, and its refusal is a sentence.
func TestEvidenceOverTheLocalAPI(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC)
	span := Span{Stream: "door", From: begin, To: begin.Add(time.Minute)}
	want := Evidence{From: begin, To: begin.Add(time.Second), Manifest: []byte("{}\n"), Signature: []byte("a..b"), Certificate: []byte("PEM")}
	refused := health.UserFault(export.Code, nil, "Evidence of stream door cannot be signed: there is no certificate.")
	for _, err := range []error{nil, refused} {
		a := serveOptions(t, Options{Store: large(t), Agent: Agent{Evidence: func(_ context.Context, got Span) (Evidence, error) {
			if got != span {
				t.Errorf("asked for %+v", got)
			}
			return want, err
		}}})
		got, gotErr := NewClient(a.socket).Evidence(t.Context(), span)
		if err != nil {
			if gotErr == nil || gotErr.Error() != refused.Text {
				t.Errorf("it says %v", gotErr)
			}
			continue
		}
		if diff := cmp.Diff(want, got); gotErr != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", gotErr, diff)
		}
	}
	a := serveOptions(t, Options{Store: large(t)})
	if _, err := NewClient(a.socket).Evidence(t.Context(), span); err == nil || !strings.Contains(err.Error(), "does not have that") {
		t.Errorf("without a certificate: %v", err)
	}
	if status, _ := a.get("/v1/evidence?stream=none"); status != http.StatusNotFound {
		t.Errorf("of another stream: %d", status)
	}
}

// TestAnAgentThatMakesNoEvidence is of an earlier version.
func TestAnAgentThatMakesNoEvidence(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "agent.sock")
	serveOn(t, httptest.NewUnstartedServer(http.NotFoundHandler()), socket)
	if _, err := NewClient(socket).Evidence(t.Context(), Span{Stream: "door"}); !errors.Is(err, ErrOlderEvidence) {
		t.Error(err)
	}
}
