package address

import (
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

func TestPasswordsNeedNoEscaping(t *testing.T) {
	t.Parallel()
	for raw, password := range map[string]string{
		"rtsp://admin:plain@127.0.0.1:554/a":          "plain",
		"rtsp://admin:p%40ss@127.0.0.1:554/a":         "p@ss",
		"rtsp://admin:p@ss:w/rd%1#?@127.0.0.1:554/a":  "p@ss:w/rd%1#?",
		"rtsp://admin:100%@127.0.0.1:554/a?channel=1": "100%",
	} {
		at, err := Parse(secret.New(raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		got, _ := at.URL.User.Password()
		if got != password || at.At != "127.0.0.1:554" || at.URL.Path != "/a" {
			t.Errorf("%s: password %q, host %s, path %s", raw, got, at.At, at.URL.Path)
		}
	}
}

// TestAURLIsOfOneHost: a wrong guess would send the password to another host.
func TestAURLIsOfOneHost(t *testing.T) {
	t.Parallel()
	for raw, host := range map[string]string{
		"rtsp://user:p@ss@10.0.0.5/x":                        "10.0.0.5:554",
		"rtsp://user:p@ss@camera/x":                          "camera:554",
		"rtsp://user:pa/ss@camera/x":                         "camera:554",
		"rtsp://user:p%40ss%2F1@10.0.0.5/x":                  "10.0.0.5:554",
		"rtsp://user:p@10.0.0.5/live@1":                      "10.0.0.5:554",
		"rtsp://user:p@10.0.0.5/x?mail=a@b.example":          "10.0.0.5:554",
		"rtsp://10.0.0.5:8554/user=admin_password=a@b_c":     "10.0.0.5:8554",
		"rtsp://camera/user=admin_password=a@b_c=1.sdp":      "camera:554",
		"rtsp://user:p@camera/live%401":                      "camera:554",
		"rtsp://user:p@[fd00::1]/live@1":                     "[fd00::1]:554",
		"rtsps://user:p@camera/x":                            "camera:322",
		"rtsp://user:p@camera/x@camera/y":                    "camera:554",
		"rtsp://user:p@ss/1@10.0.0.5/x":                      "",
		"rtsp://user:p@ss/1@camera/x":                        "",
		"rtsp://user:p@ss/1@[fd00::1]:554/x":                 "",
		"rtsp://user:p@ss?1@10.0.0.5/x":                      "",
		"rtsp://user:p@10.0.0.9/1@10.0.0.5/x":                "",
		"rtsp://user:12/3@10.0.0.5/x":                        "",
		"rtsp://user:12?3@10.0.0.5/x":                        "",
		"rtsp://us/er@10.0.0.5/x":                            "",
		"rtsp://user:100%@10.0.0.5:554/a?mail=x@b.example":   "",
		"rtsp://user:100%@camera.example/a?mail=x@b.example": "",
		"rtsp://user:p@camera/live@1":                        "camera:554",
	} {
		at, err := Parse(secret.New(raw))
		switch {
		case host != "" && (err != nil || at.At != host):
			t.Errorf("%s: host %s, want %s; %v", raw, at.At, host, err)
		case host == "" && (err == nil || !strings.Contains(err.Error(), "write @ as %40, and / as %2F")):
			t.Errorf("%s: host %s, %v; want it refused", raw, at.At, err)
		}
	}
}

// TestAnySourceIsNotSentToTheCamera: the rest of the query is passed on unchanged.
func TestAnySourceIsNotSentToTheCamera(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct {
		query string
		found bool
	}{
		"rtsp://camera/live":                            {"", false},
		"rtsp://camera/live?source=any":                 {"", true},
		"rtsp://camera/live?z=1&source=any&a=%2f&b":     {"z=1&a=%2f&b", true},
		"rtsp://camera/live?source=Any":                 {"", true},
		"rtsp://camera/live?source=1":                   {"source=1", false},
		"rtsp://camera/live?source=anybody&xsource=any": {"source=anybody&xsource=any", false},
	} {
		at, err := Parse(secret.New(raw))
		if err != nil || at.URL.RawQuery != want.query || at.AnySource != want.found {
			t.Errorf("%s: query %q, %v; %v", raw, at.URL.RawQuery, at.AnySource, err)
		}
	}
	at, err := Parse(secret.New("rtsp://camera/live?source=any&channel=2"))
	if err != nil || at.Query().Encode() != "channel=2" {
		t.Errorf("got %+v, %v", at, err)
	}
}

func TestAFileIsNoCamera(t *testing.T) {
	t.Parallel()
	if _, err := Parse(secret.New("file:///inside.mkv")); err == nil || !strings.Contains(err.Error(), "RTSP_URI") {
		t.Errorf("a file for a camera: %v", err)
	}
}
