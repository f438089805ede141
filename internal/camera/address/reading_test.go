package address

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// TestURLsAreReadAsPlayersDo: the requested URL is the one in ffmpeg's requests, with invalid bytes escaped.
func TestURLsAreReadAsPlayersDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, url, at, how string }{
		{"rtsp://10.0.0.5/live", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://10.0.0.5", "rtsp://10.0.0.5", "10.0.0.5:554", ""},
		{"rtsp://10.0.0.5:/live", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{"RTSP://10.0.0.5/Live", "rtsp://10.0.0.5/Live", "10.0.0.5:554", ""},
		{"rtsps://10.0.0.5/live", "rtsps://10.0.0.5/live", "10.0.0.5:322", "tls"},
		{"RTSPS://10.0.0.5/live", "rtsps://10.0.0.5/live", "10.0.0.5:322", "tls"},
		{"rtspx://10.0.0.5:7441/live", "rtsps://10.0.0.5:7441/live", "10.0.0.5:7441", "tls"},
		{"rtspt://10.0.0.5/live", "rtsp://10.0.0.5/live", "10.0.0.5:554", "tcp"},
		{"RtspT://10.0.0.5/live", "rtsp://10.0.0.5/live", "10.0.0.5:554", "tcp"},
		{"rtsp+tcp://10.0.0.5/live", "rtsp://10.0.0.5/live", "10.0.0.5:554", "tcp"},
		{"rtspu://10.0.0.5/live", "rtsp://10.0.0.5/live", "10.0.0.5:554", "udp"},
		{"rtspst://10.0.0.5/live", "rtsps://10.0.0.5/live", "10.0.0.5:322", "tcp tls"},
		{"rtspsu://10.0.0.5/live", "rtsps://10.0.0.5/live", "10.0.0.5:322", "udp tls"},
		{"rtsph://10.0.0.5/live", "rtsp://10.0.0.5:80/live", "10.0.0.5:80", "tcp tunnel"},
		{"rtsp+http://10.0.0.5:8080/live", "rtsp://10.0.0.5:8080/live", "10.0.0.5:8080", "tcp tunnel"},
		{"rtspsh://10.0.0.5/live", "rtsp://10.0.0.5:443/live", "10.0.0.5:443", "tcp tls tunnel"},
		{"rtsps+http://[fd00::1]/live", "rtsp://[fd00::1]:443/live", "[fd00::1]:443", "tcp tls tunnel"},
		// What was copied along.
		{" rtsp://10.0.0.5/live\n", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{"\ufeff\trtsp://10.0.0.5/live\r\n\x00", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{`"rtsp://10.0.0.5/live"`, "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{"'rtsp://10.0.0.5/live' ", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{"<rtsp://10.0.0.5/live>", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{"“rtsp://u:p@10.0.0.5/live”", "rtsp://u:p@10.0.0.5/live", "10.0.0.5:554", ""},
		{"\u00a0rtsp://10.0.0.5/live\u200b", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{`rtsp://10.0.0.5/it's`, "rtsp://10.0.0.5/it's", "10.0.0.5:554", ""},
		// Fragments.
		{"rtsp://10.0.0.5/live#backchannel=0", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://10.0.0.5/live?a=1#media=video#timeout=30", "rtsp://10.0.0.5/live?a=1", "10.0.0.5:554", ""},
		{"rtsp://10.0.0.5#video=copy", "rtsp://10.0.0.5", "10.0.0.5:554", ""},
		{"rtsp://u:p@camera/live#100%", "rtsp://u:p@camera/live", "camera:554", ""},
		{"rtsp://u:p@10.0.0.5/live#mail=a@b", "rtsp://u:p@10.0.0.5/live", "10.0.0.5:554", ""},
		// Users and passwords as they are.
		{"rtsp://u:p%40ss@10.0.0.5/live", "rtsp://u:p%40ss@10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://u:p%40ss?#/é@10.0.0.5/live", "rtsp://u:p%2540ss%3F%23%2F%C3%A9@10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://u:pé@10.0.0.5/live#x", "rtsp://u:p%C3%A9@10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://u:a b@10.0.0.5/live", "rtsp://u:a%20b@10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://u:a#b@10.0.0.5/live#c", "rtsp://u:a%23b@10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://u:12#3@10.0.0.5/live", "rtsp://u:12%233@10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://u:p\"w'@10.0.0.5/live", "rtsp://u:p%22w%27@10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://@10.0.0.5/live", "rtsp://10.0.0.5/live", "10.0.0.5:554", ""},
		{"rtsp://:p@10.0.0.5/live", "rtsp://:p@10.0.0.5/live", "10.0.0.5:554", ""},
		// Paths and queries as they are.
		{"rtsp://10.0.0.5/Küche 1?name=Tür 2&x=100%", "rtsp://10.0.0.5/K%C3%BCche%201?name=T%C3%BCr%202&x=100%25", "10.0.0.5:554", ""},
		{"rtsp://10.0.0.5/100%", "rtsp://10.0.0.5/100%25", "10.0.0.5:554", ""},
		{"rtsp://10.0.0.5/a//b;c=1/?d", "rtsp://10.0.0.5/a//b;c=1/?d", "10.0.0.5:554", ""},
		{"rtsp://10.0.0.5?h26x=4&line=1", "rtsp://10.0.0.5?h26x=4&line=1", "10.0.0.5:554", ""},
		{"rtsp://u:p@[fe80::1%eth0]:8554/live", "rtsp://u:p@[fe80::1%25eth0]:8554/live", "[fe80::1%eth0]:8554", ""},
		{"rtsp://[fe80::1%25eth0]/live", "rtsp://[fe80::1%25eth0]/live", "[fe80::1%eth0]:554", ""},
		// No addresses of cameras.
		{"", "", "", ""}, {"10.0.0.5:554/live", "", "", ""}, {"rtsp:///live", "", "", ""}, {"rtsp://:554/live", "", "", ""},
		{"rtsp://", "", "", ""}, {"rtsp://10.0.0.5:live/1", "", "", ""}, {"rtmp://10.0.0.5/live", "", "", ""},
		{"http://10.0.0.5/live", "", "", ""}, {"rtsp://10.0.0.5/li\r\nve", "", "", ""}, {"hunter2://x", "", "", ""},
	} {
		a, err := Parse(secret.New(c.raw))
		if c.url == "" {
			if err == nil {
				t.Errorf("%q is read as %s", c.raw, a.URL)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.raw, err)
			continue
		}
		how := a.Transport
		if a.TLS {
			how += " tls"
		}
		if a.Tunnel {
			how += " tunnel"
		}
		if a.URL.String() != c.url || a.At != c.at || strings.TrimSpace(how) != c.how {
			t.Errorf("%q is read as %s at %s (%s), want %s at %s (%s)", c.raw, a.URL, a.At, strings.TrimSpace(how), c.url, c.at, c.how)
		}
	}
}

// TestASentenceForEachKindOfURL: no sentence quotes what may be a password.
func TestASentenceForEachKindOfURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"http://u:hunter2@10.0.0.5/live":                    "rtsph://",
		"HTTPS://u:hunter2@10.0.0.5/live":                   "rtspsh://",
		"rtmp://u:hunter2@10.0.0.5/live":                    "begins with rtmp://",
		"hunter2://10.0.0.5/live":                           "is not a URL such as",
		"u:hunter2@10.0.0.5":                                "is not a URL such as",
		"file:///hunter2":                                   "FILE_URI",
		"rtsps://u:hunter2@10.0.0.5/live?fingerprint=12":    "fingerprint",
		"rtsp://u:hunter2@10.0.0.5:443/live?fingerprint=12": "fingerprint",
		"rtsp://u:hunter2@10.0.0.5:8443/x?fingerprint=12":   "fingerprint",
		"rtsps://u:hunter2@10.0.0.5/x?fingerprint=%zz":      "fingerprint",
	} {
		_, err := Parse(secret.New(raw))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestWhatLooksLikeACamera(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"rtsp://x": true, "RTSPT://u:p@x": true, " \"rtsph://x/y\"\n": true, "rtsps+http://x": true,
		"": false, "rtsp:///x": false, "rtsp://": false, "http://x": false, "x": false, "rtsp://x\r\ny": false,
	} {
		if Looks(raw) != want {
			t.Errorf("%q: %v", raw, !want)
		}
	}
}

func TestTheFingerprintIsNotSent(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("ab", 32)
	colons := strings.TrimSuffix(strings.Repeat("AB:", 32), ":")
	escaped := strings.ReplaceAll(colons, ":", "%3A")
	for raw, want := range map[string]string{
		"rtsps://c/x?z=1&fingerprint=" + sum + "&a=2": "rtsps://c/x?z=1&a=2",
		"rtspsh://c/x?fingerprint=" + sum:             "rtsp://c:443/x",
		"rtsp://c:443/x?fingerprint=" + sum:           "rtsp://c:443/x",
		"rtsp://c:8443/x?fingerprint=" + sum:          "rtsp://c:8443/x",
		"rtsp://c/x?fingerprint=" + sum + "&a=2":      "rtsp://c/x?a=2",
		"rtspu://c/x?a=2&fingerprint=" + colons:       "rtsp://c/x?a=2",
		"rtsph://c/x?fingerprint=" + escaped:          "rtsp://c:80/x",
	} {
		a, err := Parse(secret.New(raw))
		if err != nil || a.URL.String() != want || a.Pinned == nil || a.Pinned[31] != 0xab {
			t.Errorf("%s: %+v, %v", raw, a, err)
		}
	}
	a, err := Parse(secret.New("rtsp://c/x?fingerprint=1"))
	if err != nil || a.Pinned != nil || a.URL.RawQuery != "fingerprint=1" {
		t.Errorf("a parameter of the camera's: %+v, %v", a, err)
	}
}

func TestWhereACameraSendsUs(t *testing.T) {
	t.Parallel()
	from := &url.URL{Scheme: "rtsp", Host: "10.0.0.5:8554", Path: "/live/1"}
	for text, want := range map[string]string{
		"rtsp://10.0.0.6/x":           "rtsp://10.0.0.6/x",
		" RTSP://u:p@10.0.0.6/x#y ":   "rtsp://10.0.0.6/x",
		"rtspt://10.0.0.6/x":          "rtsp://10.0.0.6/x",
		"rtsps://10.0.0.6/x":          "rtsps://10.0.0.6/x",
		"/live/2":                     "rtsp://10.0.0.5:8554/live/2",
		"2?a=1":                       "rtsp://10.0.0.5:8554/live/2?a=1",
		"//10.0.0.7/x":                "rtsp://10.0.0.7/x",
		"http://10.0.0.6/x":           "",
		"":                            "",
		"rtsp://":                     "",
		"javascript:alert(1)":         "",
		"rtsp://10.0.0.6:99999999x/x": "",
	} {
		got := ""
		if u := Location(text, from); u != nil {
			got = u.String()
		}
		if got != want {
			t.Errorf("%q leads to %q, want %q", text, got, want)
		}
	}
}

func TestWhereAWebServerSendsUs(t *testing.T) {
	t.Parallel()
	from := Page{At: "10.0.0.5:8080", Target: "/live?a=1"}
	for text, want := range map[string]Page{
		"http://10.0.0.6/x":         {At: "10.0.0.6:80", Target: "/x"},
		"https://10.0.0.6/x?b":      {At: "10.0.0.6:443", Target: "/x?b", TLS: true},
		"HTTPS://Camera:8443":       {At: "camera:8443", Target: "/", TLS: true},
		"/other":                    {At: "10.0.0.5:8080", Target: "/other"},
		"?b=2":                      {At: "10.0.0.5:8080", Target: "/live?b=2"},
		"rtsph://u:p@[fd00::1]/x":   {At: "[fd00::1]:80", Target: "/x"},
		"rtspsh://10.0.0.6/x":       {At: "10.0.0.6:443", Target: "/x", TLS: true},
		"ftp://10.0.0.6/x":          {},
		"http:///x":                 {},
		"javascript:alert(1)":       {},
		"http://10.0.0.6:port/x":    {},
		"http://10.0.0.6/x\r\nA: b": {At: "10.0.0.6:80", Target: "/x%0D%0AA:%20b"},
	} {
		if got, ok := from.Follow(text); got != want || ok != (want != Page{}) {
			t.Errorf("%q leads to %+v, want %+v", text, got, want)
		}
	}
	if to, _ := (Page{At: "10.0.0.5:443", TLS: true}).Follow("/x"); !to.TLS || to.At != "10.0.0.5:443" {
		t.Errorf("it leads to %+v", to)
	}
}

func FuzzParse(f *testing.F) {
	for _, raw := range []string{
		"rtsp://u:p@10.0.0.5:554/live?a=1#b", "rtsph://u:p%40ss?#/é@camera/x", "rtsps://[fe80::1%eth0]/?fingerprint=ab", `"RTSPT://x"`,
	} {
		f.Add(raw)
	}
	from := &url.URL{Scheme: "rtsp", Host: "camera", Path: "/live"}
	f.Fuzz(func(t *testing.T, raw string) {
		if to := Location(raw, from); to != nil && (to.Hostname() == "" || to.User != nil || to.Scheme != "rtsp" && to.Scheme != "rtsps") {
			t.Errorf("%q leads to %s", raw, to)
		}
		a, err := Parse(secret.New(raw))
		if err != nil {
			return
		}
		again, err := url.Parse(a.URL.String())
		switch {
		case err != nil:
			t.Fatalf("%q becomes %s, which is none: %v", raw, a.URL, err)
		case again.Hostname() == "" || again.Host != a.URL.Host || again.Path != a.URL.Path || again.Fragment != "":
			t.Errorf("%q becomes %s, which is read as %+v", raw, a.URL, again)
		case !utf8.ValidString(a.At):
			t.Errorf("%q is at %q", raw, a.At)
		}
	})
}
