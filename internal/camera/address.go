package camera

import (
	"crypto/sha256"
	"net"
	"net/netip"
	neturl "net/url"
	"regexp"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// endpoint is where a camera is: what of its URL may be shown, and what may not.
type endpoint struct {
	url    *base.URL
	host   string             // host and port
	pinned *[sha256.Size]byte // of its certificate, nil when none is

	anySource bool // packets over UDP may come from any address
}

func parseEndpoint(url secret.String) (endpoint, error) {
	u, err := base.ParseURL(url.Reveal())
	if err != nil {
		u, err = base.ParseURL(escapeUser(url.Reveal()))
	}
	if scheme, _, _ := strings.Cut(url.Reveal(), "://"); strings.EqualFold(scheme, "file") {
		return endpoint{}, health.UserFault(codeCamera, nil, "The MediaURI in the secret is that of a file, but the configuration says "+
			"RTSP_URI: set its MediaUriType to FILE_URI.")
	}
	if err != nil || u.Host == "" { // the error would quote the URL with its password
		return endpoint{}, health.UserFault(codeCamera, nil, "The MediaURI in the camera's secret is not a URL such as "+
			"rtsp://user:password@192.168.1.20:554/path: correct it.")
	}
	if ambiguous(url.Reveal(), u) {
		return endpoint{}, health.UserFault(codeCamera, nil, "The MediaURI in the camera's secret can be read as that of two hosts: "+
			"write @ as %%40, and / as %%2F, in the user name, the password and the path.")
	}
	host := u.Host
	if u.Port() == "" {
		port := "554"
		if u.Scheme == "rtsps" {
			port = "322"
		}
		host = net.JoinHostPort(u.Hostname(), port)
	}
	at := endpoint{url: u, host: host}
	u.RawQuery, at.anySource = takeSource(u.RawQuery)
	query := (*neturl.URL)(u).Query()
	if text := query.Get(fingerprintParameter); text != "" && u.Scheme == "rtsps" {
		sum, ok := parseFingerprint(text)
		if !ok {
			return endpoint{}, health.UserFault(codeCamera, nil, "The fingerprint in the MediaURI of the camera at %s is not a SHA-256 of 64 "+
				"hexadecimal digits: correct it.", host)
		}
		at.pinned = &sum
		query.Del(fingerprintParameter)
		u.RawQuery = query.Encode()
	}
	return at, nil
}

// anySource is the parameter, with its value, by which packets over UDP are taken from any address.
const anySource = "source=any"

// takeSource takes it out of a query, of which nothing else changes: the rest is the camera's.
func takeSource(query string) (rest string, found bool) {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if strings.EqualFold(part, anySource) {
			found = true
		} else {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&"), found
}

// Address is the part of a camera's URL that distinguishes cameras. Its query may hold a password.
type Address struct {
	Host  string // as it is in the URL, with or without a port
	Path  string
	Query neturl.Values // without the certificate's fingerprint
}

// ParseAddress reads a camera's URL as a Source does. Its error is a *health.Fault without a secret.
func ParseAddress(url secret.String) (Address, error) {
	at, err := parseEndpoint(url)
	if err != nil {
		return Address{}, err
	}
	query := (*neturl.URL)(at.url).Query()
	query.Del(fingerprintParameter)
	return Address{Host: at.url.Host, Path: at.url.Path, Query: query}, nil
}

// HostOf is where the camera of a URL is, without its user and password; "" when it is not the URL of a camera.
func HostOf(url secret.String) string {
	at, err := parseEndpoint(url)
	if err != nil {
		return ""
	}
	return at.host
}

// ambiguous reports whether what may be the host stands at two places of a URL, as a password or a path has an @ that
// is not escaped. An IP address counts before a name: rtsp://u:p@10.0.0.5/live@1 is clear. A wrong guess would send the
// password to somebody else.
func ambiguous(raw string, u *base.URL) bool {
	_, rest, _ := strings.Cut(raw, "://")
	if !strings.Contains(rest, "@") {
		return false
	}
	_, err := netip.ParseAddr(u.Hostname())
	taken := err == nil
	for again := true; again; _, rest, again = strings.Cut(rest, "@") {
		text := rest
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			text = rest[:end]
		}
		host, isAddress, ok := hostIn(text)
		if ok && host != u.Host && (isAddress || !taken) {
			return true
		}
	}
	return false
}

// hostIn reads a host, with or without a port, as the parser of URLs has it. ok is whether it is one.
func hostIn(text string) (host string, isAddress, ok bool) {
	if strings.Contains(text, "@") {
		return "", false, false
	}
	u, err := base.ParseURL("rtsp://user@" + text + "/")
	if err != nil {
		return "", false, false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return u.Host, true, true
	}
	return u.Host, false, hostName.MatchString(u.Hostname())
}

// hostName has a letter: the @1 at the end of a path is none.
var hostName = regexp.MustCompile(`^[a-zA-Z0-9._-]*[a-zA-Z][a-zA-Z0-9._-]*$`)

// escapeUser escapes a password that was put into a URL as it is.
func escapeUser(raw string) string {
	scheme, rest, _ := strings.Cut(raw, "://")
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return raw
	}
	user, password, _ := strings.Cut(rest[:at], ":")
	return scheme + "://" + neturl.UserPassword(user, password).String() + rest[at:]
}
