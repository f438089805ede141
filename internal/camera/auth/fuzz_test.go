package auth

import (
	"strings"
	"testing"
)

// FuzzChallenges searches for challenges that end the process, take long, or produce a header of more than a line.
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
		c := Client{User: `us"er`, Password: "p@ss", Has: true}
		for try := range 4 {
			sent := c.Answer()
			again, _ := c.Challenged([]string{first, second}, sent)
			header := c.Authorization("DESCRIBE", "rtsp://10.0.0.1/x")
			if again && header == "" || try > 1 && again && !strings.Contains(strings.ToLower(first+second), "stale") {
				t.Errorf("again is %v at try %d, and the answer %q", again, try, header)
			}
			if strings.ContainsAny(header, "\r\n\x00") || strings.Contains(header, "Basic") && c.offered().Load() {
				t.Errorf("the answer is %q", header)
			}
		}
	})
}
