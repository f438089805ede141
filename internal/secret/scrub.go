package secret

import "regexp"

// hidden finds what looks like a secret in any text. It takes too much rather than too little.
var hidden = []struct {
	pattern *regexp.Regexp
	with    string
}{
	// URL userinfo. Camera passwords hold any character, so it goes up to the last @ of the word.
	{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s"'<>]*@`), "${1}" + Redacted + "@"},
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|\z)`), Redacted},
	{regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{12,}\b`), Redacted},
	{regexp.MustCompile(`(?i)\b(authorization|proxy-authorization)(\\?["']?\s*[:=]\s*\\?["']?)[^"'\r\n]+`), "${1}${2}" + Redacted},
	{regexp.MustCompile(`(?i)([a-z_-]*(?:secret_?access_?key|secretkey|session_?token|security-?token|passw(?:or)?d|` +
		`x-amz-signature|x-amz-credential))(\\?["']?\s*[:=]\s*\\?["']?)[^\s"'&,;}]+`), "${1}${2}" + Redacted},
}

// Scrub takes out of a text what looks like a secret: passwords in URLs, private keys, AWS
// credentials and signatures. It is the last line of defence for what leaves the hub, in case that
// something outside the agent wrote a secret down.
func Scrub(text []byte) []byte {
	for _, h := range hidden {
		text = h.pattern.ReplaceAll(text, []byte(h.with))
	}
	return text
}
