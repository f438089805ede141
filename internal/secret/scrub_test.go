package secret_test

import (
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

func TestScrubTakesSecretsAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`dial rtsp://admin:PLANTED@10.0.0.5/s1 failed`: `dial ` +
			`rtsp://[redacted]@10.0.0.5/s1 failed`,
		`rtsp://admin:PLA/NT@ED@10.0.0.5:554/a?b=c`: `rtsp://[redacted]@10.0.0.5:554/a?b=c`,
		`HTTPS_PROXY=http://u:PLANTED@proxy:3128`:   `HTTPS_PROXY=http://[redacted]@proxy:3128`,
		`AWS_SECRET_ACCESS_KEY=PLANTED/abc+def`:     `AWS_SECRET_ACCESS_KEY=[redacted]`,
		`{"secretAccessKey": "PLANTED", "expiration": "2026"}`: `{"secretAccessKey": ` +
			`"[redacted]", "expiration": "2026"}`,
		`{"msg":"body {\"sessionToken\":\"PLANTED\"}"}`: `{"msg":"body ` +
			`{\"sessionToken\":\"[redacted]"}"}`,
		`X-Amz-Security-Token: PLANTED`: `X-Amz-Security-Token: ` +
			`[redacted]`,
		`"Authorization":"AWS4-HMAC-SHA256 Credential=PLANTED, x=y"`:                  `"Authorization":"[redacted]"`,
		`key ASIAPLANTED123456 used`:                                                  `key [redacted] used`,
		`password: PLANTED`:                                                           `password: [redacted]`,
		"a\n-----BEGIN EC PRIVATE KEY-----\nPLANTED\n-----END EC PRIVATE KEY-----\nb": "a\n[redacted]\nb",
		`-----BEGIN PRIVATE KEY-----\nPLANTED (torn)`:                                 `[redacted]`,
		`stream front-door records at 25.0 fps, https://docs.example/a`: `stream front-door records ` +
			`at 25.0 fps, https://docs.example/a`,
		`The camera refuses the password: correct it in the secret arn:aws:secretsmanager:us-west-2:1:secret:cam`: "",
	} {
		got := string(secret.Scrub([]byte(text)))
		if strings.Contains(got, "PLANTED") {
			t.Errorf("%s is left in %s", "PLANTED", got)
		}
		if want != "" && got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", text, got, want)
		}
	}
}
