package address

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// quotes are the quotation marks that may surround copied text, by the opening ones.
var quotes = map[rune]rune{'"': '"', '\'': '\'', '`': '`', '<': '>', '“': '”', '„': '“', '‘': '’', '«': '»'}

// Tidy removes what was copied along with a URL: blanks, line ends and quotes around it, and characters without a width.
func Tidy(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '\u200b' || r == '\u2060' || r == '\ufeff' {
			return -1
		}
		return r
	}, text)
	for {
		text = strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == 0 })
		runes := []rune(text)
		if len(runes) < 2 || quotes[runes[0]] == 0 || quotes[runes[0]] != runes[len(runes)-1] {
			return text
		}
		text = string(runes[1 : len(runes)-1])
	}
}

// Looks reports whether a text starts like the URL of a camera: with a scheme and a host, or a user. It may still be invalid.
func Looks(text string) bool {
	name, rest, _ := strings.Cut(Tidy(text), "://")
	_, known := schemes[strings.ToLower(name)]
	return known && rest != "" && rest[0] != '/' && !hasControl(rest)
}

// hasControl reports whether a text has control characters, which no URL has, and which would split a request.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// read reads the part after the scheme, nil when it is not a host and path. The user's name and the password may be unescaped,
// and a fragment after a # is not part of the camera's URL.
func read(rest string) *url.URL {
	before, fragment, _ := strings.Cut(rest, "#")
	asItIs := parse(before)
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return asItIs
	}
	host, _, _ := strings.Cut(rest[at+1:], "#")
	user, password, _ := strings.Cut(rest[:at], ":")
	raw := parse(url.UserPassword(user, password).String() + "@" + host)
	switch {
	case asItIs == nil:
		return raw
	case !strings.Contains(fragment, "@"), raw == nil, isAddress(asItIs.Hostname()) && !isAddress(raw.Hostname()):
		return asItIs
	default:
		return raw
	}
}

// parse parses host and path, with a user whose name and password are escaped.
func parse(text string) *url.URL {
	end := strings.IndexAny(text, "/?")
	if end < 0 {
		end = len(text)
	}
	u, err := url.Parse("rtsp://" + escapeZone(text[:end]) + escapeRest(text[end:]))
	if err != nil || strings.Contains(u.Hostname(), ":") && u.Host[0] != '[' {
		return nil
	}
	if u.User != nil && u.User.String() == "" {
		u.User = nil
	}
	return u
}

// escapeZone escapes the zone of an IPv6 address as RFC 6874 says.
func escapeZone(authority string) string {
	open := strings.LastIndexByte(authority, '[')
	if open < 0 {
		return authority
	}
	return authority[:open] + strings.ReplaceAll(strings.ReplaceAll(authority[open:], "%25", "%"), "%", "%25")
}

// escapeRest escapes characters that are not allowed in the path and the query of a request.
func escapeRest(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '%' && !isEscape(text[i:]), c <= ' ', c >= 0x7f:
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isEscape(text string) bool {
	const digits = "0123456789abcdefABCDEF"
	return len(text) >= 3 && strings.IndexByte(digits, text[1]) >= 0 && strings.IndexByte(digits, text[2]) >= 0
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// ambiguous reports whether a URL can be read with two different hosts, as a password or a path has an unescaped @.
// An IP address takes precedence over a name: u:p@10.0.0.5/live@1 is clear. A wrong guess would send the
// password to another host.
func ambiguous(rest string, u *url.URL) bool {
	if !strings.Contains(rest, "@") {
		return false
	}
	taken := isAddress(u.Hostname())
	for again := true; again; _, rest, again = strings.Cut(rest, "@") {
		text := rest
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			text = rest[:end]
		}
		host, address, ok := hostIn(text)
		if ok && host != u.Host && (address || !taken) {
			return true
		}
	}
	return false
}

// hostIn reads a host, with or without a port, by the rules of the URL parser. ok is whether it is one.
func hostIn(text string) (host string, address, ok bool) {
	if strings.Contains(text, "@") {
		return "", false, false
	}
	u := parse("user@" + text + "/")
	if u == nil {
		return "", false, false
	}
	if isAddress(u.Hostname()) {
		return u.Host, true, true
	}
	return u.Host, false, hostName.MatchString(u.Hostname())
}

// hostName has a letter: the @1 at the end of a path is not a host.
var hostName = regexp.MustCompile(`^[a-zA-Z0-9._-]*[a-zA-Z][a-zA-Z0-9._-]*$`)

// Location reads the URL of a camera's redirect, if it leads to a camera; else it returns nil. A user in it is ignored.
func Location(text string, from *url.URL) *url.URL {
	text = Tidy(text)
	name, rest, absolute := strings.Cut(text, "://")
	kind, known := schemes[strings.ToLower(name)]
	switch {
	case absolute && !known:
		return nil
	case absolute:
		u := read(rest)
		if u == nil || u.Hostname() == "" {
			return nil
		}
		u.Scheme, u.User = "rtsp", nil
		if kind.tls {
			u.Scheme = "rtsps"
		}
		return u
	}
	to, err := url.Parse(escapeRest(text))
	if err != nil || text == "" || to.Scheme != "" {
		return nil
	}
	u := from.ResolveReference(to)
	if u.User, u.Fragment = nil, ""; u.Hostname() == "" {
		return nil
	}
	return u
}
