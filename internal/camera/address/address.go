// Package address reads the URLs of cameras as people write them and as players accept them. It does not connect to
// cameras, and its errors contain no secret.
package address

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/url"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// fingerprintParameter is the parameter of a URL that pins the camera's certificate. It is not sent to the camera.
const fingerprintParameter = "fingerprint"

// Address is the result of reading a camera's URL.
type Address struct {
	// URL is the URL of the camera's requests, with user and password. Its scheme is "rtsp", or "rtsps" where RTSP is directly over
	// TLS, and it has no fragment and none of the agent's own parameters.
	URL *url.URL
	// Host is the host as it was written, with or without a port.
	Host string
	// At is the host and the port.
	At string
	// Transport is the transport of RTP: TCP, UDP, or "" where the setting decides.
	Transport string
	// TLS is whether the connection is encrypted, and Tunnel whether RTSP goes through HTTP on it.
	TLS, Tunnel bool
	// Pinned is the SHA-256 of the camera's certificate. nil: any certificate that a root has signed is accepted.
	Pinned *[sha256.Size]byte
	// AnySource is whether packets over UDP may come from any address.
	AnySource bool
}

// Parse reads the URL of a camera. Its error is a *health.Fault.
func Parse(text secret.String) (Address, error) {
	name, rest, ok := strings.Cut(Tidy(text.Reveal()), "://")
	name = strings.ToLower(name)
	kind, known := schemes[name]
	if !ok || hasControl(rest) {
		return Address{}, errNotURL
	}
	if !known {
		return Address{}, schemeFault(name)
	}
	u := read(rest)
	if u == nil || u.Hostname() == "" { // the parser's error would quote the password
		return Address{}, errNotURL
	}
	if ambiguous(rest, u) {
		return Address{}, health.UserFault(code, nil, "The MediaURI in the camera's secret can be read as that of two hosts: "+
			"write @ as %%40, and / as %%2F, in the user name, the password and the path.")
	}
	a := Address{URL: u, Host: u.Host, Transport: kind.transport, TLS: kind.tls, Tunnel: kind.tunnel}
	a.setPort(kind)
	if kind.tls && !kind.tunnel {
		u.Scheme = "rtsps"
	}
	u.RawQuery, a.AnySource = takeSource(u.RawQuery)
	return a, a.pin(kind.tls || a.OnTLSPort())
}

// setPort adds the default port of a scheme, if the URL has none.
func (a *Address) setPort(kind scheme) {
	if a.URL.Port() != "" {
		a.At = a.URL.Host
		return
	}
	a.URL.Host = strings.TrimSuffix(a.URL.Host, ":")
	a.At = net.JoinHostPort(a.URL.Hostname(), kind.port())
	if kind.tunnel { // rtsp:// has another default port
		a.URL.Host = a.At
	}
}

// pin removes the fingerprint from a URL of any scheme, as a camera may redirect to TLS. An invalid value is an error
// if certain, and else a parameter of the camera's. The others stay unchanged: cameras may rely on their order.
func (a *Address) pin(certain bool) error {
	var kept []string
	for part := range strings.SplitSeq(a.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(part, "=")
		sum := fingerprint(value)
		switch {
		case name != fingerprintParameter || sum == nil && !certain:
			kept = append(kept, part)
		case sum == nil && value != "":
			return health.UserFault(code, nil, "The fingerprint in the MediaURI of the camera at %s is not a SHA-256 of 64 "+
				"hexadecimal digits: correct it.", a.At)
		case a.Pinned == nil:
			a.Pinned = sum
		}
	}
	a.URL.RawQuery = strings.Join(kept, "&")
	return nil
}

// fingerprint returns the SHA-256 in the value of a parameter, nil when it is not one.
func fingerprint(value string) *[sha256.Size]byte {
	text, err := url.QueryUnescape(value)
	if err != nil {
		return nil
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return nil
	}
	return (*[sha256.Size]byte)(sum)
}

// anySource is the parameter, with its value, that allows packets over UDP from any address.
const anySource = "source=any"

// takeSource removes anySource from a query and changes nothing else: the rest is the camera's.
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

// Query returns the parameters of the URL without the certificate's fingerprint. They may contain a password.
func (a Address) Query() url.Values {
	query := a.URL.Query()
	query.Del(fingerprintParameter)
	return query
}

// OnWebPort reports whether the port is a common port of cameras' web servers.
func (a Address) OnWebPort() bool {
	_, port, _ := net.SplitHostPort(a.At)
	return port == portHTTP || port == portHTTPS || port == "8080" || port == "8443"
}

// OnTLSPort reports whether the port is a common port of web servers with TLS.
func (a Address) OnTLSPort() bool {
	_, port, _ := net.SplitHostPort(a.At)
	return port == portHTTPS || port == "8443"
}

// HostOf returns the host and port of a camera's URL, without its user and password; "" when it is not the URL of a camera.
func HostOf(text secret.String) string {
	a, err := Parse(text)
	if err != nil {
		return ""
	}
	return a.At
}
