package kvs

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestRows has what networks do wrong, by its name in the recorder's TestRows.
func TestRows(t *testing.T) {
	t.Parallel()
	t.Run("proxy", func(t *testing.T) { t.Parallel(); throughProxy(t) })
}

// throughProxy has a service that is reached through a proxy only: both its API and PutMedia, whose
// transport is its own.
func throughProxy(t *testing.T) {
	var mu sync.Mutex
	asked := make(map[string]int)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Method+" "+r.Host]++
		mu.Unlock()
		tunnel(w, r)
	}))
	defer proxy.Close()
	address, err := url.Parse(proxy.URL)
	must(t, err)

	server, cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/putMedia" {
			_, _ = io.WriteString(w, `{"DataEndpoint":"https://`+r.Host+`"}`)
			return
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})
	transport := server.Client().Transport.(*http.Transport)
	transport.Proxy = http.ProxyURL(address)
	c := New(Options{Config: awsclient.Of(cfg)})
	session, err := c.PutMedia(t.Context(), input("header"))
	must(t, err)
	finish(t, session)
	transport.CloseIdleConnections()
	mu.Lock()
	defer mu.Unlock()
	if n := asked["CONNECT "+strings.TrimPrefix(server.URL, "https://")]; n != 2 || len(asked) != 1 {
		t.Errorf("the proxy was asked for %v, want a tunnel for the API and one for PutMedia", asked)
	}
}

// tunnel answers CONNECT.
func tunnel(w http.ResponseWriter, r *http.Request) {
	onward, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer onward.Close()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	testtools.Join(conn, onward)
}
