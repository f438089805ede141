package web

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestABodyThatNeverComesEndsItsConnection, also of a request that is refused: else some addresses could hold all connections for ever.
func TestABodyThatNeverComesEndsItsConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	waiting := map[string]net.Conn{} // all at once, as each takes its 10 s
	for _, request := range []string{
		"GET /sign-in", "HEAD /sign-in", "GET /", "GET /none", "POST /session", "DELETE /session", "POST /link", "GET /link/x/v1/media",
		"GET /v1/status", "POST /v1/holds", "PUT /v1/log-level",
	} {
		for _, length := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			must(t, err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: %s\r\n%s\r\n\r\n", request, r.url, length)
			must(t, err)
			must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
			waiting[request+" "+length] = conn
		}
	}
	for request, conn := range waiting {
		if answer, err := io.ReadAll(conn); err != nil {
			t.Errorf("%s: the connection is open after a minute: %v; it was answered %.40q", request, err, answer)
		}
	}
}
