package main

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// TestChromiumAndStrangersOverTLS has an agent listen on all addresses, with the certificate that it makes itself: pages, and what is
// refused.
func TestChromiumAndStrangersOverTLS(t *testing.T) {
	t.Parallel()
	s := newBrowserSite(t, 3*fps, "AWS_KVS_EDGE_WEB_ADDRESS=0.0.0.0:0")
	s.commandWith("twelve brave badgers\n", "web", "password", "--role", "view")
	link, printed := s.link("view")
	at, err := url.Parse(s.url)
	if err != nil || at.Scheme != "https" {
		t.Fatalf("it is at %s, %v", s.url, err)
	}
	s.url = "https://127.0.0.1:" + at.Port()
	s.isThePrintedCertificate(at.Port(), printed)
	link = s.url + link[strings.Index(link, "/sign-in"):]
	s.Run(chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
	s.openCamera()
	s.changesNothing()
	s.Run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#form")))
	s.Run(chromedp.Navigate("about:blank"), chromedp.Navigate(link)) // it was used
	s.WantText("#trouble", "used up")
	s.refusesStrangers()
	s.slowsGuesses()
}

// isThePrintedCertificate compares the fingerprint that the program prints with the certificate that a client is shown, and has TLS 1.1.
func (s *browserSite) isThePrintedCertificate(port, printed string) {
	s.t.Helper()
	m := printedFingerprint.FindStringSubmatch(printed)
	if m == nil {
		s.t.Fatalf("no fingerprint in %s", printed)
	}
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw)
	if got := strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":"); got != m[1] {
		s.t.Errorf("the certificate has the fingerprint %s, printed is %s", got, m[1])
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		old, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version})
		if err == nil {
			_ = old.Close()
			s.t.Errorf("%s is accepted", tls.VersionName(version))
		}
	}
	resp, err := http.Get("http://127.0.0.1:" + port + "/")
	if err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode < http.StatusBadRequest {
			s.t.Errorf("without TLS it answers %s", resp.Status)
		}
	}
}

// changesNothing has a viewer's page try each kind of change.
func (s *browserSite) changesNothing() {
	s.t.Helper()
	for _, try := range []string{`"/v1/holds", {method: "POST", body: "{}"}`, `"/v1/upload", {method: "POST", body: "{}"}`,
		`"/v1/reload", {method: "POST"}`, `"/v1/check", {method: "POST"}`, `"/v1/log-level", {method: "PUT", body: "{}"}`} {
		got := chromium.Ask[string](s.Tab, `fetch(`+try+`).then(a => a.text().then(t => a.status + " " + t.trim()))`)
		if got != "403 that changes something: sign in with the role operate" {
			s.t.Errorf("%s of a viewer is answered %s", try, got)
		}
	}
}

