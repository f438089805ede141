package keepalive

import (
	"strings"
	"time"
)

// ParseSession reads the Session headers of an answer leniently: repeated, with a time-out in quotes, with a unit or
// with an invalid one. timeout is 0 when there is none.
func ParseSession(values []string) (id string, timeout time.Duration) {
	for _, value := range values {
		first, rest, _ := strings.Cut(value, ";")
		if id == "" {
			id = strings.TrimSpace(first)
		}
		for rest != "" && timeout == 0 {
			var parameter string
			parameter, rest, _ = strings.Cut(rest, ";")
			name, text, _ := strings.Cut(parameter, "=")
			if strings.EqualFold(strings.TrimSpace(name), "timeout") {
				timeout = seconds(strings.Trim(text, " \t\""))
			}
		}
	}
	return id, timeout
}

// seconds reads the number at the start of a text; 0 when there is none, or a sign.
func seconds(text string) time.Duration {
	const most = 1_000_000
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			break
		}
		n = min(10*n+int(c-'0'), most)
	}
	return time.Duration(n) * time.Second
}
