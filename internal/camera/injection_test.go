package camera

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/conn"
)

// TestInjectedFramesComeBetweenElements: a waiting reader of a connection receives injected frames, complete and between elements.
func TestInjectedFramesComeBetweenElements(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	playing, direct := new(atomic.Bool), new(atomic.Bool)
	playing.Store(true)
	direct.Store(true)
	c := &conn.Conn{
		Conn: ours, Playing: playing, Direct: direct, Answer: patience, Came: func(int) error { return nil },
		Tap: &tap{now: time.Now, repair: func(message []byte) []byte { return message }},
	}
	got := make(chan string, 100)
	go func() {
		buffer := make([]byte, 3) // less than any of them
		for {
			n, err := c.Read(buffer)
			if err != nil {
				close(got)
				return
			}
			got <- string(buffer[:n])
		}
	}()
	expect := func(want string) {
		t.Helper()
		text := ""
		for len(text) < len(want) {
			select {
			case part, ok := <-got:
				if !ok {
					t.Fatalf("the connection ended after %q", text)
				}
				text += part
			case <-time.After(patience):
				t.Fatalf("%q came, want %q", text, want)
			}
		}
		if text != want {
			t.Fatalf("%q came, want %q", text, want)
		}
	}
	c.Inject(2, []byte("hello")) // possibly before the reader waits
	expect("$\x02\x00\x05hello")
	for range 20 { // and possibly at that moment
		c.Inject(3, []byte("again"))
		expect("$\x03\x00\x05again")
	}
	const message = "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
	if _, err := io.WriteString(theirs, message[:10]); err != nil {
		t.Fatal(err)
	}
	c.Inject(2, []byte("in between"))
	expect("$\x02\x00\x0ain between") // a message starts only when it is complete
	if _, err := io.WriteString(theirs, message[10:]); err != nil {
		t.Fatal(err)
	}
	expect(message)
	c.Inject(2, []byte(strings.Repeat("x", 1<<16))) // too large for a frame
	c.Inject(2, []byte("last"))
	expect("$\x02\x00\x04last")
	_ = theirs.Close()
	for range got {
	}
}
