package address

import (
	"net"
	"net/url"
	"strings"
)

// Page is a page of a web server.
type Page struct {
	At     string // host and port
	Target string // path and query
	TLS    bool
}

// Follow reads the URL of a web server's redirect from a page. ok is false where it does not lead to a page.
func (p Page) Follow(location string) (to Page, ok bool) {
	from, err := url.Parse("http://" + p.At + p.Target)
	if err != nil {
		return Page{}, false
	}
	if p.TLS {
		from.Scheme = "https"
	}
	u, err := url.Parse(escapeRest(Tidy(location)))
	if err != nil {
		return Page{}, false
	}
	u = from.ResolveReference(u)
	kind, known := schemes[u.Scheme]
	to.TLS = u.Scheme == "https" || kind.tls
	if u.Hostname() == "" || !known && u.Scheme != "http" && u.Scheme != "https" {
		return Page{}, false
	}
	port := scheme{tls: to.TLS, tunnel: true}.port()
	if u.Port() != "" {
		port = u.Port()
	}
	to.At, to.Target = net.JoinHostPort(strings.ToLower(u.Hostname()), port), u.RequestURI()
	return to, true
}
