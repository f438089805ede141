package awsclient

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// closedByTheAnswer is a body of the SDK that is closed, as the SDK does once the answer begins, before net/http looks whether more
// follows.
type closedByTheAnswer struct {
	io.ReadCloser
	left int
}

func (b *closedByTheAnswer) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left == 0 {
		_ = b.Close()
	}
	return n, err
}

func (b *closedByTheAnswer) WriteTo(w io.Writer) (int64, error) {
	return b.ReadCloser.(io.WriterTo).WriteTo(w)
}

// TestTheAnswerIsReadWholeHoweverEarlyItBegins has the SDK's body closed at the earliest moment: the request was written all the same, and
// the connection stays until the answer is read.
func TestTheAnswerIsReadWholeHoweverEarlyItBegins(t *testing.T) {
	t.Parallel()
	const question = `{"StreamName":"door"}`
	written := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := make([]byte, len(question))
		if _, err := io.ReadFull(r.Body, asked); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "first, ")
		_ = http.NewResponseController(w).Flush()
		if err := <-written; err != nil {
			t.Errorf("the request was not written: %v", err)
		}
		_, _ = io.WriteString(w, "and last")
	}))
	t.Cleanup(server.Close)
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(i httptrace.WroteRequestInfo) { written <- i.Err },
	})
	r, err := http.NewRequestWithContext(trace, http.MethodPost, server.URL, nil)
	must(t, err)
	sdk := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	sdk, err = sdk.SetStream(strings.NewReader(question))
	must(t, err)
	r.Body, r.ContentLength = &closedByTheAnswer{sdk.Build(trace).Body, len(question)}, int64(len(question))
	client := Of(aws.Config{}).HTTP()
	t.Cleanup(client.CloseIdleConnections)
	got, err := client.Do(r)
	must(t, err)
	defer func() { _ = got.Body.Close() }()
	if text, err := io.ReadAll(got.Body); err != nil || string(text) != "first, and last" {
		t.Errorf("the answer is %q, %v", text, err)
	}
}
