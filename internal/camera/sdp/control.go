package sdp

import (
	"net/url"
	"slices"
	"strings"
)

// maxURL bounds the URLs of a camera, in bytes.
const maxURL = 1500

// Bases returns the URLs to which the controls of a description may be relative, the likeliest first: that of the session's
// control where it is absolute, that of the header Content-Base or Content-Location, and that of the request. All but the
// last come from the camera and may be broken.
func Bases(sessionControl, contentBase string, request *url.URL) []string {
	var bases []string
	if _, absolute := cutScheme(sessionControl); absolute {
		bases = appendURL(bases, repaired(sessionControl, request))
	}
	if strings.TrimSpace(contentBase) != "" {
		bases = appendURL(bases, repaired(contentBase, request))
	}
	return appendURL(bases, request)
}

// Controls returns the URLs that the control of a track may mean, the likeliest first: as ffmpeg forms them, which appends
// relative ones, and as GStreamer does, which resolves them (RFC 3986).
func Controls(bases []string, control string, request *url.URL) []string {
	const most = 6
	control = strings.Trim(control, " \t\"<>")
	if control == "" || control == "*" {
		return bases
	}
	var list []string
	if _, absolute := cutScheme(control); absolute {
		u := repaired(control, request)
		list = appendURL(list, u)
		if u != nil { // a camera behind NAT may only know the name in the request
			own := *u
			own.Host, own.Scheme = request.Host, request.Scheme
			list = appendURL(list, &own)
		}
		return list
	}
	ways := []func(base, control string) string{appended, beforeQuery, resolved}
	if control[0] == '/' {
		ways = append(ways, slashed)
	}
	for _, way := range ways {
		for _, base := range bases {
			if u, err := url.Parse(way(base, control)); err == nil && len(list) < most {
				list = appendURL(list, u)
			}
		}
	}
	return list
}

// appended appends the control to the base, even after its query.
func appended(base, control string) string {
	if control[0] != '?' && control[0] != '/' && !strings.HasSuffix(base, "/") {
		base += "/"
	}
	return base + control
}

// slashed is appended, always with a slash.
func slashed(base, control string) string { return base + "/" + control }

// beforeQuery appends the control to the path of the base.
func beforeQuery(base, control string) string {
	path, query, ok := strings.Cut(base, "?")
	if !ok {
		return appended(base, control)
	}
	return appended(path, control) + "?" + query
}

func resolved(base, control string) string {
	from, err := url.Parse(base)
	if err != nil {
		return base
	}
	to, err := url.Parse(control)
	if err != nil {
		return base
	}
	return from.ResolveReference(to).String()
}

var schemes = []string{"rtsp", "rtsps", "rtspt", "rtspu"}

// cutScheme removes the scheme from a URL, even if repeated.
func cutScheme(text string) (rest string, ok bool) {
	for {
		before, after, found := strings.Cut(text, "://")
		if !found || !slices.Contains(schemes, strings.ToLower(strings.TrimSpace(before))) {
			return text, ok
		}
		text, ok = after, true
	}
}

// repaired reads the URL of a camera, with a scheme, without, or with two. It returns nil if there is none.
func repaired(text string, request *url.URL) *url.URL {
	text = strings.ReplaceAll(strings.Trim(text, " \t\"<>"), `\`, "/")
	rest, absolute := cutScheme(text)
	scheme := request.Scheme
	if lower := strings.ToLower(text); absolute && strings.HasPrefix(lower, "rtsps:") != (scheme == "rtsps") {
		scheme, _, _ = strings.Cut(lower, ":")
		if scheme != "rtsps" {
			scheme = "rtsp"
		}
	}
	switch host, _, _ := strings.Cut(strings.TrimPrefix(rest, "//"), "/"); {
	case absolute:
		text = scheme + "://" + rest
	case strings.HasPrefix(rest, "//"):
		text = scheme + ":" + rest
	case !strings.HasPrefix(rest, "/") && (strings.EqualFold(host, request.Host) || strings.ContainsAny(host, ".:")):
		text = scheme + "://" + rest
	default:
		to, err := url.Parse(rest)
		if err != nil {
			return nil
		}
		return request.ResolveReference(to)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil
	}
	return u
}

// appendURL appends a URL that may be sent in a request, once.
func appendURL(list []string, u *url.URL) []string {
	if u == nil || u.Host == "" || u.Opaque != "" || u.Scheme != "rtsp" && u.Scheme != "rtsps" {
		return list
	}
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, ForceQuery: u.ForceQuery, RawQuery: u.RawQuery}
	text := clean.String()
	if len(text) > maxURL || slices.Contains(list, text) || strings.ContainsFunc(text, unsendable) {
		return list
	}
	return append(list, text)
}

// unsendable reports whether a character may not be in the URL of a request.
func unsendable(r rune) bool { return r <= ' ' || r >= 0x7f }
