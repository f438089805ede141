package localapi

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/patience"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// postInTime sends a body, again where a busy machine took longer for it than it may take.
func postInTime(t *testing.T, url, body string) (resp *http.Response) {
	t.Helper()
	testtools.Eventually(t, time.Minute, func() (err error) {
		resp, err = http.Post(url, "application/json", strings.NewReader(body))
		if err == nil && resp.StatusCode == http.StatusRequestTimeout {
			_ = resp.Body.Close()
			err = fmt.Errorf("the answer is %s", resp.Status)
		}
		return err
	})
	return resp
}

// TestBodiesAreBounded sends the local API bodies that never end, are large, or are as they should be.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	served := make(chan string, 10)
	server := httptest.NewServer(patience.WholeBodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		served <- string(body)
		select { // an answer may last longer than a body may take
		case <-r.Context().Done():
			served <- "ended"
		case <-time.After(300 * time.Millisecond):
		}
		fmt.Fprint(w, "done")
	}), maxBody, 100*time.Millisecond, refuseBody))
	t.Cleanup(server.Close)

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /v1/upload HTTP/1.1\r\nHost: agent\r\nContent-Length: 100\r\n\r\n{")
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	answer, err := io.ReadAll(conn) // to the end: the connection is not kept
	if err != nil || !strings.Contains(string(answer), "408") {
		t.Errorf("a body that does not come: %q, %v", answer, err)
	}

	resp := postInTime(t, server.URL, strings.Repeat("x", maxBody+1))
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %s", resp.Status)
	}
	if len(served) != 0 {
		t.Error("such a request is served")
	}
	resp = postInTime(t, server.URL, "{}")
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if body := <-served; body != "{}" || string(text) != "done" || len(served) != 0 {
		t.Errorf("the body %q was answered with %q", body, text)
	}
}
