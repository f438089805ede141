package endpoint

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// What an address must be, as the end of a sentence.
const (
	urlForm  = "a URL such as https://localhost:4566"
	hostForm = "a host name, without https:// and without a path; a port may follow"
)

// label is a part of the name of a host between dots.
var label = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$`)

// URLFault says what the address of a service, which somebody set, must be and is not; "" when it is good. An address
// with a user is never shown: it has a password.
func URLFault(text string) string {
	u, err := url.Parse(text)
	switch {
	case err == nil && u.User != nil, err != nil && strings.Contains(text, "@"):
		return "must be " + urlForm + ", without a user and a password"
	case err != nil || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http" || !isHost(u.Host):
		return "is " + strconv.Quote(text) + ", but must be " + urlForm
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "is " + strconv.Quote(text) + ", but must be " + urlForm + ", without ? and #"
	}
	return ""
}

// HostFault does so for the host of AWS IoT, with or without a port.
func HostFault(text string) string {
	switch {
	case strings.Contains(text, "@"):
		return "must be " + hostForm + ", without a user and a password"
	case !isHost(text):
		return "is " + strconv.Quote(text) + ", but must be " + hostForm
	}
	return ""
}

// isHost reports whether text is a name or an address with or without a port; one of IPv6 is in brackets, and without
// a zone: no certificate is for one.
func isHost(text string) bool {
	name, rest := text, ""
	if address, ok := strings.CutPrefix(text, "["); ok {
		if address, rest, ok = strings.Cut(address, "]"); !ok {
			return false
		}
		ip, err := netip.ParseAddr(address)
		return err == nil && ip.Is6() && ip.Zone() == "" && isPort(rest)
	}
	if at := strings.IndexByte(text, ':'); at >= 0 {
		name, rest = text[:at], text[at:]
	}
	const longest = 253 // of a name in the DNS
	if len(name) > longest || !isPort(rest) {
		return false
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if !label.MatchString(part) {
			return false
		}
	}
	return true
}

// isPort reports whether text is a colon and a port, or nothing.
func isPort(text string) bool {
	digits, ok := strings.CutPrefix(text, ":")
	if !ok {
		return text == ""
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return err == nil && n > 0
}

// plain is the name of a host alone, in small letters.
func plain(host string) string {
	name := host
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:at]
	}
	return strings.TrimSuffix(strings.ToLower(name), ".")
}
