package httptunnel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/httptunnel"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/webtunnel"
)

// echo is a camera that echoes what it receives, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func open(t *testing.T, server *webtunnel.Server, change func(*httptunnel.Options)) (*httptunnel.Conn, error) {
	t.Helper()
	o := httptunnel.Options{
		Dial: func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", server.Address())
		},
		Host: server.Address(), Target: "/live?a=1",
	}
	if change != nil {
		change(&o)
	}
	return httptunnel.Open(t.Context(), o)
}

// TestAPostThatIsFullIsFollowedByAnother: 200 messages are too many for one.
func TestAPostThatIsFullIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	for _, o := range []webtunnel.Options{{}, {Chunked: true}, {EarlyPost: true}, {PostEnds: true}, {SilentEnd: true}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			t.Parallel()
			server := webtunnel.New(t, echo(t), o)
			conn, err := open(t, server, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for i := range 200 {
				message := []byte(fmt.Sprintf("OPTIONS rtsp://camera/live RTSP/1.0\r\nCSeq: %d\r\nUser-Agent: %0300d\r\n\r\n", i, i))
				if n, err := conn.Write(message); err != nil || n != len(message) {
					t.Fatalf("message %d: %d, %v", i, n, err)
				}
				answer := make([]byte, len(message))
				if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(conn, answer); err != nil || !bytes.Equal(answer, message) {
					t.Fatalf("message %d comes back as %q: %v", i, answer, err)
				}
			}
			posts := strings.Count(strings.Join(server.Asked(), " "), "POST")
			if posts < 3 || !o.PostEnds && !o.SilentEnd && posts > 5 {
				t.Errorf("%d POSTs", posts)
			}
		})
	}
}

// TestAPostThatIsRefusedForItsPasswordIsSentAgain, with its whole contents.
func TestAPostThatIsRefusedForItsPasswordIsSentAgain(t *testing.T) {
	t.Parallel()
	server := webtunnel.New(t, echo(t), webtunnel.Options{Authorize: func(r *http.Request) []string {
		if r.Method == http.MethodPost && r.Header.Get("Authorization") != "fresh" {
			return []string{"Basic fresh"}
		}
		return nil
	}})
	var fresh atomic.Bool
	conn, err := open(t, server, func(o *httptunnel.Options) {
		o.Authorization = func(method, target string) string {
			if fresh.Load() && target == "/live?a=1" {
				return "fresh"
			}
			return ""
		}
		o.Challenged = func(method string, challenges []string) bool {
			return method == httptunnel.Post && len(challenges) == 1 && !fresh.Swap(true)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 9)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "hello\r\n\r\n" {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestAPostThatStaysRefusedEndsTheTunnel, with the answer as the reason.
func TestAPostThatStaysRefusedEndsTheTunnel(t *testing.T) {
	t.Parallel()
	server := webtunnel.New(t, echo(t), webtunnel.Options{Authorize: func(r *http.Request) []string {
		if r.Method == http.MethodPost {
			return []string{"Basic"}
		}
		return nil
	}})
	conn, err := open(t, server, func(o *httptunnel.Options) {
		o.Challenged = func(string, []string) bool { return true }
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var refused *httptunnel.StatusError
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &refused) || refused.Code != 401 || refused.Method != httptunnel.Post {
		t.Errorf("it ends with %v", err)
	}
}

func TestWhatComesOverPostsIsCounted(t *testing.T) {
	t.Parallel()
	server := webtunnel.New(t, echo(t), webtunnel.Options{EarlyPost: true})
	errMuch := errors.New("too much came")
	conn, err := open(t, server, func(o *httptunnel.Options) {
		o.Came = func(n int) error {
			if n == 0 {
				t.Error("nothing is counted")
			}
			return errMuch
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "hello\r\n\r\n")
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, errMuch) {
		t.Errorf("it ends with %v", err)
	}
}

func TestATunnelEndsAtOnce(t *testing.T) {
	t.Parallel()
	server := webtunnel.New(t, echo(t), webtunnel.Options{})
	conn, err := open(t, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}()
	_ = conn.Close()
	if err := <-ended; err == nil {
		t.Error("a closed tunnel returns bytes")
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("a closed tunnel accepts bytes")
	}
}
