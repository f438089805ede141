package web

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// everywhere has it listen on all addresses, so over TLS.
func everywhere(o *Options) { o.Address, o.Hostname = "0.0.0.0:0", "localhost" }

func TestWhoIsNotSignedInSeesNothing(t *testing.T) {
	t.Parallel()
	b := newRig(t).await().browser()
	for _, path := range []string{"/", "/health", "/settings"} {
		if resp, _ := b.do(http.MethodGet, path, ""); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sign-in" {
			t.Errorf("%s is answered %s, to %s", path, resp.Status, resp.Header.Get("Location"))
		}
	}
	for _, route := range localapi.Routes() {
		b.want(http.StatusUnauthorized, route.Method, route.Path, "")
	}
	b.want(http.StatusUnauthorized, http.MethodGet, "/session", "")
	b.want(http.StatusUnauthorized, http.MethodPost, "/link", `{"stream": "front-door"}`)
	b.want(http.StatusOK, http.MethodGet, "/sign-in", "")
	b.want(http.StatusNotFound, http.MethodGet, "/other", "")
	b.want(http.StatusNotFound, http.MethodGet, "/assets/0000/css/app.css", "")
	if got := b.done(); got != "" {
		t.Errorf("the local API did %s", got)
	}
}

func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	for scheme, change := range map[string]func(*Options){"http": func(*Options) {}, "https": everywhere} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, change).await().setPasswords()
			if !strings.HasPrefix(r.url, scheme+"://") {
				t.Fatalf("it is at %s", r.url)
			}
			for role, password := range map[string]string{"view": viewPassword, "operate": operatePassword} {
				b := r.browser()
				resp, text := b.do(http.MethodPost, "/session", fmt.Sprintf(`{"role": %q, "password": %q}`, role, password))
				if resp.StatusCode != http.StatusOK || string(decode[sessionAnswer](t, text).Role) != role {
					t.Fatalf("%s: %s", resp.Status, text)
				}
				wantCookie(t, resp.Header.Get("Set-Cookie"), scheme == "https")
				b.want(http.StatusOK, http.MethodGet, "/v1/status", "")
				before := b.http.Jar.Cookies(resp.Request.URL)
				b.want(http.StatusNoContent, http.MethodDelete, "/session", "")
				b.want(http.StatusUnauthorized, http.MethodGet, "/v1/status", "")
				b.want(http.StatusUnauthorized, http.MethodGet, "/v1/status", "", "Cookie", before[0].Name+"="+before[0].Value)
			}
		})
	}
}

// wantCookie compares the cookie with what browsers keep to themselves, and to this host.
func wantCookie(t *testing.T, cookie string, secure bool) {
	t.Helper()
	pattern := `^kvs-edge-[0-9a-f]{8}=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict$`
	if secure {
		pattern = `^__Host-kvs-edge-[0-9a-f]{8}=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict$`
	}
	if !regexp.MustCompile(pattern).MatchString(cookie) {
		t.Errorf("the cookie is %s", cookie)
	}
}

func TestLinksAreUsedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	link, err := r.Link(localapi.WebLinkRequest{Role: "operate"})
	must(t, err)
	body := fmt.Sprintf(`{"link": %q}`, tokenOf(link))
	b := r.browser()
	b.want(http.StatusOK, http.MethodGet, "/sign-in?link="+tokenOf(link), "") // what fetches pages beforehand uses none
	b.want(http.StatusOK, http.MethodPost, "/session", body)
	if text := r.browser().want(http.StatusUnauthorized, http.MethodPost, "/session", body); !strings.Contains(text, "used up") {
		t.Errorf("a used link is answered with %q", text)
	}
	late, err := r.Link(localapi.WebLinkRequest{Role: "operate"})
	must(t, err)
	r.pass(5 * time.Minute)
	r.browser().want(http.StatusUnauthorized, http.MethodPost, "/session", fmt.Sprintf(`{"link": %q}`, tokenOf(late)))
	if _, err := r.Link(localapi.WebLinkRequest{Role: "root"}); err == nil {
		t.Error("a role that does not exist gets a link")
	}
}

func TestTheSixthWrongPasswordWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t).await().setPasswords()
	b := r.browser()
	wrong := `{"role": "view", "password": "not the password"}`
	for range 5 {
		b.want(http.StatusUnauthorized, http.MethodPost, "/session", wrong)
	}
	right := fmt.Sprintf(`{"role": "view", "password": %q}`, viewPassword)
	for _, body := range []string{wrong, right} {
		resp, text := b.do(http.MethodPost, "/session", body)
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" || !strings.Contains(text, "try again in 1") {
			t.Errorf("the sixth is answered %s, Retry-After %q: %s", resp.Status, resp.Header.Get("Retry-After"), text)
		}
	}
	r.pass(time.Second)
	b.want(http.StatusOK, http.MethodPost, "/session", right)
}

func TestViewersChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	viewer, operator := r.signedIn("view"), r.signedIn("operate")
	hold := `{"stream": "front-door", "from": "2026-11-21T04:20:00Z", "to": "2026-11-21T04:30:00Z", "reason": "theft"}`
	for _, route := range localapi.Routes() {
		if route.Method != http.MethodGet {
			viewer.want(http.StatusForbidden, route.Method, route.Path, hold)
		}
		if route.Right == localapi.Operate && route.Method == http.MethodGet {
			text := viewer.want(http.StatusForbidden, route.Method, route.Path, "")
			if !strings.Contains(text, "is for the role operate: sign in with it") {
				t.Errorf("%s is refused with %q", route.Path, text)
			}
		}
	}
	if got := r.done(); got != "" {
		t.Errorf("for a viewer the local API did %s", got)
	}
	viewer.want(http.StatusOK, http.MethodGet, "/v1/conditions", "")
	operator.want(http.StatusOK, http.MethodPost, "/v1/holds", hold)
	operator.want(http.StatusOK, http.MethodPost, "/v1/reload", "")
	if got, want := r.done(), "hold front-door by web page, role operate, from 127.0.0.1\nreload"; got != want {
		t.Errorf("for an operator the local API did %q, want %q", got, want)
	}
	// Not even an operator makes itself a way in that lasts.
	operator.want(http.StatusNotFound, http.MethodPost, "/v1/web/link", `{"role": "operate"}`)
	operator.want(http.StatusNotFound, http.MethodPut, "/v1/web/password", `{"role": "operate", "password": "1234567890"}`)
}

func TestOtherSitesReachNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	operator := r.signedIn("operate")
	hold := `{"stream": "front-door", "from": "2026-11-21T04:20:00Z", "to": "2026-11-21T04:30:00Z", "reason": "theft"}`
	port := r.url[strings.LastIndex(r.url, ":"):]
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "none"},
		{"Sec-Fetch-Site", "-", "Origin", "-"},
		{"Sec-Fetch-Site", "-", "Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "-", "Origin", "null"},
		{"Sec-Fetch-Site", "-", "Origin", "http://127.0.0.1:1"},
		{"Sec-Fetch-Site", "-", "Origin", "https://127.0.0.1" + port},
		{"Origin", "http://evil.example"},
	} {
		for _, path := range []string{"/v1/holds", "/v1/reload", "/session", "/link"} {
			operator.want(http.StatusForbidden, http.MethodPost, path, hold, header...)
		}
		operator.want(http.StatusForbidden, http.MethodDelete, "/session", "", header...)
	}
	for _, site := range []string{"cross-site", "same-site"} { // as of an image or a script
		operator.want(http.StatusForbidden, http.MethodGet, "/v1/status", "", "Sec-Fetch-Site", site, "Sec-Fetch-Mode", "no-cors")
	}
	// A link on another site leads to the page, for which its browser has no cookie.
	r.browser().want(http.StatusSeeOther, http.MethodGet, "/", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate",
		"Sec-Fetch-Dest", "document")
	if got := r.done(); got != "" {
		t.Errorf("the local API did %s", got)
	}
	operator.want(http.StatusOK, http.MethodPost, "/v1/holds", hold, "Sec-Fetch-Site", "-") // an older browser
}

func TestOtherNamesAreNotThisHub(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := r.browser()
	for host, status := range map[string]int{
		"evil.example": 421, "evil.example:8443": 421, "127.0.0.1.evil.example": 421, "hub7.evil.example": 421, "localhost.evil.example": 421,
		"127.0.0.1": 200, "localhost:9000": 200, "[::1]:9000": 200, "[::1]": 200, "192.0.2.7:8443": 200, "hub7": 200,
		"HUB7:1": 200, "hub7.local": 200,
		"localhost.": 200,
	} {
		b.want(status, http.MethodGet, "/sign-in", "", "Host", host)
	}
}

