package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// The headers of every answer. Source: OWASP Secure Headers Project; W3C, Content Security Policy Level 3.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; " +
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
		"trusted-types 'none'",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
	"Cache-Control":                "no-store",
}

// hsts is sent with a certificate of the operator: with one of the agent's own, browsers would lock its user out.
const hsts = "max-age=31536000"

// protected has the headers, and lets through only what names this hub as its host and does not come from another site.
func (s *Server) protected(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := http.NewResponseController(w)
		_ = connection.SetWriteDeadline(time.Now().Add(stallTime))
		if r.ContentLength != 0 { // also of a request that is refused, or wants no body: the server reads the rest of it before the next one
			_ = connection.SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		if s.certificate != nil && s.o.Certificate != "" {
			w.Header().Set("Strict-Transport-Security", hsts)
		}
		switch {
		case !s.isOwnHost(r.Host):
			refuse(w, http.StatusMisdirectedRequest, "host",
				"this hub is not called that: use its address, its host name, or a name of its certificate")
		case !isRead(r) && !fromOwnPage(r):
			refuse(w, http.StatusForbidden, "origin", "the request comes from another site, or does not say from where: use the hub's own pages")
		case fromElsewhere(r) && !isPage(r):
			refuse(w, http.StatusForbidden, "origin", "the request comes from another site: use the hub's own pages")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// refuse answers with an error as the local API does.
func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set(localapi.ErrorHeader, code)
	http.Error(w, text, status)
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// isOwnHost reports whether a request names this hub as its host. A site whose name is made to resolve to the hub has another name; an
// address is never such a name.
func (s *Server) isOwnHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	own := strings.ToLower(s.o.Hostname)
	switch host {
	case "":
		return false
	case "localhost", own, own + ".local":
		return true
	}
	return s.certificate != nil && s.certificate.names(host)
}

// fromOwnPage reports whether a browser says that a request comes from a page of this hub. Source: W3C, Fetch Metadata Request Headers;
// browsers without these send the origin of all requests but reads.
func fromOwnPage(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if site != "" && site != "same-origin" || site == "" && origin == "" {
		return false
	}
	if origin == "" {
		return true
	}
	from, err := url.Parse(origin)
	return err == nil && from.Host != "" && strings.EqualFold(from.Host, r.Host) && (from.Scheme == "https") == (r.TLS != nil)
}

// fromElsewhere reports whether a browser says that a request comes from another site.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// isPage reports whether a browser goes to a page, as it does from a link on any site: it has no cookie then.
func isPage(r *http.Request) bool {
	return isRead(r) && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
