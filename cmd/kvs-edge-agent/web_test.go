package main

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// TestALinkIsPrintedForHostsThatBrowsersAccept: with a certificate of the operator, those that it names.
func TestALinkIsPrintedForHostsThatBrowsersAccept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		link      localapi.WebLink
		has, lack []string
	}{
		"plain": {localapi.WebLink{Address: "127.0.0.1:8443", URL: "http://127.0.0.1:8443/"},
			[]string{"http://127.0.0.1:8443/sign-in#link=x"}, []string{"192.0.2.2", "warn"}},
		"the agent's own": {localapi.WebLink{Address: "0.0.0.0:8443", URL: "https://hub7:8443/", Fingerprint: "AB:CD", SelfSigned: true},
			[]string{"  https://hub7:8443/\n  https://192.0.2.2:8443/\n", "AB:CD"}, []string{"shop.example"}},
		"the operator's": {localapi.WebLink{Address: "[::]:8443", URL: "https://shop.example:8443/", Fingerprint: "AB:CD",
			Names: []string{"shop.example", "192.0.2.9"}},
			[]string{"  https://shop.example:8443/\n  https://192.0.2.9:8443/\n\n"}, []string{"192.0.2.2", "AB:CD", "warn"}},
		"one that is not valid": {localapi.WebLink{Address: "[::]:8443", URL: "https://shop.example:8443/", Fingerprint: "AB:CD",
			Names: []string{"shop.example"}, Trouble: "it was valid until 2026-11-01, so that browsers refuse it: renew it"},
			[]string{"Browsers will warn of its certificate: it was valid until 2026-11-01, so that browsers refuse it: renew it.\n"}, nil},
	} {
		c.link.Path, c.link.Expires = "sign-in#link=x", now.Add(5*time.Minute)
		var b strings.Builder
		writeWebLink(&b, c.link, []string{"192.0.2.2"}, now)
		for _, want := range c.has {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, &b)
			}
		}
		for _, bad := range c.lack {
			if strings.Contains(b.String(), bad) {
				t.Errorf("%s: %q in\n%s", name, bad, &b)
			}
		}
	}
}

func TestWhatIsNoPasswordIsNotRead(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"": "is empty", "\r\n": "is empty", "caf\xe9caf\xe9caf\xe9\n": "not text in UTF-8", "\xff\xfe": "not text in UTF-8",
	} {
		if got, err := passwordLine(bufio.NewReader(strings.NewReader(line))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read as %q, %v; want %q", line, got, err, want)
		}
	}
	if got, err := passwordLine(bufio.NewReader(strings.NewReader("cafécafé€😀\r\n"))); err != nil || got != "cafécafé€😀" {
		t.Errorf("it is read as %q, %v", got, err)
	}
}
