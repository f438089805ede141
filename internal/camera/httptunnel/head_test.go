package httptunnel

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestHeadsOfAnswers(t *testing.T) {
	t.Parallel()
	basic, location, cseq := header{"www-authenticate", "Basic"}, header{"location", "/x"}, header{"cseq", "0"}
	for text, want := range map[string]head{
		"HTTP/1.0 200 OK\r\n\r\n":                                   {status: 200, reason: "OK"},
		"HTTP/1.1 200\r\n\r\n":                                      {status: 200},
		"http/1.1 401 No\nWWW-Authenticate : Basic \n\n":            {status: 401, reason: "No", headers: []header{basic}},
		"RTSP/1.0 405 Method Not Allowed\r\nCSeq: 0\r\n\r\n":        {status: 405, reason: "Method Not Allowed", headers: []header{cseq}},
		"ICY 200 OK\r\n\r\n":                                        {status: 200, reason: "OK"},
		"HTTP/1.0 302 Found\r\nbroken\r\nLocation: /x\r\n\r\n$\x00": {status: 302, reason: "Found", headers: []header{location}},
	} {
		h, size, ok := parseHead([]byte(text))
		if !ok || size == 0 || h.status != want.status || h.reason != want.reason || len(h.headers) != len(want.headers) {
			t.Errorf("%q: %+v, %d, %v", text, h, size, ok)
			continue
		}
		for i := range want.headers {
			if h.headers[i] != want.headers[i] {
				t.Errorf("%q: %+v", text, h)
			}
		}
	}
	for _, text := range []string{
		"SSH-2.0-x", "\x15\x03\x03\x00\x02", "HTTP/1.0 OK\r\n\r\n", "HTTP/1.0\r\n\r\n", "HTTP/1.0 99999 x\r\n\r\n", "ICE",
	} {
		if _, _, ok := parseHead([]byte(text)); ok {
			t.Errorf("%q is an answer", text)
		}
	}
	for _, text := range []string{"", "H", "HTTP/1.0 200 OK\r\n", "HTTP/1.0 200 OK\r\nA: b\r\n", "rt", "ICY"} {
		if _, size, ok := parseHead([]byte(text)); !ok || size != 0 {
			t.Errorf("%q is complete or invalid", text)
		}
	}
}

func TestAnswersThatMoreIsToComeEnd(t *testing.T) {
	t.Parallel()
	const interim = "HTTP/1.1 100 Continue\r\n\r\n"
	for n, want := range map[int]error{0: nil, 1: nil, maxInterim: nil, maxInterim + 1: ErrNotHTTP, 10_000: ErrNotHTTP} {
		h, rest, err := readHead(strings.NewReader(strings.Repeat(interim, n) + "HTTP/1.1 200 OK\r\n\r\nrest"))
		if !errors.Is(err, want) || want == nil && (h.status != 200 || len(rest) > len("rest")) {
			t.Errorf("after %d: %+v, %q, %v", n, h, rest, err)
		}
	}
}

func TestChunksComeInWhateverPortions(t *testing.T) {
	t.Parallel()
	const text = "5\r\nhello\r\n1;name=x\r\n \r\n00A \nworld12345\n0\r\n\r\n"
	for size := 1; size <= len(text); size++ {
		got, err := decodeAll(text, size)
		if got != "hello world12345" || !errors.Is(err, io.EOF) {
			t.Errorf("in portions of %d: %q, %v", size, got, err)
		}
	}
	for _, text := range []string{"x\r\n", "\r\n", "5\r\nhellox", "-1\r\n", "FFFFFFFFFFFFFFFFFF\r\n"} {
		if got, err := decodeAll(text, 3); !errors.Is(err, errChunks) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func decodeAll(text string, size int) (string, error) {
	var c chunks
	var all strings.Builder
	for rest := []byte(text); len(rest) > 0; {
		part := bytes.Clone(rest[:min(size, len(rest))])
		rest = rest[len(part):]
		n, err := c.decode(part)
		all.Write(part[:n])
		if err != nil {
			return all.String(), err
		}
	}
	return all.String(), nil
}

// FuzzAnswer: the bytes of a camera are read the same in one portion and in two.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 20)
	f.Add([]byte("HTTP/1.1 401 No\nWWW-Authenticate: Digest realm=\"x\"\n\n"), 3)
	f.Add([]byte("5;x\r\nhello\r\nA\r\n0123456789\r\n"), 7)
	f.Fuzz(func(t *testing.T, stream []byte, at int) {
		if at < 0 || at > len(stream) {
			return
		}
		h, size, ok := parseHead(stream)
		if _, early, good := parseHead(stream[:at]); early > 0 && good && (!ok || early != size) || !good && ok {
			t.Errorf("the first %d of %q are read otherwise", at, stream)
		}
		if size > len(stream) || ok && size > 0 && (h.status < 100 || h.status > 999) {
			t.Errorf("%q: %+v, %d", stream, h, size)
		}
		one, err1 := decodeAll(string(stream), max(len(stream), 1))
		two, err2 := decodeAll(string(stream), max(at, 1))
		if one != two || !errors.Is(err1, err2) || len(one) > len(stream) {
			t.Errorf("%q is %q, %v and %q, %v", stream, one, err1, two, err2)
		}
	})
}
