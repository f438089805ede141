package localcloud

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestADirectoryHasOneRegion which its ARNs name.
func TestADirectoryHasOneRegion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, row := range []struct{ region, refused string }{
		{"cn-north-1", ""}, {"", "plays cn-north-1: start it with --region cn-north-1"}, {"us-gov-west-1", "plays cn-north-1"},
		{"cn-north-1", ""},
	} {
		c, err := Start(Options{Dir: dir, Region: row.region})
		switch {
		case row.refused != "" && (err == nil || !strings.Contains(err.Error(), row.refused)):
			t.Fatalf("%d: in %s: %v", i, row.region, err)
		case row.refused != "":
			continue
		}
		must(t, err)
		if got := c.HubARN("h"); got != "arn:aws-cn:iot:cn-north-1:123456789012:thing/h" {
			t.Errorf("the hub is %s", got)
		}
		must(t, c.Close())
	}
}

// TestADirectoryOfAnEarlierVersionIsOfOregon which those versions did not write down.
func TestADirectoryOfAnEarlierVersionIsOfOregon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := Start(Options{Dir: dir})
	must(t, err)
	c.doc.Region = ""
	must(t, c.store.Update(func() error { return nil }))
	must(t, c.Close())
	if _, err := Start(Options{Dir: dir, Region: "eu-west-1"}); err == nil || !strings.Contains(err.Error(), "plays us-west-2") {
		t.Errorf("in eu-west-1: %v", err)
	}
	c, err = Start(Options{Dir: dir, Region: Region})
	must(t, err)
	must(t, c.Close())
}

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