func TestHeadersByName(t *testing.T) {
	t.Parallel()
	cert, key := testtools.DeviceFiles(t, t.TempDir(), "shop.example")
	for name, c := range map[string]struct {
		change func(*Options)
		hsts   string
	}{
		"loopback":    {func(*Options) {}, ""},
		"self-signed": {everywhere, ""},
		"operator's":  {func(o *Options) { o.Certificate, o.Key = cert, key }, "max-age=31536000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.change).await()
			b := r.signedIn("view")
			for _, path := range []string{"/", "/sign-in", "/v1/status", "/v1/none", "/none", "/session", "/link/x/v1/media", "/assets/0/x"} {
				resp, _ := b.do(http.MethodGet, path, "")
				for name, want := range map[string]string{
					"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
					"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
					"Strict-Transport-Security": c.hsts, "Access-Control-Allow-Origin": "", "Server": "",
				} {
					if got := resp.Header.Get(name); got != want {
						t.Errorf("%s has %s %q, want %q", path, name, got, want)
					}
				}
				wantPolicy(t, resp.Header.Get("Content-Security-Policy"))
			}
		})
	}
}

// wantPolicy checks that nothing is allowed but what this hub serves.
func wantPolicy(t *testing.T, policy string) {
	t.Helper()
	directives := make(map[string]string)
	for _, directive := range strings.Split(policy, "; ") {
		name, value, _ := strings.Cut(directive, " ")
		directives[name] = value
	}
	for name, want := range map[string]string{"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
		"frame-ancestors": "'none'", "base-uri": "'none'", "form-action": "'self'"} {
		if directives[name] != want {
			t.Errorf("the policy has %s %s, want %s", name, directives[name], want)
		}
	}
	if bad := regexp.MustCompile(`unsafe|https?:|\*|data:`).FindString(policy); bad != "" {
		t.Errorf("the policy has %q: %s", bad, policy)
	}
}

func TestWhatPagesLoadIsKeptByItsHash(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := r.signedIn("view")
	loaded := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`)
	for _, page := range []string{"/", "/health", "/settings", "/sign-in"} {
		text := b.want(http.StatusOK, http.MethodGet, page, "")
		found := loaded.FindAllStringSubmatch(text, -1)
		if len(found) < 3 {
			t.Errorf("%s loads %q", page, found)
		}
		for _, m := range found {
			resp, _ := b.do(http.MethodGet, m[1], "")
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
				t.Errorf("%s is answered %s, %q", m[1], resp.Status, resp.Header.Get("Cache-Control"))
			}
			resp, _ = b.do(http.MethodGet, m[1], "", "Accept-Encoding", "gzip")
			if resp.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("%s is not compressed", m[1])
			}
		}
		if foreign := regexp.MustCompile(`(?:src|href)="(?:[a-z]+:|//)|<style|style="|<script>| on[a-z]+="`).FindString(text); foreign != "" {
			t.Errorf("%s has %s", page, foreign)
		}
	}
}

func TestLinksToMediaAreForOneRange(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	var got *http.Request
	r.o.API = func(w http.ResponseWriter, req *http.Request, right localapi.Right, _ string) {
		if got = req; right != localapi.Read {
			t.Errorf("a link has the right %v", right)
		}
	}
	viewer, stranger := r.signedIn("view"), r.browser()
	answer := decode[linkAnswer](t, viewer.want(http.StatusOK, http.MethodPost, "/link",
		`{"stream": "front-door", "from": "2026-11-21T04:20:00Z", "to": "2026-11-21T04:30:00Z", "format": "mp4"}`))
	stranger.want(http.StatusOK, http.MethodGet, answer.Path, "", "Sec-Fetch-Site", "-", "Origin", "-")
	if got == nil || got.URL.Path != "/v1/media" || got.URL.RawQuery !=
		"format=mp4&from=1795234800000&stream=front-door&to=1795235400000" {
		t.Fatalf("the local API is asked for %v", got.URL)
	}
	at, err := url.Parse(answer.Path)
	must(t, err)
	with := func(name, value string) string {
		values := at.Query()
		values.Set(name, value)
		return at.Path + "?" + values.Encode()
	}
	for what, path := range map[string]string{
		"another stream": with("stream", "yard"), "earlier": with("from", "1795234799999"), "later": with("to", "1795235400001"),
		"unbounded": at.Path + "?stream=front-door", "two streams": answer.Path + "&stream=yard",
		"another route": strings.Replace(answer.Path, "v1/media", "v1/status", 1),
		"above":         strings.Replace(answer.Path, "v1/media", "x/..%2fv1%2fmedia", 1), "another token": "/link/x/v1/media?" + at.RawQuery,
	} {
		if text := stranger.want(http.StatusForbidden, http.MethodGet, path, ""); !strings.Contains(text, "not valid") {
			t.Errorf("%s: %s", what, text)
		}
	}
	stranger.want(http.StatusForbidden, http.MethodPost, answer.Path, "", "Origin", "-", "Sec-Fetch-Site", "-")
	stranger.want(http.StatusUnauthorized, http.MethodGet, "/v1/media?"+at.RawQuery, "")
	r.pass(time.Hour)
	stranger.want(http.StatusForbidden, http.MethodGet, answer.Path, "")
}