// refusesStrangers sends requests as other sites, and as sites whose name leads to this hub, have browsers send them, with the cookie of an
// operator.
func (s *browserSite) refusesStrangers() {
	s.t.Helper()
	link, _ := s.link("operate")
	link = s.url[:strings.LastIndex(s.url, ":")] + link[strings.LastIndex(link, ":"):]
	at, err := url.Parse(link)
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = at.Scheme + "://127.0.0.1:" + at.Port()
	s.Run(chromedp.Navigate(s.url+"/sign-in#"+at.Fragment), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
	cookies := chromium.Cookies(s.Tab)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	own := at.Scheme + "://127.0.0.1:" + at.Port()
	for _, c := range []struct {
		what, method, path string
		status             int
		header             map[string]string
	}{
		{"the hub's own page, of an agent without a file of settings", http.MethodPost, "/v1/reload", 400,
			map[string]string{"Origin": own, "Sec-Fetch-Site": "same-origin"}},
		{"another origin", http.MethodPost, "/v1/reload", 403, map[string]string{"Origin": "https://evil.example"}},
		{"another site", http.MethodPost, "/v1/reload", 403, map[string]string{"Origin": own, "Sec-Fetch-Site": "cross-site"}},
		{"nobody", http.MethodPost, "/v1/reload", 403, nil},
		{"another name", http.MethodGet, "/v1/status", 421, map[string]string{"Host": "evil.example"}},
		{"another name for a change", http.MethodPost, "/v1/reload", 421,
			map[string]string{"Host": "evil.example", "Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}},
		{"an image of another site", http.MethodGet, "/v1/status", 403,
			map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}},
	} {
		req, err := http.NewRequestWithContext(s.t.Context(), c.method, own+c.path, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Cookie", cookies)
		for name, value := range c.header {
			if name == "Host" {
				req.Host = value
			}
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			s.t.Fatal(err)
		}
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		_ = resp.Body.Close()
		if resp.StatusCode != c.status {
			s.t.Errorf("%s is answered %s %s, want %d", c.what, resp.Status, text, c.status)
		}
		s.wantHeaders(c.what, resp.Header)
	}
}

// wantHeaders checks the headers that protect, by name.
func (s *browserSite) wantHeaders(what string, header http.Header) {
	s.t.Helper()
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		"Strict-Transport-Security": "", "Server": "", "Access-Control-Allow-Origin": ""} {
		if got := header.Get(name); got != want {
			s.t.Errorf("%s: %s is %q, want %q", what, name, got, want)
		}
	}
	policy := header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
		"form-action 'self'"} {
		if !strings.Contains(policy, part) {
			s.t.Errorf("%s: the policy %q has no %s", what, policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") {
		s.t.Errorf("%s: the policy is %q", what, policy)
	}
}

// slowsGuesses tries six wrong passwords, and then the right one until it is let in.
func (s *browserSite) slowsGuesses() {
	s.t.Helper()
	s.Run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#form")))
	for range 5 {
		s.Run(chromedp.SendKeys(chromedp.CSS("#password"), "wrong guess\r"))
		s.WantText("#trouble", "The password is wrong")
		chromium.Ask[bool](s.Tab, `(() => { document.getElementById("trouble").textContent = "-"; return true })()`)
	}
	answers := chromium.Ask[[]string](s.Tab, `Promise.all([1, 2].map(() => fetch("/session", {method: "POST",
		body: JSON.stringify({role: "view", password: "another guess"})}).then(a => a.status + " " + a.headers.get("Retry-After"))))`)
	if !strings.Contains(strings.Join(answers, ","), "429 ") {
		s.t.Errorf("after five wrong passwords two more are answered %q", answers)
	}
	s.eventually("the right password", func() error {
		got := chromium.Ask[string](s.Tab, `fetch("/session", {method: "POST", body: JSON.stringify({role: "view",
			password: "twelve brave badgers"})}).then(a => a.text().then(t => a.status + " " + t))`)
		if !strings.HasPrefix(got, "200 ") {
			return fmt.Errorf("it is answered %s", got)
		}
		return nil
	})
	s.Run(chromedp.Navigate(s.url+"/"), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
}

// TestNothingListensUnlessAnAddressIsSet counts the sockets of agents.
func TestNothingListensUnlessAnAddressIsSet(t *testing.T) {
	t.Parallel()
	s, _ := newRecordingSite(t, ourContract)
	if got := s.listening(); got != 0 {
		t.Errorf("without an address %d sockets of TCP listen", got)
	}
	s.stopAgent()
	s.startAgent("AWS_KVS_EDGE_WEB_ADDRESS=:0")
	s.eventually("the web pages", func() error {
		if got := s.listening(); got != 1 {
			return fmt.Errorf("with an address %d sockets of TCP listen", got)
		}
		return nil
	})
}

// listening is how many sockets of TCP the agent's process listens at.
func (s *site) listening() (n int) {
	s.t.Helper()
	proc := filepath.Join("/proc", fmt.Sprint(s.agent.cmd.Process.Pid))
	own := make(map[string]bool)
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		if at, err := os.Readlink(filepath.Join(proc, "fd", f.Name())); err == nil {
			own[at] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(filepath.Join(proc, "net", table))
		if err != nil {
			continue // a machine without IPv6
		}
		for line := range strings.Lines(string(text)) {
			const state, inode, listen = 3, 9, "0A"
			if fields := strings.Fields(line); len(fields) > inode && fields[state] == listen && own["socket:["+fields[inode]+"]"] {
				n++
			}
		}
	}
	return n
}
