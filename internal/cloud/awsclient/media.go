package awsclient

import (
	"crypto/tls"
	"net/http"
)

// writeBuffer is what net/http gathers before it writes to the connection: a request's head.
// Media goes past it, and is collected below TLS: kvs.Session does that.
const writeBuffer = 4 << 10

// Media is a transport for PutMedia: the same roots and the same proxy, but HTTP/1.1 only, without
// compression, and without a limit for the answer's header, for which PutMedia has its own.
func (c Config) Media() *http.Transport {
	t := c.transport().Clone()
	t.ForceAttemptHTTP2 = false
	t.Protocols = nil
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	// Small records let a reader show the start of a page sooner; media has no such reader.
	t.TLSClientConfig.DynamicRecordSizingDisabled = true
	if t.TLSClientConfig.ClientSessionCache == nil {
		t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if t.DialContext == nil {
		t.DialContext = Dial(nil, connectTimeout)
	}
	t.WriteBufferSize = writeBuffer
	t.DisableCompression = true // the answer is a stream of small objects, each wanted at once
	t.DisableKeepAlives = false // it would send Connection: close
	t.MaxConnsPerHost = 0
	t.ResponseHeaderTimeout = 0
	return t
}
