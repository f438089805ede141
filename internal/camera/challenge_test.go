package camera

import (
	"strings"
	"testing"
)

// FuzzChallenges looks for challenges that end the process, take long, or make a header of more than a line.
func FuzzChallenges(f *testing.F) {
	for _, text := range []string{
		`Digest realm="cam", nonce="n1", qop="auth,auth-int", algorithm=SHA-256, opaque="\""`, `Basic realm=x, Digest nonce=`, `=,=,,"`,
		`Digest realm="` + strings.Repeat(`\`, 99), "Digest a=b\r\nX: y", strings.Repeat("Digest ", 1000),
		"digest nonce=\"a\x00\r\n\", algorithm=MD5-sess",
	} {
		f.Add(text, "Basic realm=y")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		list := parseChallenges([]string{first, second})
		if len(list) > maxChallenges {
			t.Fatalf("%d challenges", len(list))
		}
		l := login{user: `us"er`, password: "p@ss", has: true, scheme: "rtsp", host: "10.0.0.1:554"}
		l.connect("rtsp", "10.0.0.1:554")
		again := l.challenged([]string{first, second}, nil)
		header := l.authorization("DESCRIBE", "rtsp://10.0.0.1/x")
		if again != (header != "") {
			t.Errorf("again is %v, and the answer %q", again, header)
		}
		if strings.ContainsAny(header, "\r\n\x00") || strings.Contains(header, "Basic") && l.digest {
			t.Errorf("the answer is %q", header)
		}
	})
}