func TestBodiesAndHeadersAreBounded(t *testing.T) {
	t.Parallel()
	b := newRig(t).await().browser()
	b.want(http.StatusBadRequest, http.MethodPost, "/session", `{"password": "`+strings.Repeat("x", maxBody)+`"}`)
	b.want(http.StatusBadRequest, http.MethodPost, "/session", `no JSON`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/sign-in", nil)
	must(t, err)
	req.Header.Set("X-Long", strings.Repeat("x", 2*maxHeader))
	if resp, err := b.http.Do(req); err == nil { // or the connection ends before the answer is read
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a large header is answered %s", resp.Status)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	address := strings.TrimPrefix(r.url, "http://")
	for range maxOfAddress {
		conn, err := net.Dial("tcp", address)
		must(t, err)
		defer conn.Close()
	}
	conn, err := net.Dial("tcp", address)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection too many: %v, want it closed", err)
	}
}

func TestTLSIsNewAndItsFingerprintIsThatOfTheLink(t *testing.T) {
	t.Parallel()
	r := newRig(t, everywhere).await()
	address := strings.Replace(strings.TrimPrefix(r.url, "https://"), "localhost", "127.0.0.1", 1)
	for version, want := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			wantFingerprint(t, r, conn)
		}
	}
	resp, err := http.Get("http://" + address + "/sign-in") // as somebody types it
	must(t, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP is answered %s", resp.Status)
	}
}

func wantFingerprint(t *testing.T, r *rig, conn *tls.Conn) {
	t.Helper()
	defer conn.Close()
	link, err := r.Link(localapi.WebLinkRequest{Role: "view"})
	must(t, err)
	if got := fingerprintOf(conn.ConnectionState().PeerCertificates[0].Raw); got != link.Fingerprint || !link.SelfSigned {
		t.Errorf("the fingerprint is %s, printed is %s", got, link.Fingerprint)
	}
}

// TestWhatIsOpenEndsWithItsSession: an answer without an end, as changes are, is not read beyond it.
func TestWhatIsOpenEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(*rig, *browser){
		"signed out":       func(_ *rig, b *browser) { b.want(http.StatusNoContent, http.MethodDelete, "/session", "") },
		"another password": func(r *rig, _ *browser) { r.setPasswords() },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).await().setPasswords()
			b := r.signedIn("view")
			other := r.signedIn("view")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v1/changes", nil)
			must(t, err)
			resp, err := b.http.Do(req)
			must(t, err)
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("changes: %s", resp.Status)
			}
			end(r, b)
			if _, err := io.Copy(io.Discard, resp.Body); ctx.Err() != nil {
				t.Fatalf("it has not ended: %v", err)
			}
			b.want(http.StatusUnauthorized, http.MethodGet, "/v1/status", "")
			if what == "signed out" {
				other.want(http.StatusOK, http.MethodGet, "/v1/status", "")
			}
		})
	}
}

func TestItStopsWithOpenRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := r.signedIn("view")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/v1/changes", nil)
	must(t, err)
	go func() {
		if resp, err := b.http.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	r.stop()
	if _, err := r.Link(localapi.WebLinkRequest{Role: "view"}); err == nil {
		t.Error("it makes links after its end")
	}
}
