package localcloud

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestOverIPv6EverythingListensOnItsLoopbackAlone with a certificate for it, in the directory of a cloud that was at
// 127.0.0.1 before.
func TestOverIPv6EverythingListensOnItsLoopbackAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, text := range []string{"127.0.0.1", "::1", "127.0.0.7", "127.0.0.1"} {
		address := netip.MustParseAddr(text)
		c, err := Start(Options{Dir: dir, Address: address})
		must(t, err)
		for _, at := range []string{strings.TrimPrefix(c.Endpoint(), "https://"), c.MQTTEndpoint(), c.CredentialEndpoint()} {
			if host, _, err := net.SplitHostPort(at); err != nil || host != text {
				t.Errorf("a service is at %s (%v), want %s", at, err, text)
			}
			conn, err := tls.Dial("tcp", at, &tls.Config{RootCAs: c.pki.Pool()})
			if err != nil {
				t.Errorf("TLS to %s: %v", at, err)
				continue
			}
			_ = conn.Close()
		}
		must(t, c.Close())
	}
	for _, text := range []string{"0.0.0.0", "::", "192.0.2.1"} {
		if _, err := Start(Options{Dir: t.TempDir(), Address: netip.MustParseAddr(text)}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
