package localcloud

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
)

// header is one line of a request as it goes over the wire.
type header struct{ name, value string }

// rawRequest is a request that is written byte by byte and signed without the SDK.
type rawRequest struct {
	path    string
	lines   []header // in the order in which they are sent; Authorization is added
	signed  []string // names of the signed headers, in lower case
	claimed header   // signed instead of the one that is sent
	payload string   // hex SHA-256 that is signed
	key     sigv4.AccessKey
}

const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// head returns the request up to the empty line. X-Amz-Date must be among its lines.
func (q rawRequest) head() string {
	slices.Sort(q.signed)
	date := ""
	values := map[string]string{}
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\n", q.path)
	for _, line := range q.lines {
		fmt.Fprintf(&b, "%s: %s\r\n", line.name, line.value)
		values[strings.ToLower(line.name)] = line.value
	}
	date = values["x-amz-date"]
	if q.claimed.name != "" {
		values[q.claimed.name] = q.claimed.value
	}
	canonical := "POST\n" + q.path + "\n\n"
	for _, name := range q.signed {
		canonical += name + ":" + strings.TrimSpace(values[name]) + "\n"
	}
	names := strings.Join(q.signed, ";")
	canonical += "\n" + names + "\n" + q.payload
	scope := date[:8] + "/" + Region + "/kinesisvideo/aws4_request"
	sum := sha256.Sum256([]byte(canonical))
	mac := []byte("AWS4" + q.key.Secret)
	signed := "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	for _, text := range []string{date[:8], Region, "kinesisvideo", "aws4_request", signed} {
		h := hmac.New(sha256.New, mac)
		h.Write([]byte(text))
		mac = h.Sum(nil)
	}
	fmt.Fprintf(&b, "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x\r\n\r\n", q.key.ID, scope, names, mac)
	return b.String()
}

// dialRaw connects to the HTTPS endpoint, with a deadline for all that follows.
func dialRaw(t *testing.T, c *Cloud) (*tls.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := tls.Dial("tcp", c.local(c.ports.API), &tls.Config{RootCAs: c.pki.Pool(), NextProtos: []string{"http/1.1"}})
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn, bufio.NewReader(conn)
}

const describeCam = `{"StreamName":"cam"}`

var chunked = header{"Transfer-Encoding", "chunked"}
var sized = header{"Content-Length", fmt.Sprint(len(describeCam))}

// signedHeaders are headers that are signed, and the answer to that.
var signedHeaders = map[string]struct {
	lines   []header
	signed  string // beside host and x-amz-date
	claimed header // signed instead of the one that is sent
	status  int
}{
	"host alone":                 {[]header{sized}, "", header{}, 200},
	"another host":               {[]header{sized}, "", header{"host", "example.com"}, 403},
	"transfer-encoding":          {[]header{chunked}, "transfer-encoding", header{}, 200},
	"name in capitals":           {[]header{{"TRANSFER-ENCODING", "chunked"}}, "transfer-encoding", header{}, 200},
	"value in capitals":          {[]header{{"Transfer-Encoding", "Chunked"}}, "transfer-encoding", header{}, 200},
	"another transfer-encoding":  {[]header{chunked}, "transfer-encoding", header{"transfer-encoding", "identity"}, 403},
	"no transfer-encoding":       {[]header{sized}, "transfer-encoding", header{"transfer-encoding", "chunked"}, 403},
	"content-length":             {[]header{sized}, "content-length", header{}, 200},
	"another content-length":     {[]header{sized}, "content-length", header{"content-length", "21"}, 403},
	"content-length and chunked": {[]header{sized, chunked}, "content-length transfer-encoding", header{}, 403},
	"connection: keep-alive":     {[]header{sized, {"Connection", "keep-alive"}}, "connection", header{}, 200},
	"connection: close":          {[]header{sized, {"Connection", "close"}}, "connection", header{}, 200},
	"another connection":         {[]header{sized, {"Connection", "close"}}, "connection", header{"connection", "keep-alive"}, 403},
	"expect":                     {[]header{sized, {"Expect", "100-continue"}}, "expect", header{}, 200},
	"trailer":                    {[]header{chunked, {"Trailer", "x-amz-checksum-crc32"}}, "trailer transfer-encoding", header{}, 200},
	"trailer in capitals":        {[]header{chunked, {"Trailer", "X-Amz-Checksum-Crc32"}}, "trailer", header{}, 200},
	"trailers":                   {[]header{chunked, {"Trailer", "x-a,x-b"}}, "trailer", header{}, 200},
	"another trailer":            {[]header{chunked, {"Trailer", "x-a"}}, "trailer", header{"trailer", "x-b"}, 403},
	"te":                         {[]header{sized, {"TE", "trailers"}}, "te", header{}, 200},
	"pragma":                     {[]header{sized, {"Pragma", "no-cache"}}, "pragma", header{}, 200},
	"cache-control":              {[]header{sized, {"Pragma", "no-cache"}, {"Cache-Control", "a"}}, "pragma cache-control", header{}, 200},
	"user-agent":                 {[]header{sized, {"User-Agent", "AWS-SDK-KVS/1.6.0 GCC/13.2.0"}}, "user-agent", header{}, 200},
	"all that AWS's producer has": {
		[]header{chunked, {"Connection", "keep-alive"}, {"User-Agent", "x"}, {"X-Amzn-Stream-Name", "cam"}},
		"connection transfer-encoding user-agent x-amzn-stream-name", header{}, 200,
	},
}

// net/http keeps some headers out of its header map; their signatures count all the same.
func TestSignaturesOfHeadersThatNetHTTPTakesAway(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	for name, row := range signedHeaders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, in := dialRaw(t, c)
			q := rawRequest{
				path: "/describeStream", payload: sigv4.Hash([]byte(describeCam)), key: c.keys.User(), claimed: row.claimed,
				lines:  append([]header{{"Host", c.local(c.ports.API)}, {"X-Amz-Date", time.Now().UTC().Format(signedLayout)}}, row.lines...),
				signed: append([]string{"host", "x-amz-date"}, strings.Fields(row.signed)...),
			}
			text := q.head()
			if slices.Contains(row.lines, sized) && !slices.ContainsFunc(row.lines, func(h header) bool { return h == chunked }) {
				text += describeCam
			} else {
				text += fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(describeCam), describeCam)
			}
			_, err := conn.Write([]byte(text))
			must(t, err)
			answer, err := http.ReadResponse(in, nil)
			for err == nil && answer.StatusCode == http.StatusContinue {
				answer, err = http.ReadResponse(in, nil)
			}
			must(t, err)
			defer answer.Body.Close()
			if answer.StatusCode != row.status {
				t.Errorf("answered %s, want %d", answer.Status, row.status)
			}
		})
	}
}
