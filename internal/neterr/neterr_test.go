package neterr

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestEachWayToFailHasItsKind meets servers that fail as they do in the field.
func TestEachWayToFailHasItsKind(t *testing.T) {
	t.Parallel()
	ours, theirs := iottest.NewAuthority(t), iottest.NewAuthority(t)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = ours.Server()
	server.StartTLS()
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	closed, silent := testtools.NewLink(t, address), testtools.NewLink(t, address)
	closed.Cut()
	silent.Swallow()

	for name, row := range map[string]struct {
		address string
		change  func(*tls.Config)
		want    Kind
	}{
		"nobody there":              {address: closed.Address(), want: Unreachable},
		"no answer":                 {address: silent.Address(), want: Timeout},
		"no such name":              {address: "server.invalid:443", want: DNS},
		"a clock of long ago":       {change: func(c *tls.Config) { c.Time = func() time.Time { return time.Unix(0, 0) } }, want: CertExpired},
		"a stranger's server":       {change: func(c *tls.Config) { c.RootCAs = theirs.Pool() }, want: Untrusted},
		"another server":            {change: func(c *tls.Config) { c.ServerName = "other.example" }, want: HostnameMismatch},
		"a stranger's certificate":  {change: func(c *tls.Config) { c.Certificates = theirs.Device("door").Certificates }, want: Refused},
		"no certificate of our own": {change: func(c *tls.Config) { c.Certificates = nil }, want: Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := ours.Device("door")
			if row.change != nil {
				row.change(config)
			}
			if row.address == "" {
				row.address = address
			}
			client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
			if row.want == Timeout {
				client.Timeout = 100 * time.Millisecond
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+row.address, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err == nil {
				_ = response.Body.Close()
				t.Fatal("the server was reached")
			}
			if got := Of(err); got != row.want {
				t.Errorf("kind %d, want %d: %v", got, row.want, err)
			}
		})
	}
}

func TestATimeoutIsKnownWhoeverSaysSo(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, dialed := new(net.Dialer).DialContext(over, "tcp", "127.0.0.1:9")
	for name, err := range map[string]error{"of a context": context.DeadlineExceeded, "of a dialer": dialed} {
		if !IsTimeout(err) {
			t.Errorf("%s: %v is not treated as a timeout", name, err)
		}
	}
}
