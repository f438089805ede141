package kvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// dataPlane serves PutMedia with handler.
func dataPlane(t testing.TB, handler http.HandlerFunc) *Client {
	t.Helper()
	var cfg aws.Config
	_, cfg = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/putMedia" {
			_ = http.NewResponseController(w).EnableFullDuplex()
			handler(w, r)
			return
		}
		fmt.Fprintf(w, `{"DataEndpoint":%q}`, *cfg.BaseEndpoint)
	})
	return New(Options{Config: awsclient.Of(cfg)})
}

func input(header string) PutMediaInput {
	return PutMediaInput{Stream: "door", Start: time.UnixMilli(1700000000007), Header: []byte(header)}
}

func section(s string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

func head(c byte) (h [HeadSize]byte) {
	for i := range h {
		h[i] = c
	}
	return h
}

// finish ends the body, and returns the last acknowledgement when the service has ended the answer.
func finish(t testing.TB, s *Session) (last Ack) {
	t.Helper()
	s.CloseSend()
	for last = range s.Acks() {
	}
	must(t, s.Err())
	return last
}

func awaitSent(t testing.TB, s *Session) {
	t.Helper()
	select {
	case <-s.Sent():
	case <-time.After(time.Minute):
		t.Fatal("the fragment is not sent")
	}
}

func TestASessionSendsHeadsAndFilesAndTakesAcknowledgementsMeanwhile(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789abcdef", 40_000) // 640 kB: several pieces
	var got bytes.Buffer
	var header http.Header
	c := dataPlane(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		if r.ProtoMajor != 1 || r.ContentLength != -1 || r.TransferEncoding[0] != "chunked" {
			t.Errorf("the request is %s with length %d", r.Proto, r.ContentLength)
		}
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		_, err := io.CopyN(&got, r.Body, 1)
		must(t, err)
		fmt.Fprint(w, `{"EventType":"BUFFERING","FragmentTimecode":7}`)
		_ = http.NewResponseController(w).Flush()
		_, err = io.Copy(&got, r.Body)
		must(t, err)
		fmt.Fprint(w, `{"EventType":"PERSISTED","FragmentTimecode":7}`)
	})
	s, err := c.PutMedia(t.Context(), input("HEAD"))
	must(t, err)
	if a := <-s.Acks(); a.EventType != Buffering || a.Timecode != 7 {
		t.Errorf("got %+v before the end of the body", a)
	}
	tags := []byte("tags")
	s.Send(head('x'), section(big), tags)
	awaitSent(t, s)
	s.Send(head('y'), section("end"), tags)
	if last := finish(t, s); last.EventType != Persisted {
		t.Errorf("the last acknowledgement is %+v", last)
	}
	want := "HEAD" + strings.Repeat("x", HeadSize) + big + "tags" + strings.Repeat("y", HeadSize) + "endtags"
	if got.String() != want {
		t.Errorf("the body has %d bytes and is not what was sent, %d bytes", got.Len(), len(want))
	}
	if n := s.BytesSent(); n != int64(len(want)) {
		t.Errorf("%d bytes are counted, want %d", n, len(want))
	}
	for name, want := range map[string]string{
		headerStream: "door", headerStart: "1700000000.007", headerTimecodes: "ABSOLUTE", headerAcks: "1", "X-Amz-Security-Token": "token",
		"User-Agent": "kvs-edge-agent", "Accept-Encoding": "",
	} {
		if header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, header.Get(name), want)
		}
	}
}

func TestAnswersAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header, body, want string
	}{
		"x-amzn-ErrorType": {"", `{"Message":"gone"}`, "InvalidEndpointException"},
		"x-amz-ErrorType":  {"", `{"message":"gone"}`, "InvalidEndpointException"},
		"X-Other":          {"", `{"__type":"a#InvalidEndpointException","message":"gone"}`, "InvalidEndpointException"},
		"X-Proxy":          {"", `<html>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dataPlane(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(name, "InvalidEndpointException:http://internal.amazon.com/")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, c.body)
			})
			_, err := client.PutMedia(t.Context(), input("HEAD"))
			var answer *RequestError
			if !errors.As(err, &answer) || answer.Status != 400 || answer.Name != c.want || answer.Stream != "door" {
				t.Fatalf("got %#v", err)
			}
			if c.want != "" && answer.Message != "gone" {
				t.Errorf("the message is %q", answer.Message)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret is in %q", err)
			}
		})
	}
}

// hijack returns the bare connection.
func hijack(t testing.TB, w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	must(t, err)
	return conn
}

func TestABrokenConnectionIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("before the answer", func(t *testing.T) {
		t.Parallel()
		c := dataPlane(t, func(w http.ResponseWriter, _ *http.Request) { _ = hijack(t, w).Close() })
		watch := testtools.Stopwatch(t)
		_, err := c.PutMedia(t.Context(), input("HEAD"))
		if took := watch(); err == nil || took > answerTimeout/2 {
			t.Errorf("got %v after %v", err, took)
		}
	})
	t.Run("while nothing is sent", func(t *testing.T) {
		t.Parallel()
		c := dataPlane(t, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_ = hijack(t, w).Close()
		})
		s, err := c.PutMedia(t.Context(), input("HEAD"))
		must(t, err)
		for range s.Acks() {
		}
		if s.Err() == nil {
			t.Error("the end of the connection is not an error")
		}
		s.Send(head('x'), section("late"), nil) // must not block
	})
	t.Run("the answer ends", func(t *testing.T) {
		t.Parallel()
		c := dataPlane(t, func(http.ResponseWriter, *http.Request) {})
		s, err := c.PutMedia(t.Context(), input("HEAD"))
		must(t, err)
		for range s.Acks() {
		}
		if !errors.Is(s.Err(), ErrEnded) {
			t.Errorf("got %v, want %v", s.Err(), ErrEnded)
		}
	})
}

// silent answers nothing until the test ends.
func silent(t testing.TB) *Client {
	over := make(chan struct{})
	c := dataPlane(t, func(http.ResponseWriter, *http.Request) { <-over })
	t.Cleanup(func() { close(over) }) // before the server's end, which waits for it
	return c
}

func TestTheOpeningEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := silent(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.PutMedia(ctx, input("HEAD")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestARefusalThatNeverEnds has a proxy that says what it refuses with, and then no more.
func TestARefusalThatNeverEnds(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	c := dataPlane(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = http.NewResponseController(w).Flush()
		<-over
	})
	answering := time.AfterFunc(answerTimeout/2, func() { close(over) })
	t.Cleanup(func() {
		if answering.Stop() {
			close(over)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	watch := testtools.Stopwatch(t)
	_, err := c.PutMedia(ctx, input("HEAD"))
	var answer *RequestError
	if !errors.As(err, &answer) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := watch(); took >= answerTimeout/2 {
		t.Errorf("PutMedia took %s, until the answer ended", took)
	}
}

func TestAbortEndsABlackHole(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	defer close(over)
	c := dataPlane(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-over // reads nothing
	})
	s, err := c.PutMedia(t.Context(), input("HEAD"))
	must(t, err)
	huge := strings.Repeat("x", 32<<20)
	s.Send(head('x'), section(huge), nil)
	s.Abort()
	for range s.Acks() {
	}
	if !errors.Is(s.Err(), ErrAborted) {
		t.Errorf("got %v, want %v", s.Err(), ErrAborted)
	}
}

func TestMediaThatCannotBeReadEndsTheSession(t *testing.T) {
	t.Parallel()
	c := dataPlane(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})
	s, err := c.PutMedia(t.Context(), input("HEAD"))
	must(t, err)
	s.Send(head('x'), io.NewSectionReader(strings.NewReader("short"), 0, 1000), nil)
	for range s.Acks() {
	}
	var media *MediaError
	if !errors.As(s.Err(), &media) {
		t.Errorf("got %v, want a MediaError", s.Err())
	}
}

func TestThePaceHoldsBytesBack(t *testing.T) {
	t.Parallel()
	c := dataPlane(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})
	in := input("HEAD")
	asked := 0
	in.Pace = func(n int) time.Duration {
		asked += n
		return time.Hour
	}
	s, err := c.PutMedia(t.Context(), in)
	must(t, err)
	s.Send(head('x'), section("media"), nil)
	s.Abort()
	for range s.Acks() {
	}
	if n := s.BytesSent(); n != 0 || asked != 4 {
		t.Errorf("%d bytes were sent, %d were requested", n, asked)
	}
}

// BenchmarkFileToSocket copies fragments of 2 MB from a file to a TLS connection.
func BenchmarkFileToSocket(b *testing.B) {
	const size = 2 << 20
	path := filepath.Join(b.TempDir(), "media")
	must(b, os.WriteFile(path, make([]byte, size), 0o600))
	file, err := os.Open(path)
	must(b, err)
	defer func() { _ = file.Close() }()
	c := dataPlane(b, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
	})
	s, err := c.PutMedia(context.Background(), input("HEAD"))
	must(b, err)
	b.SetBytes(size)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		s.Send(head('x'), io.NewSectionReader(file, 0, size), nil)
		awaitSent(b, s)
	}
	b.StopTimer()
	finish(b, s)
}

// Credentials end when they do, although the clock was set back after their end was computed.
func TestCredentialsEndAlsoWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	signed := make(chan string, 1)
	var cfg aws.Config
	_, cfg = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/putMedia" {
			fmt.Fprintf(w, `{"DataEndpoint":%q}`, *cfg.BaseEndpoint)
			return
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		signed <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusForbidden)
	})
	asked := 0
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		asked++
		end := time.Now().Add(time.Hour)
		if asked == 1 { // an hour ago, when the clock was a day ahead
			end = testtools.Stepped(time.Now(), 24*time.Hour)
		}
		return aws.Credentials{AccessKeyID: fmt.Sprintf("key%d", asked), SecretAccessKey: "secret", CanExpire: true, Expires: end}, nil
	})
	client := New(Options{Config: awsclient.Of(cfg)})
	for range 2 {
		_, err := client.PutMedia(t.Context(), input("header"))
		var refused *RequestError
		if !errors.As(err, &refused) {
			t.Fatal(err)
		}
		if got := <-signed; !strings.Contains(got, "Credential=key2/") {
			t.Errorf("signed with %s", got)
		}
	}
	if asked != 2 {
		t.Errorf("credentials were asked for %d times", asked)
	}
}
